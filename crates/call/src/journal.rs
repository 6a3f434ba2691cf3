//! What is written down about a call, in order, as it happens.
//!
//! An entry is written once, never changed, and named by (`epoch`, `seq`): writing it again is harmless. The transcript,
//! the call's page and the resumption by another node are all read from here, so an entry must mean the same in a year.
//! There is no entry per frame: what is measured is summed over ten seconds.

use serde::{Deserialize, Serialize};

use crate::agent::EngineKind;

/// One entry of a call's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The media stream within the call.
    pub epoch: u32,
    /// From 1, without gaps within an epoch.
    pub seq: u64,
    /// Wall clock, Unix milliseconds.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// The voice we put on the line.
    Agent,
}

/// One turn of the conversation, as heard. All times are milliseconds from the start of the call's first stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// From 1, counted over both speakers and all epochs.
    pub n: u32,
    /// Who spoke.
    pub speaker: Speaker,
    /// What was said, or was going to be said.
    pub text: String,
    /// What of it reached the ear.
    pub heard_text: String,
    /// Whether `heard_text` was cut at the word nearest to the heard share, for lack of word times.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
    /// When it began.
    pub start_ms: u64,
    /// When it ended.
    pub end_ms: u64,
    /// How much of it was heard.
    pub heard_ms: u64,
    /// Whether the other side cut it off.
    pub interrupted: bool,
    /// Which engine spoke or listened; none for a bundled line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// The strongest expressions of a caller's turn, strongest first, where the engine measures them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
}

/// How strongly a feeling was expressed, 0.0 to 1.0, by the engine's own measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expression {
    /// The engine's name for it, such as `Calmness`.
    pub name: String,
    /// Its strength.
    pub score: f64,
}

/// What the control plane shall tell Twilio when the stream has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum NextStep {
    /// End the call.
    HangUp {
        /// Who ended it.
        ended_by: EndedBy,
        /// Why.
        reason: EndReason,
    },
    /// Connect the caller with this number.
    Transfer {
        /// E.164.
        to: String,
    },
    /// Say this sentence and end the call.
    Apologise {
        /// What to say.
        text: String,
        /// BCP 47 tag of the sentence.
        language: String,
        /// Why the call ends.
        reason: EndReason,
    },
    /// Another node shall go on with the conversation.
    Continue,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The person on the phone.
    Caller,
    /// The agent, by its tool.
    Agent,
    /// A person at the API or the dashboard.
    Operator,
    /// We, for a limit or a failure.
    System,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The agent said goodbye and hung up.
    SaidGoodbye,
    /// Someone hung up.
    HungUp,
    /// The caller was connected with somebody else.
    Transferred,
    /// A limit was reached.
    Limit,
    /// No engine was left.
    NoEngine,
    /// Nobody answered.
    NoAnswer,
    /// The line was busy.
    Busy,
    /// The call was called off before it was answered.
    Canceled,
    /// Something failed that has no better name.
    Error,
}

/// Why an engine could not be used, or was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum LinkCause {
    /// It answered the handshake with this HTTP status.
    Status {
        /// The status.
        status: u16,
    },
    /// Its name could not be resolved.
    Dns,
    /// TLS failed.
    Tls,
    /// Nothing answered in time.
    Timeout,
    /// The connection was refused or broke before it was open.
    Unreachable,
    /// It closed the socket.
    Closed {
        /// The WebSocket close code; none when the socket just ended.
        code: Option<u16>,
    },
    /// It sent nothing although it should have.
    Stalled,
    /// It reported an error that it does not recover from.
    Failed {
        /// The engine's own code.
        code: String,
    },
    /// We closed it, to open a fresh one before the engine's session limit.
    RolledOver,
}

/// What the caller heard while no engine answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// The rest of what the agent was saying, or nothing was missed.
    Speech,
    /// A bundled line.
    Line,
    /// A bundled line, then the comfort tone.
    Tone,
    /// Nothing: the gap was shorter than the time after which a line is played.
    Nothing,
}

/// Why a stream ended, as the node saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// Twilio said that the stream stopped: the caller hung up, or the call was redirected.
    Stopped,
    /// The socket died without a word.
    Lost,
    /// We closed it, after writing a next step.
    Closed,
    /// It never came: the prepared engine was not needed.
    NeverCame,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The node was told to get ready.
    Prepared {
        /// The engines it will try, in order.
        engines: Vec<EngineKind>,
    },
    /// The phone's audio begins.
    StreamStarted {
        /// Twilio's id of the stream.
        stream_sid: String,
    },
    /// An engine is being dialled.
    EngineDialled {
        /// Which.
        engine: EngineKind,
        /// From 1, counted per engine and loss.
        attempt: u32,
    },
    /// An engine is ready.
    EngineReady {
        /// Which.
        engine: EngineKind,
        /// Whether it went on with an earlier conversation.
        resumed: bool,
        /// The vendor's id of the conversation's chain, where it has one (EVI: chat group).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chat_group: Option<String>,
        /// The vendor's id of this session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chat: Option<String>,
        /// From dialling to ready.
        took_ms: u64,
    },
    /// An engine could not be used; the next one is tried.
    EngineRefused {
        /// Which.
        engine: EngineKind,
        /// Why.
        why: LinkCause,
    },
    /// An engine was lost in the call.
    EngineLost {
        /// Which.
        engine: EngineKind,
        /// Why.
        why: LinkCause,
    },
    /// The conversation goes on after a loss.
    EngineResumed {
        /// Which engine goes on.
        engine: EngineKind,
        /// How long no engine answered.
        gap_ms: u64,
        /// What the caller heard meanwhile.
        covered_by: Cover,
    },
    /// The engine reported an error and went on.
    EngineError {
        /// Which.
        engine: EngineKind,
        /// Its own code.
        code: String,
        /// Its own words.
        message: String,
    },
    /// The disclosure was heard to its end.
    DisclosureHeard {
        /// Its text.
        text: String,
        /// Milliseconds from the start of the first stream.
        end_ms: u64,
    },
    /// The agent begins a sentence. The finished turn follows as `turn`.
    Speaking {
        /// The turn it belongs to.
        n: u32,
        /// The sentence.
        text: String,
    },
    /// The first sound of a turn of the agent is played. All times are milliseconds from the start of the call's first
    /// stream.
    FirstSound {
        /// The turn.
        n: u32,
        /// When the caller said the last word that this answers, as it came to us; none where nothing is answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller_end_ms: Option<u64>,
        /// When the sound came from the engine.
        arrived_ms: u64,
        /// When it is played, the way to the phone not counted.
        played_ms: u64,
        /// How long the way to the phone and back takes, by the marks so far.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way_ms: Option<u64>,
    },
    /// A turn is over.
    Turn(Turn),
    /// The caller cut the agent off.
    Interrupted {
        /// The turn that was cut.
        n: u32,
        /// How much of it was heard.
        heard_ms: u64,
        /// How much was dropped unheard.
        dropped_ms: u64,
    },
    /// A bundled line was played.
    LinePlayed {
        /// `hold`, `again` or `sorry`.
        line: String,
    },
    /// The caller spoke another language, and the agent goes on in it.
    LanguageChanged {
        /// BCP 47 tag.
        language: String,
    },
    /// The caller pressed a key.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: String,
    },
    /// The model asked for a tool.
    ToolCalled {
        /// The engine's id of the request.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments, a JSON text.
        arguments: String,
    },
    /// A tool answered, or failed.
    ToolAnswered {
        /// The engine's id of the request.
        id: String,
        /// Whether it succeeded.
        ok: bool,
        /// What the engine was told.
        content: String,
        /// How long it took.
        took_ms: u64,
    },
    /// The agent noted a booking.
    BookingRecorded {
        /// What was booked.
        what: String,
        /// Day and time, as agreed.
        when: String,
        /// For whom.
        name: String,
    },
    /// A person replaced the instructions for the rest of the call.
    Instructed {
        /// All of them.
        instructions: String,
    },
    /// A person, or the control plane, asked for something.
    Commanded {
        /// What.
        command: String,
    },
    /// What Twilio shall be told when the stream has ended.
    NextStep {
        /// The step.
        next: NextStep,
    },
    /// What went over the line in the last ten seconds.
    Measured(Measured),
    /// The stream is over; nothing follows in this epoch.
    StreamEnded {
        /// Why.
        why: StreamEnd,
    },
    /// Something is missing from the record.
    Gap {
        /// What, in words.
        what: String,
        /// How much of it.
        lost_ms: u64,
    },
}

/// Figures of the line, summed since the last entry of this kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Frames that came from the phone.
    pub frames_in: u64,
    /// Caller's audio that never came, by the phone's own clock.
    pub missing_in_ms: u64,
    /// Silence sent to the engine in its place.
    pub filled_ms: u64,
    /// Silent frames left out to catch up.
    pub skipped_ms: u64,
    /// The longest time between two frames from the phone.
    pub interval_in_ms_max: u64,
    /// Frames sent to the phone.
    pub frames_out: u64,
    /// Times that the phone ran dry inside a turn.
    pub underruns: u64,
    /// The most audio that waited to be sent.
    pub queued_ms_max: u64,
    /// Marks that came back in time to prove what was heard.
    pub marks: u64,
    /// Sum of the marks' lag behind the clock, to be divided by `marks`.
    pub mark_lag_ms_sum: u64,
    /// The greatest lag.
    pub mark_lag_ms_max: u64,
    /// Messages from the phone or an engine that could not be read.
    pub malformed: u64,
    /// Messages of a kind we do not know.
    pub unknown: u64,
    /// Agent audio dropped because too much waited to be played already.
    #[serde(default)]
    pub dropped_ms: u64,
    /// Audio that came after the turn it belonged to was cut off, and was dropped.
    pub late_audio_ms: u64,
}
