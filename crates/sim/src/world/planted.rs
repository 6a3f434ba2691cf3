//! Bugs on purpose, between the call and the world: each must be found by [`check`](super::check), or the checks are toys.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use call::journal::{EndedBy, Kind};
use call::{Call, Command, Input, LinkEvent, LinkRequest, Output, PhoneEvent};
use wire::twilio::stream::Outbound;

use super::tape::Tape;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// An interruption clears nothing at the phone.
    NoClear,
    /// Marks that a `clear` set free count as heard.
    ClearedMarksCount,
    /// Audio of an interrupted sentence is played when it comes late.
    LateAudioPlayed,
    /// The settings are sent to the first session only.
    SettingsSentOnce,
    /// The line is closed when the agent asks for it, not when its goodbye was heard.
    GoodbyeCut,
    /// Caller's audio goes up twice.
    UpwardTwice,
    /// Every fiftieth frame of the caller is forgotten.
    UpwardLost,
    /// Silence is not sent up, so that no turn ever ends.
    UpwardWithoutSilence,
    /// Links are left open.
    LinkLeftOpen,
    /// A lost chat is not resumed but begun anew.
    NotResumed,
    /// The journal has holes.
    JournalHole,
    /// No bundled line is heard.
    NoLine,
    /// Marks carry a key that Twilio does not know.
    ExtraKey,
    /// The caller hangs up and nobody notices.
    HangUpUnnoticed,
    /// OpenAI is told that more was heard than there was.
    TruncatedTooLate,
    /// The next step is written after the socket was closed.
    StepAfterClose,
    /// Every session greets.
    GreetsAgain,
    /// The disclosure is not said.
    NoDisclosure,
    /// An answer that was begun early is said, whether or not the caller goes on.
    EarlyNotWithdrawn,
    /// The context of an interrupted answer is not cancelled.
    ContextNotCancelled,
    /// The model is told whole sentences, whatever was heard of them.
    HistoryNotCut,
    /// A link of the cascade that was lost is not dialled again.
    LinkNotRedialled,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NoClear,
        Self::ClearedMarksCount,
        Self::LateAudioPlayed,
        Self::SettingsSentOnce,
        Self::GoodbyeCut,
        Self::UpwardTwice,
        Self::UpwardLost,
        Self::UpwardWithoutSilence,
        Self::LinkLeftOpen,
        Self::NotResumed,
        Self::JournalHole,
        Self::NoLine,
        Self::ExtraKey,
        Self::HangUpUnnoticed,
        Self::TruncatedTooLate,
        Self::StepAfterClose,
        Self::GreetsAgain,
        Self::NoDisclosure,
    ];

    /// Those that only the cascade can have.
    pub const CASCADE: [Self; 4] =
        [Self::EarlyNotWithdrawn, Self::ContextNotCancelled, Self::HistoryNotCut, Self::LinkNotRedialled];
}

/// The name of an output, for counting.
#[must_use]
pub fn name(output: &Output) -> &'static str {
    match output {
        Output::Phone(Outbound::Media { .. }) => "phone media",
        Output::Phone(Outbound::Mark { .. }) => "phone mark",
        Output::Phone(Outbound::Clear) => "phone clear",
        Output::ClosePhone => "close phone",
        Output::Open { .. } => "open link",
        Output::Send { .. } => "send",
        Output::SendBinary { .. } => "send binary",
        Output::Close { .. } => "close link",
        Output::Tool(_) => "tool",
        Output::Journal(_) => "journal",
        Output::Record(_) => "record",
        Output::NextStep(_) => "next step",
        Output::Wait(_) => "wait",
        Output::Finished => "finished",
    }
}

/// A call with at most one bug.
pub struct Planted {
    call: Call,
    bug: Option<Bug>,
    extra: VecDeque<Output>,
    held_step: Option<Output>,
    marks: VecDeque<String>,
    count: u64,
    mute: u32,
    interrupted: bool,
    /// After a `clear`, marks are taken for returned as soon as they are sent: each return counts for the next mark.
    shifted: bool,
    /// What each context was given to say.
    said: BTreeMap<String, String>,
    /// What reached the call, since when.
    tape: Option<(Instant, Tape)>,
}

impl Planted {
    pub(super) fn new(call: Call, bug: Option<Bug>, tape: Option<(Instant, Tape)>) -> Self {
        Self {
            call,
            tape,
            bug,
            extra: VecDeque::new(),
            held_step: None,
            marks: VecDeque::new(),
            count: 0,
            mute: 0,
            interrupted: false,
            shifted: false,
            said: BTreeMap::new(),
        }
    }

    /// All that reached the call.
    pub(super) fn into_tape(self) -> Option<Tape> {
        self.tape.map(|(_, tape)| tape)
    }

    pub(super) fn handle(&mut self, now: Instant, input: Input<'_>) {
        if let Some((began, tape)) = &mut self.tape {
            tape.keep(now - *began, &input);
        }
        match (self.bug, &input) {
            (Some(Bug::HangUpUnnoticed), Input::Phone(PhoneEvent::Stopped | PhoneEvent::Lost)) => {}
            (Some(Bug::ClearedMarksCount), _) if self.shifted => {
                for name in std::mem::take(&mut self.marks) {
                    self.call.handle(now, Input::Phone(PhoneEvent::Mark { name: &name }));
                }
                self.call.handle(now, input);
            }
            (Some(Bug::LateAudioPlayed), Input::Link(link, LinkEvent::Text(text))) => {
                self.interrupted |= is_interruption(text);
                if self.interrupted && text.contains("\"audio_output\"") {
                    self.count += 1;
                    let renamed = text.replacen("\"id\":\"", &format!("\"id\":\"late{}", self.count), 1);
                    return self.call.handle(now, Input::Link(*link, LinkEvent::Text(&renamed)));
                }
                if text.contains("\"user_message\"") {
                    self.interrupted = false;
                }
                self.call.handle(now, input);
            }
            (Some(Bug::GoodbyeCut), Input::Link(_, LinkEvent::Text(text)))
                if text.contains("\"hang_up\"")
                    && (text.contains("\"tool_call\"") || text.contains("response.done")) =>
            {
                self.call.handle(now, Input::Command(Command::HangUp { by: EndedBy::Agent }));
            }
            (Some(Bug::EarlyNotWithdrawn), Input::Link(link, LinkEvent::Text(text)))
                if text.contains("\"EagerEndOfTurn\"") =>
            {
                let taken = text.replacen("EagerEndOfTurn", "EndOfTurn", 1);
                self.call.handle(now, Input::Link(*link, LinkEvent::Text(&taken)));
            }
            _ => self.call.handle(now, input),
        }
    }

    pub(super) fn poll(&mut self) -> Output {
        loop {
            if let Some(extra) = self.extra.pop_front() {
                return extra;
            }
            let output = self.call.poll();
            if let Some(output) = self.alter(output) {
                return output;
            }
        }
    }

    fn alter(&mut self, output: Output) -> Option<Output> {
        if let Output::Phone(Outbound::Mark { name }) = &output {
            self.marks.push_back(name.clone());
        }
        let Some(bug) = self.bug else { return Some(output) };
        if let Output::Phone(Outbound::Clear) = &output {
            self.marks.clear();
            self.shifted = true;
        }
        match (bug, output) {
            (Bug::NoClear, Output::Phone(Outbound::Clear)) => None,
            (Bug::SettingsSentOnce, Output::Send { link, text })
                if link.seat > 1 && text.contains("\"session_settings\"") =>
            {
                None
            }
            (Bug::UpwardTwice, output @ Output::Send { .. }) if is_audio(&output) => {
                self.extra.push_back(output.clone());
                Some(output)
            }
            (Bug::UpwardLost, output @ Output::Send { .. }) if is_audio(&output) => {
                self.count += 1;
                (!self.count.is_multiple_of(50)).then_some(output)
            }
            (Bug::UpwardWithoutSilence, output @ Output::Send { .. }) if is_audio(&output) => {
                (!is_silence(&output)).then_some(output)
            }
            (Bug::LinkLeftOpen, Output::Close { .. }) => None,
            (Bug::NotResumed, Output::Open { link, request: LinkRequest::Hume(mut connect) }) => {
                connect.resumed_chat_group_id = None;
                Some(Output::Open { link, request: LinkRequest::Hume(connect) })
            }
            (Bug::JournalHole, output @ Output::Journal(_)) => {
                self.count += 1;
                (!self.count.is_multiple_of(7)).then_some(output)
            }
            (Bug::NoLine, Output::Journal(entry)) => {
                if let Kind::LinePlayed { .. } = entry.kind {
                    self.mute = 80;
                }
                Some(Output::Journal(entry))
            }
            (Bug::NoLine, Output::Phone(Outbound::Media { .. })) if self.mute > 0 => {
                self.mute -= 1;
                None
            }
            (Bug::TruncatedTooLate, Output::Send { link, text }) if text.contains("conversation.item.truncate") => {
                let mut value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                value["audio_end_ms"] = 900_000.into();
                Some(Output::Send { link, text: value.to_string() })
            }
            (Bug::StepAfterClose, step @ Output::NextStep(_)) => {
                self.held_step = Some(step);
                None
            }
            (Bug::StepAfterClose, Output::ClosePhone) => {
                self.extra.extend(self.held_step.take());
                Some(Output::ClosePhone)
            }
            (Bug::GreetsAgain, Output::Send { link, text })
                if link.seat > 1 && text.contains("\"session_settings\"") =>
            {
                let text_again =
                    r#"{"type":"assistant_input","text":"Thank you for calling Riverside Dental."}"#.to_owned();
                self.extra.push_back(Output::Send { link, text: text_again });
                Some(Output::Send { link, text })
            }
            (Bug::NoDisclosure, Output::Send { link, text })
                if text.contains("AI assistant")
                    && (text.contains("assistant_input") || text.contains("response.create")) =>
            {
                let text = text.replace("AI assistant", "assistant").replace("recorded", "fine");
                Some(Output::Send { link, text })
            }
            (Bug::ContextNotCancelled, Output::Send { text, .. }) if text.contains("\"cancel\":true") => None,
            (Bug::LinkNotRedialled, Output::Open { link, request })
                if link.port > 1 && !matches!(request, LinkRequest::Groq(_)) =>
            {
                None
            }
            (Bug::HistoryNotCut, output @ Output::Send { .. }) => {
                self.note_words(&output);
                Some(output)
            }
            (Bug::HistoryNotCut, Output::Open { link, request: LinkRequest::Groq(body) }) => {
                Some(Output::Open { link, request: LinkRequest::Groq(self.uncut(&body)) })
            }
            (_, output) => Some(output),
        }
    }

    fn note_words(&mut self, output: &Output) {
        let Output::Send { text, .. } = output else { return };
        let Ok(message) = serde_json::from_str::<serde_json::Value>(text) else { return };
        if let (Some(context), Some(words)) = (message["context_id"].as_str(), message["transcript"].as_str()) {
            self.said.entry(context.to_owned()).or_default().push_str(words);
        }
    }

    /// The request with each sentence of the agent as it was to be said.
    fn uncut(&self, body: &str) -> String {
        let mut request: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        for message in request["messages"].as_array_mut().into_iter().flatten() {
            let Some(said) = message["content"].as_str().filter(|_| message["role"] == "assistant") else { continue };
            if let Some(whole) = self.said.values().find(|whole| !said.is_empty() && whole.trim().starts_with(said)) {
                message["content"] = whole.trim().into();
            }
        }
        request.to_string()
    }
}

fn is_interruption(text: &str) -> bool {
    text.contains("\"user_interruption\"") || text.contains("input_audio_buffer.speech_started")
}

/// Whether a message carries caller's audio.
pub(super) fn is_audio(output: &Output) -> bool {
    matches!(output, Output::Send { text, .. } if text.contains("\"audio_input\"") || text.contains("input_audio_buffer.append"))
}

fn is_silence(output: &Output) -> bool {
    // linear16 zeros, or mu-law 0xFF.
    matches!(output, Output::Send { text, .. } if text.contains("AAAAAAAAAAAAAAAAAAAA") || text.contains("////////////////////"))
}
