//! What Twilio tells us unasked: a call's progress, a stream's life, and how a `<Dial>` went.

use std::time::Duration;

use jiff::Timestamp;

use super::fields::{Fields, FormError};
use super::{CallStatus, Form, VoiceRequest};
use crate::pii::Pii;
use crate::twilio::sid::{AccountSid, CallSid, StreamSid};
use crate::twilio::time;

/// Progress of a call. Several arrive, in any order, perhaps twice, perhaps never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCallback {
    /// The usual keys; among them the new status. Its `rest` is empty, see [`StatusCallback::rest`].
    pub request: VoiceRequest,
    /// The new status.
    pub status: CallStatus,
    /// Number of this callback, from 0.
    pub sequence_number: Option<u64>,
    /// When it happened.
    pub timestamp: Option<Timestamp>,
    /// `call-progress-events`.
    pub callback_source: Option<String>,
    /// On the last one: how long the call was.
    pub call_duration: Option<Duration>,
    /// On the last one: what is billed, in minutes begun.
    pub billed_minutes: Option<u64>,
    /// On the last one: the carrier's answer, such as 487.
    pub sip_response_code: Option<u16>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// Everything else, as it came.
    pub rest: Form,
}

impl StatusCallback {
    /// Reads the form; the ids and the status must be there.
    pub fn from_form(form: &Form) -> Result<Self, FormError> {
        let mut fields = Fields::new(form);
        let request = VoiceRequest::take(&mut fields)?;
        Ok(Self {
            status: request.call_status.clone().ok_or(FormError::Missing("CallStatus"))?,
            request,
            sequence_number: fields.parsed("SequenceNumber"),
            timestamp: fields.moment("Timestamp", time::parse_rfc2822),
            callback_source: fields.text("CallbackSource"),
            call_duration: fields.seconds("CallDuration"),
            billed_minutes: fields.parsed("Duration"),
            sip_response_code: fields.parsed("SipResponseCode"),
            error_message: fields.text("ErrorMessage"),
            rest: fields.rest(),
        })
    }
}

/// A moment in the life of a media stream. Its order relative to the stream's own messages is not guaranteed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCallback {
    /// The account.
    pub account_sid: AccountSid,
    /// The call's leg.
    pub call_sid: CallSid,
    /// The stream, which may be unknown when it never came to be.
    pub stream_sid: Option<StreamSid>,
    /// The name given in TwiML, or the stream's id.
    pub stream_name: Option<String>,
    /// What happened.
    pub event: StreamEvent,
    /// The error's text, with [`StreamEvent::Error`].
    pub error: Option<String>,
    /// When it happened.
    pub timestamp: Option<Timestamp>,
    /// Everything else, as it came.
    pub rest: Form,
}

/// What happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// It is connected.
    Started,
    /// It ended.
    Stopped,
    /// It could not be connected, or broke.
    Error,
    /// An event this version does not know.
    Other(String),
}

impl StreamEvent {
    /// Reads the word on the wire. The short spellings are not documented, but have been expected by others.
    pub fn parse(word: &str) -> Self {
        match word {
            "stream-started" | "start" => Self::Started,
            "stream-stopped" | "stop" => Self::Stopped,
            "stream-error" | "error" => Self::Error,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// The documented word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Started => "stream-started",
            Self::Stopped => "stream-stopped",
            Self::Error => "stream-error",
            Self::Other(word) => word,
        }
    }
}

impl StreamCallback {
    /// Reads the form; the ids and the event must be there.
    pub fn from_form(form: &Form) -> Result<Self, FormError> {
        let mut fields = Fields::new(form);
        let event = fields.text("StreamEvent").ok_or(FormError::Missing("StreamEvent"))?;
        Ok(Self {
            account_sid: fields.sid("AccountSid")?,
            call_sid: fields.sid("CallSid")?,
            stream_sid: fields.parsed("StreamSid"),
            stream_name: fields.text("StreamName"),
            event: StreamEvent::parse(&event),
            error: fields.text("StreamError"),
            timestamp: fields.moment("Timestamp", time::parse_iso8601),
            rest: fields.rest(),
        })
    }
}

/// The request of a `<Dial>`'s action, when the dialled party is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialCallback {
    /// The usual keys, about the caller's leg. Its `rest` is empty, see [`DialCallback::rest`].
    pub request: VoiceRequest,
    /// How the dialled leg went.
    pub dial_call_status: DialCallStatus,
    /// The dialled leg.
    pub dial_call_sid: Option<CallSid>,
    /// How long the parties were connected.
    pub dial_call_duration: Option<Duration>,
    /// Whether they were connected at all.
    pub bridged: Option<bool>,
    /// The carrier's answer on the dialled leg.
    pub sip_response_code: Option<u16>,
    /// Where a recording of it is.
    pub recording_url: Option<Pii<String>>,
    /// Everything else, as it came.
    pub rest: Form,
}

/// How a dialled leg went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialCallStatus {
    /// Answered, and over.
    Completed,
    /// Answered.
    Answered,
    /// Busy.
    Busy,
    /// Not answered in time.
    NoAnswer,
    /// Could not be placed.
    Failed,
    /// The caller hung up first.
    Canceled,
    /// A status this version does not know.
    Other(String),
}

impl DialCallStatus {
    /// Reads the word on the wire. Never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "completed" => Self::Completed,
            "answered" => Self::Answered,
            "busy" => Self::Busy,
            "no-answer" => Self::NoAnswer,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Completed => "completed",
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Other(word) => word,
        }
    }
}

impl DialCallback {
    /// Reads the form; the ids and the dialled leg's status must be there.
    pub fn from_form(form: &Form) -> Result<Self, FormError> {
        let mut fields = Fields::new(form);
        let request = VoiceRequest::take(&mut fields)?;
        let status = fields.text("DialCallStatus").ok_or(FormError::Missing("DialCallStatus"))?;
        Ok(Self {
            request,
            dial_call_status: DialCallStatus::parse(&status),
            dial_call_sid: fields.parsed("DialCallSid"),
            dial_call_duration: fields.seconds("DialCallDuration"),
            bridged: fields.parsed("DialBridged"),
            sip_response_code: fields.parsed("DialSipResponseCode"),
            recording_url: fields.personal("RecordingUrl"),
            rest: fields.rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: &str = "CallSid=CA00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000002";

    fn form(more: &str) -> Form {
        Form::parse(format!("{IDS}{more}").as_bytes())
    }

    #[test]
    fn a_final_status_callback_is_read_whole() {
        let callback = StatusCallback::from_form(&form(
            "&CallStatus=completed&SequenceNumber=3&Timestamp=Sun%2C+25+Mar+2018+09%3A53%3A19+%2B0000\
             &CallbackSource=call-progress-events&CallDuration=61&Duration=2&SipResponseCode=200&FromCity=",
        ))
        .unwrap();
        assert_eq!(callback.status, CallStatus::Completed);
        assert_eq!(callback.sequence_number, Some(3));
        assert_eq!(callback.timestamp.unwrap().to_string(), "2018-03-25T09:53:19Z");
        assert_eq!(callback.call_duration, Some(Duration::from_secs(61)));
        assert_eq!(callback.billed_minutes, Some(2));
        assert_eq!(callback.sip_response_code, Some(200));
        assert_eq!(callback.rest.pairs().collect::<Vec<_>>(), [("FromCity", "")]);
    }

    #[test]
    fn a_status_callback_with_odd_values_keeps_them() {
        let callback =
            StatusCallback::from_form(&form("&CallStatus=paused&SequenceNumber=first&Timestamp=now")).unwrap();
        assert_eq!(callback.status, CallStatus::Other("paused".into()));
        assert_eq!(callback.sequence_number, None);
        assert_eq!(callback.rest.get("SequenceNumber"), Some("first"));
        assert_eq!(callback.rest.get("Timestamp"), Some("now"));
        assert_eq!(StatusCallback::from_form(&form("")), Err(FormError::Missing("CallStatus")));
    }

    #[test]
    fn stream_events_are_read_in_both_spellings() {
        for (words, event) in [
            (["stream-started", "start"], StreamEvent::Started),
            (["stream-stopped", "stop"], StreamEvent::Stopped),
            (["stream-error", "error"], StreamEvent::Error),
        ] {
            for word in words {
                let callback = StreamCallback::from_form(&form(&format!("&StreamEvent={word}"))).unwrap();
                assert_eq!(callback.event, event);
            }
            assert_eq!(event.as_str(), words[0]);
        }
        assert_eq!(StreamEvent::parse("paused").as_str(), "paused");
    }

    #[test]
    fn a_stream_error_is_read_whole() {
        let callback = StreamCallback::from_form(&form(
            "&StreamSid=MZ00000000000000000000000000000003&StreamName=main&StreamEvent=stream-error\
             &StreamError=handshake&Timestamp=2026-05-01T10%3A00%3A00.5Z",
        ))
        .unwrap();
        assert_eq!(callback.stream_sid, Some(StreamSid::from_number(3)));
        assert_eq!(callback.stream_name.as_deref(), Some("main"));
        assert_eq!(callback.error.as_deref(), Some("handshake"));
        assert_eq!(callback.timestamp.unwrap().to_string(), "2026-05-01T10:00:00.5Z");
        assert!(callback.rest.is_empty());
    }

    #[test]
    fn a_dial_action_says_how_the_transfer_went() {
        let callback = DialCallback::from_form(&form(
            "&CallStatus=in-progress&DialCallStatus=no-answer&DialCallDuration=0&DialBridged=false\
             &DialCallSid=CA00000000000000000000000000000009&DialSipResponseCode=487",
        ))
        .unwrap();
        assert_eq!(callback.dial_call_status, DialCallStatus::NoAnswer);
        assert_eq!(callback.dial_call_sid, Some(CallSid::from_number(9)));
        assert_eq!(callback.dial_call_duration, Some(Duration::ZERO));
        assert_eq!(callback.bridged, Some(false));
        assert_eq!(callback.sip_response_code, Some(487));
        assert!(callback.request.is_in_progress());
        for word in ["completed", "answered", "busy", "no-answer", "failed", "canceled", "other"] {
            assert_eq!(DialCallStatus::parse(word).as_str(), word);
        }
    }
}
