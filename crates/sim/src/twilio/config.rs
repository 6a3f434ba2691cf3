//! What a simulated Twilio is told at its start: who it works for, who picks up, what goes wrong, and a switch for
//! everything Twilio does not document.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use wire::twilio::sid::{AccountSid, PhoneNumberSid};
use wire::twilio::twiml::Webhook;

use crate::phone::{self, CallerScript, DelaySettings, Keep, Line, Pacing};

/// One account at a simulated Twilio.
#[derive(Clone)]
pub struct TwilioConfig {
    /// Where the REST interface listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The account.
    pub account_sid: AccountSid,
    /// What it signs webhooks with, and one way to use the REST interface.
    pub auth_token: String,
    /// Other ways to use the REST interface: `SK…` and its secret. They sign nothing.
    pub api_keys: BTreeMap<String, String>,
    /// The numbers it owns.
    pub numbers: Vec<OwnedNumber>,
    /// The least time between two outbound calls; one second for a new account.
    pub call_interval: Duration,
    /// Who picks up at which number.
    pub callees: BTreeMap<String, Callee>,
    /// Who picks up everywhere else.
    pub default_callee: Callee,
    /// How long things take that a document asks for.
    pub timing: Timing,
    /// How the audio of a stream travels.
    pub network: Network,
    /// What goes wrong.
    pub faults: Faults,
    /// What Twilio does not document.
    pub unknowns: Unknowns,
    /// Decides about ids, faults, jitter and noise. Ids repeat with the seed, so whoever keeps a store over several runs
    /// wants another one each time.
    pub seed: u64,
}

impl TwilioConfig {
    /// An account without numbers, whose callees answer after a second and say nothing.
    pub fn new(account_sid: AccountSid, auth_token: impl Into<String>, seed: u64) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account_sid,
            auth_token: auth_token.into(),
            api_keys: BTreeMap::new(),
            numbers: Vec::new(),
            call_interval: Duration::from_secs(1),
            callees: BTreeMap::new(),
            default_callee: Callee::answers(Duration::from_secs(1), CallerScript::new()),
            timing: Timing::default(),
            network: Network::default(),
            faults: Faults::default(),
            unknowns: Unknowns::default(),
            seed,
        }
    }

    /// Adds an owned number whose calls ask this webhook.
    #[must_use]
    pub fn with_number(mut self, phone_number: &str, voice: Option<Webhook>) -> Self {
        let sid = PhoneNumberSid::from_number(u128::try_from(self.numbers.len()).unwrap_or_default() + 1);
        self.numbers.push(OwnedNumber {
            sid,
            phone_number: phone_number.to_owned(),
            voice,
            voice_fallback: None,
            status_callback: None,
        });
        self
    }
}

impl fmt::Debug for TwilioConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioConfig")
            .field("listen", &self.listen)
            .field("account_sid", &self.account_sid)
            .field("numbers", &self.numbers.len())
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// A number the account owns, and where its calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedNumber {
    /// Its id.
    pub sid: PhoneNumberSid,
    /// E.164.
    pub phone_number: String,
    /// Where TwiML comes from.
    pub voice: Option<Webhook>,
    /// Where it comes from when that fails.
    pub voice_fallback: Option<Webhook>,
    /// Where the end of a call is reported.
    pub status_callback: Option<Webhook>,
}

/// Someone who is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Callee {
    /// How long it takes until something happens.
    pub after: Duration,
    /// What happens.
    pub pickup: Pickup,
    /// What they do once they answered.
    pub script: CallerScript,
}

impl Callee {
    /// Someone who answers after ringing for a while.
    pub fn answers(after: Duration, script: CallerScript) -> Self {
        Self { after, pickup: Pickup::Answers, script }
    }

    /// Something else than an answer.
    pub fn other(after: Duration, pickup: Pickup) -> Self {
        Self { after, pickup, script: CallerScript::new() }
    }
}

/// What happens when someone is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pickup {
    /// It rings, and they answer.
    Answers,
    /// They are busy: it never rings.
    Busy,
    /// It rings until Twilio gives up.
    NeverAnswers,
    /// The carrier refuses, with this SIP code: it never rings.
    Fails(u16),
}

/// How long things take that a document asks for. `<Pause>` takes what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// `<Say>`, for each character.
    pub say_per_character: Duration,
    /// `<Play>`, whatever the file.
    pub play: Duration,
    /// How long the two parties of a `<Dial>` talk until the called one hangs up.
    pub dialled_conversation: Duration,
    /// From the request to dial to the first ring, or refusal.
    pub setup: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            say_per_character: Duration::from_millis(60),
            play: Duration::from_secs(1),
            dialled_conversation: Duration::from_secs(2),
            setup: Duration::from_millis(50),
        }
    }
}

/// How the audio of a stream travels, beside what the real sockets do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    /// How unevenly the caller's audio leaves Twilio.
    pub pacing: Pacing,
    /// From Twilio to the server.
    pub up: DelaySettings,
    /// From the server to Twilio.
    pub down: DelaySettings,
    /// The sound of the line.
    pub line: Line,
    /// What the records hold on to.
    pub keep: Keep,
}

/// What goes wrong, by chance (0 to 1) and by seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Requests for TwiML.
    pub webhooks: WebhookFaults,
    /// Status callbacks of calls and streams.
    pub callbacks: CallbackFaults,
    /// Our own answers to REST requests.
    pub rest: RestFaults,
}

/// What goes wrong with requests for TwiML.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebhookFaults {
    /// The answer is lost on its way, after the server has done its work: Twilio sees a read timeout.
    pub lose_answer: f64,
    /// The longest delay before a request.
    pub delay_max: Duration,
}

/// What goes wrong with status callbacks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallbackFaults {
    /// Never sent.
    pub lose: f64,
    /// Sent twice.
    pub duplicate: f64,
    /// The longest delay of each, on its own: this is what reorders them.
    pub delay_max: Duration,
}

/// What goes wrong with REST requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RestFaults {
    /// 429 with code 20429, and nothing done.
    pub too_many: f64,
    /// 503, and nothing done.
    pub unavailable: f64,
    /// Done, but answered with a gateway's 504.
    pub lose_answer: f64,
    /// The longest delay before an answer.
    pub delay_max: Duration,
}

/// One thing to go wrong with the next REST request, for tests that do not want chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestFault {
    /// 429 with code 20429, and nothing done.
    TooMany,
    /// 503, and nothing done.
    Unavailable,
    /// Done, but answered with a gateway's 504.
    LoseAnswer,
}

/// What Twilio does not document. The defaults are what its users report, or the harder case for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknowns {
    /// About the stream itself.
    pub stream: phone::Unknowns,
    /// Whether a `<Connect>`'s action is requested although the call is over.
    pub action_after_hang_up: bool,
    /// Whether it is requested when the stream never came to be.
    pub action_after_failed_stream: bool,
    /// Whether a server that closes with 1000 is reported as 31921.
    pub clean_close_is_an_error: bool,
    /// How long the stream's server may take to accept.
    pub connect_timeout: Duration,
    /// Which spelling of the stream's URL is signed.
    pub signed_stream_url: SignedUrl,
    /// How a rejected call ends.
    pub rejected_as: RejectedAs,
    /// Whether requests for TwiML carry the idempotency header that callbacks carry.
    pub idempotency_on_voice: bool,
}

impl Default for Unknowns {
    fn default() -> Self {
        Self {
            stream: phone::Unknowns::default(),
            action_after_hang_up: true,
            action_after_failed_stream: true,
            clean_close_is_an_error: false,
            connect_timeout: Duration::from_secs(5),
            signed_stream_url: SignedUrl::AsWritten,
            rejected_as: RejectedAs::NoAnswer,
            idempotency_on_voice: true,
        }
    }
}

/// Which spelling of the stream's URL is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUrl {
    /// As in the TwiML, without its query.
    AsWritten,
    /// With a slash at the end.
    WithSlash,
    /// With `https` for `wss`.
    AsHttp,
}

/// How a call ends that a document rejects without a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectedAs {
    /// `no-answer`.
    NoAnswer,
    /// `failed`.
    Failed,
}
