//! What an engine hears and what it decides to say: the recogniser and the booking assistant, as both engines use them.

use std::time::Duration;

use crate::speech::{Assistant, Event, Heard, Recogniser, Reply, Speaker};

/// The transcript of speech in which nothing was recognised. A real service would write its best guess; this one does
/// not guess, so that a transcript is proof.
pub(crate) const UNINTELLIGIBLE: &str = "[unintelligible]";

/// Whether these words tell the model, in the caller's or the system's place, that it shall go on by itself.
pub(crate) fn is_note(words: &str) -> bool {
    words.trim_start_matches('[').starts_with("The line was gone")
}

/// After this much silence within a turn, what was said so far is worth an interim transcript.
const BREATH: Duration = Duration::from_millis(200);

/// Listens to one caller.
#[derive(Debug, Clone)]
pub(crate) struct Ear {
    recogniser: Recogniser,
    since: Option<Duration>,
    /// For how long the caller had spoken when the last interim transcript was made.
    interim_at: Option<Duration>,
}

/// What the ear notices.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Noticed {
    /// The caller began to speak, then.
    Speech(Duration),
    /// The caller's turn is over.
    Turn(Understood),
}

/// Something the caller said, and when.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Understood {
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
    pub(crate) text: String,
}

impl Ear {
    pub(crate) fn new(end_of_turn_silence: Duration) -> Self {
        Self { recogniser: Recogniser::new(end_of_turn_silence), since: None, interim_at: None }
    }

    pub(crate) fn set_end_of_turn_silence(&mut self, silence: Duration) {
        self.recogniser.set_end_of_turn_silence(silence);
    }

    /// Listens to more samples at 8 kHz.
    pub(crate) fn hear(&mut self, samples: &[i16]) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        for event in self.recogniser.push(samples) {
            match event {
                Event::SpeechStarted { at } => {
                    self.since = Some(at);
                    noticed.push(Noticed::Speech(at));
                }
                Event::TurnEnded(turn) => {
                    (self.since, self.interim_at) = (None, None);
                    noticed.push(Noticed::Turn(understood(&turn)));
                }
            }
        }
        noticed
    }

    /// Ends a turn at once, if one is going on.
    pub(crate) fn finish(&mut self) -> Option<Understood> {
        let turn = self.recogniser.finish()?;
        (self.since, self.interim_at) = (None, None);
        Some(understood(&turn))
    }

    /// How much sound has been heard.
    pub(crate) fn position(&self) -> Duration {
        self.recogniser.position()
    }

    /// When the caller began to speak; `None` between turns.
    pub(crate) fn speaking_since(&self) -> Option<Duration> {
        self.since
    }

    /// For how long the caller has been speaking.
    pub(crate) fn speaking_for(&self) -> Option<Duration> {
        self.recogniser.speaking_for()
    }

    /// What was said so far, whenever the caller draws breath.
    pub(crate) fn so_far(&mut self) -> Option<String> {
        let (since, spoken) = (self.since?, self.recogniser.speaking_for()?);
        let silent = self.recogniser.position().saturating_sub(since + spoken);
        if silent < BREATH || self.interim_at == Some(spoken) {
            return None;
        }
        self.interim_at = Some(spoken);
        self.recogniser.clone().finish()?.text()
    }
}

fn understood(turn: &crate::speech::Turn) -> Understood {
    let text = turn.text().unwrap_or_else(|| UNINTELLIGIBLE.to_owned());
    Understood { begin: turn.start, end: turn.end, text }
}

/// What an engine says and does next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Sentences; empty when there is nothing to say.
    pub(crate) text: String,
    /// A tool to call, and its arguments as JSON.
    pub(crate) tool: Option<(String, String)>,
}

impl Answer {
    pub(crate) fn is_nothing(&self) -> bool {
        self.text.is_empty() && self.tool.is_none()
    }
}

/// More of a conversation is not remembered; the assistant needs the beginning most.
const MOST_REMEMBERED: usize = 500;

/// Decides what to say: the booking assistant, told again what was said whenever its instructions change.
#[derive(Debug, Clone)]
pub(crate) struct Mind {
    assistant: Assistant,
    briefing: Briefing,
    said: Vec<(Speaker, String)>,
}

/// What the assistant goes by. Tools are those it may call, and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Briefing {
    pub(crate) instructions: String,
    pub(crate) language: String,
    pub(crate) tools: Vec<String>,
}

impl Mind {
    pub(crate) fn new(briefing: Briefing) -> Self {
        Self { assistant: assistant(&briefing, &[]), briefing, said: Vec::new() }
    }

    /// The same conversation in a new chat: it knows what was said, and waits for no answer that the old one owed.
    pub(crate) fn resumed(&self) -> Self {
        Self {
            assistant: assistant(&self.briefing, &self.said),
            briefing: self.briefing.clone(),
            said: self.said.clone(),
        }
    }

    /// Changes the instructions in mid-conversation.
    pub(crate) fn brief(&mut self, briefing: Briefing) {
        if self.briefing != briefing {
            self.assistant = assistant(&briefing, &self.said);
            self.briefing = briefing;
        }
    }

    /// Takes in what was said elsewhere.
    pub(crate) fn recall(&mut self, asked: Option<&str>, answered: &str) {
        if let Some(asked) = asked {
            self.remember(Speaker::Caller, asked);
        }
        self.remember(Speaker::Agent, answered);
        self.assistant = assistant(&self.briefing, &self.said);
    }

    /// Answers the caller's words.
    pub(crate) fn answer(&mut self, words: &str) -> Answer {
        let heard = match words {
            "" => Heard::Silence,
            UNINTELLIGIBLE => Heard::Unrecognised,
            words if is_note(words) => Heard::LineGone,
            words => {
                self.remember(Speaker::Caller, words);
                Heard::Said(words)
            }
        };
        let reply = self.assistant.reply(heard);
        self.spoken(reply)
    }

    /// Goes on after a tool's answer; `None` stands for a failure.
    pub(crate) fn tool_answered(&mut self, content: Option<&str>) -> Answer {
        let done = content.is_some_and(|content| !content.starts_with("Error"));
        let reply = self.assistant.tool_result(done);
        self.spoken(reply)
    }

    fn spoken(&mut self, reply: Reply) -> Answer {
        let text = reply.text();
        if !text.is_empty() {
            self.remember(Speaker::Agent, &text);
        }
        Answer { text, tool: reply.tool.map(|tool| (tool.name.to_owned(), tool.arguments.to_string())) }
    }

    fn remember(&mut self, speaker: Speaker, text: &str) {
        if self.said.len() < MOST_REMEMBERED {
            self.said.push((speaker, text.to_owned()));
        }
    }
}

fn assistant(briefing: &Briefing, said: &[(Speaker, String)]) -> Assistant {
    let Briefing { instructions, language, tools } = briefing;
    Assistant::by_instructions(instructions, language)
        .with_tools(tools.iter().cloned())
        .resumed(said.iter().map(|(speaker, text)| (*speaker, text.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn briefing(tools: &[&str]) -> Briefing {
        Briefing {
            language: "en".to_owned(),
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            ..Briefing::default()
        }
    }

    #[test]
    fn what_was_said_survives_a_change_of_instructions() {
        let mut steady = Mind::new(briefing(&[]));
        let mut changed = Mind::new(briefing(&[]));
        for mind in [&mut steady, &mut changed] {
            assert!(!mind.answer("I'd like to book an appointment.").is_nothing());
        }
        changed.brief(Briefing { instructions: "You work for a dentist.".to_owned(), ..briefing(&[]) });
        assert_eq!(steady.answer("Tuesday at ten, please."), changed.answer("Tuesday at ten, please."));
    }

    #[test]
    fn a_tool_that_was_not_offered_is_not_called() {
        let mut mind = Mind::new(briefing(&[]));
        assert_eq!(mind.answer("No, thank you. Goodbye.").tool, None);
        let mut mind = Mind::new(briefing(&["hang_up"]));
        assert_eq!(mind.answer("No, thank you. Goodbye.").tool.map(|(name, _)| name).as_deref(), Some("hang_up"));
    }
}
