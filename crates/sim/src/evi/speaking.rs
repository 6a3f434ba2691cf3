//! What a chat says, and how it falls silent: turns step by step, interruptions, tools.
//!
//! An interruption exists only while a turn is still being *sent*. Once everything is out, the caller may still be
//! listening to it, but EVI considers its turn over and reports nothing but the caller's next words. (Hume:
//! "Interruptibility", "Audio")

use std::time::{Duration, Instant};

use wire::hume::rest::{ChatStatus, EventKind};
use wire::hume::scores::Scores;
use wire::hume::server::{
    AssistantEnd, AssistantMessage, AssistantProsody, ChatMessage, Inference, Interval, Role, UserInterruption,
    UserMessage,
};
use wire::hume::tool::{ToolCall, ToolType};

use super::config::{EviConfig, ProsodyPlace};
use super::fault::{Mishap, Moment};
use super::mind::Answer;
use super::record::{Said, note};
use super::session::{House, Line, Prompt, Session, lines, ms};
use super::turn::{AwaitedTool, Chunk, Step, Turn};

impl Session {
    /// The turn that answers the caller's words, if there is anything to say.
    pub(crate) fn answer(&mut self, config: &EviConfig, text: &str, due: Instant) -> Option<Turn> {
        let answer = self.mind.answer(text);
        if answer.is_nothing() {
            return None;
        }
        let mut turn = Turn::new(self.steps_of(config, answer), due);
        if config.quick_responses && matches!(turn.steps.front(), Some(Step::Say(_))) {
            turn.next([Step::Say(Line { text: "Sure.".to_owned(), from_text: false, quick: true })]);
        }
        Some(turn)
    }

    fn steps_of(&self, config: &EviConfig, answer: Answer) -> Vec<Step> {
        let mut steps: Vec<Step> = lines(&answer.text, false).into_iter().map(Step::Say).collect();
        match answer.tool {
            Some((name, _)) if name == "hang_up" && self.has_builtin_hang_up() => {
                steps.push(Step::End);
                steps.push(Step::Close { error: None, code: config.hang_up_code, status: ChatStatus::UserEnded });
            }
            // The turn goes on when the tool has answered.
            Some((name, arguments)) => steps.push(Step::CallTool { name, arguments }),
            None => steps.push(Step::End),
        }
        steps
    }

    /// Does the next thing of the turn. `now` is when it was due.
    pub(crate) fn step(&mut self, house: &mut House<'_>, now: Instant) {
        let Some(turn) = &mut self.turn else { return };
        if turn.tool.is_some() {
            // Patience is over: the turn goes on as if the tool had failed.
            let call_id = turn.tool.take().map(|awaited| awaited.call_id).unwrap_or_default();
            turn.tool = Some(AwaitedTool { call_id: call_id.clone(), until: None });
            return self.tool_answered(house, now, &call_id, Err(None));
        }
        let Some(step) = turn.steps.pop_front() else {
            self.turn = None;
            return self.start_turn(house.config, now);
        };
        turn.begun = true;
        match step {
            Step::Say(line) => self.announce(house, now, &line),
            Step::Chunk(chunk) => self.send_chunk(house, now, &chunk),
            Step::Prosody { id } => {
                let scores = self.scores();
                let mut entry = self.entry(house, now, EventKind::AssistantProsody);
                entry.scores = serde_json::to_string(&scores).ok();
                entry.related = Some(id.clone());
                house.history.add(&self.record.chat_id, entry);
                let models = Inference::with_scores(scores);
                self.send(house.config, &AssistantProsody { id: Some(id), models, custom_session_id: None });
            }
            Step::Suffer(mishap) => self.suffer(house, now, &mishap),
            Step::CallTool { name, arguments } => self.call_tool(house, now, name, arguments),
            Step::End => {
                self.send(house.config, &AssistantEnd::default());
                if self.turn.as_ref().is_some_and(|turn| turn.steps.is_empty()) {
                    self.turn = None;
                    self.start_turn(house.config, now);
                }
            }
            Step::Close { error, code, status } => {
                if let Some(error) = error {
                    self.report(house.config, error, "the chat has reached its limit");
                }
                self.close(house, now, code, error.map_or("", |error| error.code()), status);
            }
        }
    }

    fn announce(&mut self, house: &mut House<'_>, now: Instant, line: &Line) {
        let config = house.config;
        self.sentences += 1;
        let id = format!("{:032x}", self.rng.u128(..));
        let inside = config.prosody == ProsodyPlace::Inside;
        let message = AssistantMessage {
            id: Some(id.clone()),
            message: ChatMessage { role: Role::Assistant, content: Some(line.text.clone()), ..ChatMessage::default() },
            models: if inside { Inference::with_scores(self.scores()) } else { Inference::default() },
            from_text: line.from_text,
            is_quick_response: line.quick,
            language: config.language.then(|| "en".to_owned()),
            custom_session_id: None,
        };
        let mut entry = self.entry(house, now, EventKind::AgentMessage);
        entry.text = Some(line.text.clone());
        entry.scores = message.models.scores().and_then(|scores| serde_json::to_string(scores).ok());
        entry.id.clone_from(&id);
        house.history.add(&self.record.chat_id, entry);
        self.send(config, &message);
        let cuts: Vec<(Duration, Mishap)> = {
            let sentence = self.sentences;
            let here =
                |(moment, _): &mut (Moment, Mishap)| matches!(moment, Moment::Spoken { nth, .. } if *nth == sentence);
            self.fate
                .extract_if(.., here)
                .filter_map(
                    |(moment, mishap)| {
                        if let Moment::Spoken { audio, .. } = moment { Some((audio, mishap)) } else { None }
                    },
                )
                .collect()
        };
        let (whole, mut steps) = self.rotation.steps(config, &id, &line.text, &cuts);
        note(
            &mut self.record.said,
            Said { id: id.clone(), text: line.text.clone(), at: None, sent_ms: 0, whole_ms: ms(whole) },
        );
        if config.prosody == ProsodyPlace::Afterwards {
            steps.push(Step::Prosody { id });
        }
        if let Some(turn) = &mut self.turn {
            turn.next(steps);
        }
    }

    fn send_chunk(&mut self, house: &mut House<'_>, now: Instant, chunk: &Chunk) {
        let huge = std::mem::take(&mut self.huge);
        self.send(house.config, &chunk.message(house.config, huge));
        if let Some(turn) = &mut self.turn {
            turn.due += chunk.plays / house.config.speed.max(1);
        }
        if let Some(said) = self.record.said.iter_mut().rev().find(|said| said.id == chunk.id) {
            said.sent_ms = if chunk.last { said.whole_ms } else { said.sent_ms + ms(chunk.plays) };
            said.at = said.at.or(Some(now));
        }
        if chunk.index == 0 {
            let sentence = self.sentences;
            let due = self
                .fate
                .extract_if(.., |(moment, _)| matches!(moment, Moment::Sentence { nth, .. } if *nth == sentence));
            let armed = due.filter_map(|(moment, mishap)| {
                if let Moment::Sentence { after, .. } = moment { Some((now + after, mishap)) } else { None }
            });
            self.armed.extend(armed);
        }
    }

    fn call_tool(&mut self, house: &mut House<'_>, now: Instant, name: String, arguments: String) {
        let call_id = format!("call_{:016x}", self.rng.u64(..));
        note(&mut self.record.tool_calls, name.clone());
        self.remember(house, now, EventKind::FunctionCall, Some(name.clone()));
        if let Some(turn) = &mut self.turn {
            turn.tool = Some(AwaitedTool {
                call_id: call_id.clone(),
                until: house.config.tool_patience.map(|patience| now + patience),
            });
        }
        let call = ToolCall {
            tool_call_id: call_id,
            name,
            parameters: arguments,
            tool_type: ToolType::Function,
            response_required: true,
            custom_session_id: None,
        };
        self.send(house.config, &call);
    }

    /// A tool answered, or failed with what the model shall be told in its place. Answers nobody waits for are ignored.
    pub(crate) fn tool_answered(
        &mut self,
        house: &mut House<'_>,
        now: Instant,
        call_id: &str,
        content: Result<String, Option<String>>,
    ) {
        if self.turn.as_ref().and_then(|turn| turn.tool.as_ref()).is_none_or(|awaited| awaited.call_id != call_id) {
            return;
        }
        let told = match &content {
            Ok(content) => Some(content.clone()),
            Err(content) => content.clone(),
        };
        self.remember(house, now, EventKind::FunctionCallResponse, told);
        let answer = self.mind.tool_answered(content.as_deref().ok());
        let steps = self.steps_of(house.config, answer);
        if let Some(turn) = &mut self.turn {
            turn.tool = None;
            turn.steps.extend(steps);
            turn.due = now + house.config.model_delay;
        }
    }

    /// The caller speaks while the turn is being sent.
    pub(crate) fn interrupt(&mut self, house: &mut House<'_>, now: Instant, position: Duration) {
        let Some(turn) = &self.turn else { return };
        if !turn.begun {
            // Nothing was said yet: there is nothing to interrupt, and the thought is dropped.
            self.turn = None;
            return;
        }
        if let Some(by) = self.late_audio.take() {
            self.late = turn.upcoming_chunk().or_else(|| self.stray_chunk(house.config)).map(|chunk| (now + by, chunk));
            if self.late.is_some() {
                self.count(house, &Mishap::LateAudio(by));
            }
        }
        self.record.interruptions += 1;
        self.remember(house, now, EventKind::UserInterruption, None);
        let time = i64::try_from(position.as_millis()).unwrap_or(i64::MAX);
        self.send(house.config, &UserInterruption { time, custom_session_id: None });
        self.cut_turn(house, now);
    }

    /// More sound of the sentence that was sent last, where all of it is out already.
    fn stray_chunk(&mut self, config: &EviConfig) -> Option<Chunk> {
        let said = self.record.said.last()?;
        let (_, steps) = self.rotation.steps(config, &said.id, &said.text, &[]);
        steps.into_iter().find_map(|step| match step {
            Step::Chunk(chunk) => Some(Chunk { index: u64::from(config.chunks_per_sentence.max(1)), ..chunk }),
            Step::CallTool { .. }
            | Step::Say(_)
            | Step::Prosody { .. }
            | Step::Suffer(_)
            | Step::End
            | Step::Close { .. } => None,
        })
    }

    /// Drops what is left of the turn.
    pub(crate) fn cut_turn(&mut self, house: &mut House<'_>, now: Instant) {
        let Some(turn) = self.turn.take() else { return };
        let closes = turn.steps.into_iter().find(|step| matches!(step, Step::Close { .. }));
        if turn.begun {
            self.send(house.config, &AssistantEnd::default());
        }
        if let Some(close) = closes {
            // A limit that was announced is kept, whoever interrupts the announcement.
            self.turn = Some(Turn::new([close], now));
        } else {
            self.start_turn(house.config, now);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "these are the message's own fields, in its own order")]
    pub(crate) fn announce_user(
        &mut self,
        config: &EviConfig,
        text: &str,
        begin: Duration,
        end: Duration,
        scores: Option<&Scores>,
        from_text: bool,
        interim: bool,
    ) {
        let message = UserMessage {
            message: ChatMessage { role: Role::User, content: Some(text.to_owned()), ..ChatMessage::default() },
            models: scores.map_or_else(Inference::default, |scores| Inference::with_scores(scores.clone())),
            time: Some(Interval { begin: ms(begin), end: ms(end) }),
            from_text,
            interim,
            language: config.language.then(|| "en".to_owned()),
            custom_session_id: None,
        };
        self.send(config, &message);
    }

    /// Says a farewell, then ends the chat with this error.
    pub(crate) fn bid_farewell(
        &mut self,
        house: &mut House<'_>,
        now: Instant,
        text: &str,
        error: wire::hume::error::ErrorCode,
    ) {
        self.farewell = true;
        self.turn = None;
        let mut turn = Turn::of(lines(text, false), now);
        turn.steps.push_back(Step::Close { error: Some(error), code: 1000, status: ChatStatus::MaxDurationTimeout });
        self.turn = Some(turn);
        self.step(house, now);
    }

    pub(crate) fn nudge(&mut self, house: &mut House<'_>, now: Instant, text: String) {
        self.prompt(house, now, Prompt::Nudge(text));
    }
}
