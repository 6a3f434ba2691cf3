//! What goes into a call and what comes out of it.

use std::time::Instant;

use bytes::Bytes;
use wire::twilio::stream::Outbound;

use crate::journal::{EndedBy, Entry, LinkCause, NextStep, Speaker};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// On the phone's side.
    Phone(PhoneEvent<'a>),
    /// On a link to an engine.
    Link(LinkId, LinkEvent<'a>),
    /// Somebody asks for something.
    Command(Command),
    /// A tool that the shell ran has answered.
    Tool {
        /// The engine's id of the request.
        id: &'a str,
        /// What it found, or what went wrong, in words for the model.
        answer: Result<&'a str, &'a str>,
    },
    /// The deadline of the last [`Output::Wait`] has come.
    Wake,
}

/// On the phone's side.
#[derive(Clone, Debug)]
pub enum PhoneEvent<'a> {
    /// The stream is up.
    Started {
        /// Twilio's id of it.
        stream_sid: &'a str,
    },
    /// Audio of the caller.
    Media {
        /// The phone's own clock: milliseconds since the stream started.
        timestamp_ms: u64,
        /// mu-law, 8 kHz.
        payload: &'a [u8],
    },
    /// A key was pressed.
    Dtmf {
        /// Which.
        digit: &'a str,
    },
    /// A mark came back.
    Mark {
        /// Its name.
        name: &'a str,
    },
    /// Twilio says that the stream is over.
    Stopped,
    /// The socket is gone without a word.
    Lost,
    /// A message that could not be read.
    Malformed,
    /// A message of a kind we do not know.
    Unknown,
}

/// On a link to an engine.
#[derive(Clone, Debug)]
pub enum LinkEvent<'a> {
    /// The handshake succeeded.
    Opened,
    /// It did not.
    Refused(LinkCause),
    /// A text message.
    Text(&'a str),
    /// A binary message. None of the engines sends one.
    Binary,
    /// The link is gone, with the close code if there was one.
    Lost(Option<u16>),
}

/// A link, as call and shell name it. Never used twice within an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// Counts the engines that were dialled.
    pub seat: u32,
    /// Counts the links of one engine: an engine may need several.
    pub port: u8,
}

/// Where a link leads. The shell adds the base URL and the credentials, which a call never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkRequest {
    /// A chat with EVI.
    Hume(Box<wire::hume::connect::Connect>),
    /// A session with OpenAI Realtime; the model is the shell's setting.
    OpenAi,
}

/// Somebody asks for something.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// End the call now.
    HangUp {
        /// Who asks.
        by: EndedBy,
    },
    /// Connect the caller with somebody else, after the sentence that is being said.
    Transfer {
        /// E.164.
        to: String,
    },
    /// Say this.
    Say {
        /// The words.
        text: String,
    },
    /// From now on, these instructions.
    Instruct {
        /// All of them: they replace the agent's.
        instructions: String,
    },
    /// This node is going down: the call may end by itself; towards the end of this time it is handed over between turns, and
    /// at the latest then.
    Drain {
        /// From now.
        within_ms: u64,
    },
}

/// A tool that the shell shall run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// The engine's id of the request, to be given back with the answer.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The same for a request that is made again after an engine was lost: who has answered it need not do it again.
    pub key: String,
    /// Where it is asked.
    pub url: String,
    /// The agent that asks.
    pub agent: String,
    /// Its arguments, which fit the tool's schema.
    pub arguments: serde_json::Map<String, serde_json::Value>,
    /// An answer after this comes too late.
    pub deadline: Instant,
}

/// Recorded audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whose voice.
    pub track: Speaker,
    /// Where it belongs, in milliseconds since this epoch's stream started.
    pub at_ms: u64,
    /// mu-law, 8 kHz.
    pub audio: Bytes,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this to the phone.
    Phone(Outbound),
    /// Close the phone's socket. The next step, if any, came before.
    ClosePhone,
    /// Open a link.
    Open {
        /// Its name.
        link: LinkId,
        /// Where to.
        request: LinkRequest,
    },
    /// Send this text on a link.
    Send {
        /// The link.
        link: LinkId,
        /// The message.
        text: String,
    },
    /// Close a link, whether it is open, being opened or already gone.
    Close {
        /// The link.
        link: LinkId,
    },
    /// Run a tool.
    Tool(ToolRequest),
    /// Write this down.
    Journal(Entry),
    /// Record this.
    Record(Recorded),
    /// Write this step down and keep it, before the phone's socket is closed.
    NextStep(NextStep),
    /// Nothing to do until then, or until something happens.
    Wait(Instant),
    /// The call is over here. Everything is closed or about to be.
    Finished,
}
