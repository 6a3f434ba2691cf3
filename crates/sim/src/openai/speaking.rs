//! Responses: why they begin, how they are sent, how they end.
//!
//! Where the vendor promises no order, seeds choose one: words against sound, the two `done` events of a part, the last
//! item's `done` against `response.done`, and where `rate_limits.updated` stands.

use std::time::{Duration, Instant};

use wire::openai::client::{ConversationTarget, ResponseOverrides};
use wire::openai::error::{ErrorCode, ErrorDetail};
use wire::openai::item::{ContentKind, ContentPart, ItemStatus};
use wire::openai::response::{ResponseStatus, StatusReason};
use wire::openai::server::{
    ArgumentsDelta, AudioDelta, ItemEvent, OutputItem, Part, PartRef, RateLimit, RateLimits, ServerEvent, TextDelta,
    TimeoutTriggered,
};
use wire::openai::session::{AudioFormat, MaxTokens, Modality, ServerVad, ToolChoice, ToolChoiceMode, TurnDetection};

use super::config::{OpenAiConfig, Outcome};
use super::conversation::about;
use super::record::{Said, note};
use super::response::{Delivery, Piece, PieceKind, Running, Step, millis, plays};
use super::session::{House, Session, name};
use crate::evi::fault::{Mishap, Moment};
use crate::evi::mind::Answer;

/// Audio tokens a second of speech.
pub(crate) const TOKENS_A_SECOND: u32 = 20;

impl Session {
    /// `response.create`.
    pub(crate) fn respond_to_client(
        &mut self,
        house: &mut House<'_>,
        now: Instant,
        overrides: Option<&ResponseOverrides>,
    ) -> Result<(), ErrorDetail> {
        if let Some(running) = &self.response {
            let message = format!(
                "Conversation already has an active response in progress: {}. Wait until the response is finished",
                running.id
            );
            return Err(ErrorDetail::invalid_request(ErrorCode::ActiveResponse, message));
        }
        if overrides.is_some_and(|overrides| overrides.conversation == Some(ConversationTarget::None)) {
            return Err(about("response.conversation", "responses outside of the conversation are not simulated"));
        }
        let verbatim = overrides.and_then(|overrides| overrides.instructions.as_deref()).and_then(verbatim);
        let answer = match verbatim {
            Some(text) => Answer { text: text.to_owned(), tool: None },
            None => self.next_answer(house.config),
        };
        self.begin(house, now, answer, overrides);
        Ok(())
    }

    /// The server's own turn detection asks for a response.
    pub(crate) fn respond_to_caller(&mut self, house: &mut House<'_>, now: Instant) {
        if let Some(running) = &self.response {
            // Without interruption a response may still be running; the automatic one then fails. Its words stay
            // unanswered until the client asks.
            let message = format!("Conversation already has an active response in progress: {}", running.id);
            return self.refuse(house.config, ErrorDetail::invalid_request(ErrorCode::ActiveResponse, message), None);
        }
        let answer = self.next_answer(house.config);
        self.begin(house, now, answer, None);
    }

    fn next_answer(&mut self, config: &OpenAiConfig) -> Answer {
        if let Some(output) = self.tool_output.take() {
            return self.mind.tool_answered(Some(&output));
        }
        match self.unanswered.take() {
            Some(words) => self.mind.answer(&words),
            None => Answer { text: config.greeting.clone(), tool: None },
        }
    }

    fn begin(&mut self, house: &mut House<'_>, now: Instant, answer: Answer, overrides: Option<&ResponseOverrides>) {
        let config = house.config;
        self.responses += 1;
        self.idle_at = None;
        let output = overrides.and_then(|overrides| overrides.audio.as_ref()).and_then(|audio| audio.output.as_ref());
        let format =
            output.and_then(|output| output.format).or(self.settings.audio.output.format).unwrap_or(AudioFormat::Pcmu);
        let modalities = overrides
            .and_then(|overrides| overrides.output_modalities.as_ref())
            .unwrap_or(&self.settings.output_modalities);
        let written = modalities.contains(&Modality::Text);
        let limit = overrides.and_then(|overrides| overrides.max_output_tokens).or(self.settings.max_output_tokens);
        let choice =
            overrides.and_then(|overrides| overrides.tool_choice.as_ref()).or(self.settings.tool_choice.as_ref());
        let may_call = choice != Some(&ToolChoice::Mode(ToolChoiceMode::None));
        let outcome = if std::mem::take(&mut self.fails) {
            Some(Outcome::Failed)
        } else {
            config.outcomes.get(&self.responses).copied()
        };
        let mut steps = vec![Step::Created];
        if self.rng.bool() {
            steps.push(Step::RateLimits);
        }
        if outcome == Some(Outcome::Failed) {
            steps.push(Step::Finish(ResponseStatus::Failed, None));
        } else {
            let spoken = crate::speech::speak(&answer.text, 8_000).duration();
            let (most, reason) = match (outcome, limit) {
                (Some(Outcome::Incomplete(reason)), _) => (Some(spoken / 2), reason),
                (_, Some(MaxTokens::Limit(tokens))) => {
                    (Some(Duration::from_secs(u64::from(tokens)) / TOKENS_A_SECOND), StatusReason::MaxOutputTokens)
                }
                (_, Some(MaxTokens::Infinite) | None) => (None, StatusReason::MaxOutputTokens),
            };
            let mut cut = false;
            if !answer.text.is_empty() {
                let delivery =
                    Delivery { text: &answer.text, written, format, sizes: config.delta_bytes.clone(), most };
                let (sentences, fate) = (&mut self.sentences, &mut self.fate);
                let (said, was_cut) = delivery.steps(&mut self.rng, || {
                    *sentences += 1;
                    (*sentences, within(fate, *sentences))
                });
                steps.extend(said);
                cut = was_cut;
            }
            if cut {
                steps.push(Step::Finish(ResponseStatus::Incomplete, Some(reason)));
            } else {
                if let Some((name, arguments)) = answer.tool.filter(|_| may_call) {
                    steps.push(Step::OpenCall { name });
                    steps.extend(pieces(&arguments).map(Step::Arguments));
                    steps.push(Step::Close);
                }
                steps.push(Step::Finish(ResponseStatus::Completed, None));
            }
        }
        self.response = Some(Running {
            id: name(&mut self.rng, "resp"),
            created: false,
            written,
            format,
            steps: steps.into(),
            due: now + config.created_delay,
            pieces: Vec::new(),
            metadata: overrides.and_then(|overrides| overrides.metadata.clone()),
        });
    }

    /// Does the next thing of the response. `now` is when it was due.
    pub(crate) fn step(&mut self, house: &mut House<'_>, now: Instant) {
        let config = house.config;
        let Some(running) = &mut self.response else { return };
        let Some(step) = running.steps.pop_front() else {
            self.response = None;
            return;
        };
        match step {
            Step::Created => {
                running.created = true;
                running.due += config.model_delay + config.model_jitter.mul_f64(self.rng.f64());
                let event = self.response_event(ResponseStatus::InProgress, None);
                self.send(config, ServerEvent::ResponseCreated(event));
            }
            Step::RateLimits => self.send_rate_limits(config),
            Step::OpenMessage { text, whole_ms } => self.open_message(config, text, whole_ms),
            Step::Words(delta) => self.send_words(config, delta),
            Step::Sound { bytes, plays } => {
                running.due += plays / config.speed.max(1);
                self.send_sound(house.config, now, &bytes);
            }
            Step::Sentence(number) => {
                let due = self
                    .fate
                    .extract_if(.., |(moment, _)| matches!(moment, Moment::Sentence { nth, .. } if *nth == number));
                let armed = due.filter_map(|(moment, mishap)| {
                    if let Moment::Sentence { after, .. } = moment { Some((now + after, mishap)) } else { None }
                });
                self.armed.extend(armed);
            }
            Step::Suffer(mishap) => self.suffer(house, now, &mishap),
            Step::OpenCall { name } => self.open_call(config, name),
            Step::Arguments(delta) => self.send_arguments(config, delta),
            Step::Close => {
                if let Some(done) = self.close_piece(config, ItemStatus::Completed) {
                    self.send(config, ServerEvent::ItemDone(done));
                }
            }
            Step::Finish(status, reason) => self.finish(house, now, status, reason),
        }
    }

    fn open_message(&mut self, config: &OpenAiConfig, text: String, whole_ms: u64) {
        let item_id = name(&mut self.rng, "item");
        let Some(running) = &self.response else { return };
        let written = running.written;
        if !written {
            note(&mut self.record.said, Said { item_id: item_id.clone(), text, at: None, sent_ms: 0, whole_ms });
        }
        let kind = PieceKind::Message { words: String::new(), bytes: 0, written };
        self.open_piece(config, Piece { item_id, closed: false, kind });
        let part = part(written, None);
        let Some(PartRef { response_id, item_id, output_index, content_index }) = self.place() else { return };
        self.send(
            config,
            ServerEvent::ContentPartAdded(Part { response_id, item_id, output_index, content_index, part }),
        );
    }

    fn open_call(&mut self, config: &OpenAiConfig, tool: String) {
        note(&mut self.record.tool_calls, tool.clone());
        let kind = PieceKind::Call { call_id: name(&mut self.rng, "call"), name: tool, arguments: String::new() };
        let item_id = name(&mut self.rng, "item");
        self.open_piece(config, Piece { item_id, closed: false, kind });
    }

    fn open_piece(&mut self, config: &OpenAiConfig, piece: Piece) {
        let item = piece.empty_item();
        let Some(running) = &mut self.response else { return };
        let output_index = u32::try_from(running.pieces.len()).unwrap_or(u32::MAX);
        let response_id = running.id.clone();
        let item_id = piece.item_id.clone();
        running.pieces.push(piece);
        self.conversation.append(&item_id, item.clone());
        let previous_item_id = self.conversation.before(&item_id);
        self.send(config, ServerEvent::OutputItemAdded(OutputItem { response_id, output_index, item: item.clone() }));
        self.send(config, ServerEvent::ItemAdded(ItemEvent { previous_item_id, item }));
    }

    fn send_words(&mut self, config: &OpenAiConfig, delta: String) {
        let Some(piece) = self.response.as_mut().and_then(|running| running.pieces.last_mut()) else { return };
        let PieceKind::Message { words, written, .. } = &mut piece.kind else { return };
        words.push_str(&delta);
        let written = *written;
        let Some(PartRef { response_id, item_id, output_index, content_index }) = self.place() else { return };
        let event = TextDelta { response_id, item_id, output_index, content_index, delta };
        self.send(config, if written { ServerEvent::TextDelta(event) } else { ServerEvent::TranscriptDelta(event) });
    }

    fn send_sound(&mut self, config: &OpenAiConfig, now: Instant, sound: &[u8]) {
        self.spoke = true;
        let Some(piece) = self.response.as_mut().and_then(|running| running.pieces.last_mut()) else { return };
        if let PieceKind::Message { bytes, .. } = &mut piece.kind {
            *bytes += sound.len();
        }
        let item_id = piece.item_id.clone();
        if let Some(said) = self.record.said.iter_mut().rev().find(|said| said.item_id == item_id) {
            said.at = said.at.or(Some(now));
        }
        let Some(place) = self.place() else { return };
        self.update_heard();
        let event = ServerEvent::AudioDelta(AudioDelta::from_bytes(&place, sound));
        if std::mem::take(&mut self.huge) {
            self.send_huge(config, event);
        } else {
            self.send(config, event);
        }
    }

    /// Keeps record and conversation up to date with how much of the open message's sound exists.
    fn update_heard(&mut self) {
        let Some(running) = &self.response else { return };
        let Some(piece) = running.pieces.last() else { return };
        let PieceKind::Message { bytes, .. } = piece.kind else { return };
        let sent_ms = millis(plays(bytes, running.format));
        self.conversation.update(&piece.item_id, piece.item(ItemStatus::InProgress), Some(sent_ms));
        let item_id = &piece.item_id;
        if let Some(said) = self.record.said.iter_mut().rev().find(|said| said.item_id == *item_id) {
            said.sent_ms = sent_ms;
        }
    }

    fn send_arguments(&mut self, config: &OpenAiConfig, delta: String) {
        let Some(piece) = self.response.as_mut().and_then(|running| running.pieces.last_mut()) else { return };
        let PieceKind::Call { call_id, arguments, .. } = &mut piece.kind else { return };
        arguments.push_str(&delta);
        let call_id = call_id.clone();
        let Some(PartRef { response_id, item_id, output_index, .. }) = self.place() else { return };
        self.send(
            config,
            ServerEvent::ArgumentsDelta(ArgumentsDelta { response_id, item_id, output_index, call_id, delta }),
        );
    }

    /// The caller has been silent for as long as the client allows.
    pub(crate) fn idle(&mut self, house: &mut House<'_>, now: Instant) {
        self.idle_at = None;
        let item_id = name(&mut self.rng, "item");
        let audio_end_ms = millis(self.position());
        let Some(TurnDetection::ServerVad(ServerVad { idle_timeout_ms: Some(ms), .. })) =
            self.settings.audio.input.turn_detection
        else {
            return;
        };
        let audio_start_ms = audio_end_ms.saturating_sub(u64::from(ms));
        let event = TimeoutTriggered { audio_start_ms, audio_end_ms, item_id: item_id.clone() };
        self.send(house.config, ServerEvent::TimeoutTriggered(event));
        self.commit(house.config, now, &item_id, None, f64::from(ms) / 1_000.0);
        let answer = Answer { text: house.config.nudge.clone(), tool: None };
        self.begin(house, now, answer, None);
    }

    /// Where the piece that is open, or was last, stands.
    pub(crate) fn place(&self) -> Option<PartRef> {
        let running = self.response.as_ref()?;
        let piece = running.pieces.last()?;
        let output_index = u32::try_from(running.pieces.len() - 1).unwrap_or(u32::MAX);
        Some(PartRef {
            response_id: running.id.clone(),
            item_id: piece.item_id.clone(),
            output_index,
            content_index: 0,
        })
    }

    pub(crate) fn send_rate_limits(&mut self, config: &OpenAiConfig) {
        let remaining = i64::from(self.rng.u32(10_000..40_000));
        let tokens = RateLimit { name: "tokens".to_owned(), limit: 40_000, remaining, reset_seconds: 0.5 };
        self.send(config, ServerEvent::RateLimits(RateLimits { rate_limits: vec![tokens] }));
    }
}

/// The faults that belong within this sentence's sound.
fn within(fate: &mut Vec<(Moment, Mishap)>, sentence: u32) -> Vec<(Duration, Mishap)> {
    fate.extract_if(.., |(moment, _)| matches!(moment, Moment::Spoken { nth, .. } if *nth == sentence))
        .filter_map(
            |(moment, mishap)| if let Moment::Spoken { audio, .. } = moment { Some((audio, mishap)) } else { None },
        )
        .collect()
}

/// A part of a message in the events about parts, which name its kinds differently from items.
pub(crate) fn part(written: bool, words: Option<String>) -> ContentPart {
    if written {
        ContentPart::text(ContentKind::Text, words.unwrap_or_default())
    } else {
        ContentPart::audio(ContentKind::Audio, words.or_else(|| Some(String::new())))
    }
}

/// Arguments in pieces of a few characters.
fn pieces(arguments: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = arguments.chars().collect();
    letters.chunks(7).map(|piece| piece.iter().collect()).collect::<Vec<String>>().into_iter()
}

/// The words that instructions ask to be said as they are: what follows the first colon, or stands in quotation marks. A
/// real model understands any wording.
fn verbatim(instructions: &str) -> Option<&str> {
    let words = match instructions.split_once(": ") {
        Some((_, words)) => words,
        None => instructions.split_once('"')?.1.rsplit_once('"')?.0,
    };
    let words = words.trim();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_to_be_said_stand_after_a_colon_or_in_quotation_marks() {
        assert_eq!(verbatim("Say exactly this: Hello: how are you?"), Some("Hello: how are you?"));
        assert_eq!(verbatim("Greet the caller with \"Good morning.\""), Some("Good morning."));
        assert_eq!(verbatim("Be brief."), None);
    }
}
