//! The request for TwiML: an inbound call, an answered outbound one, or the continuation of either.

use super::fields::{Fields, FormError};
use super::{CallStatus, Direction, Form};
use crate::pii::Pii;
use crate::twilio::sid::{AccountSid, CallSid};

/// What Twilio says about a call when it asks what to do (Twilio: voice/twiml, request parameters).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceRequest {
    /// This leg.
    pub call_sid: CallSid,
    /// The owner of the call, perhaps a subaccount.
    pub account_sid: AccountSid,
    /// E.164, `client:…`, `sip:…`, or a word such as `anonymous`. Empty if Twilio did not say.
    pub from: Pii<String>,
    /// E.164, `client:…` or `sip:…`. Empty if Twilio did not say.
    pub to: Pii<String>,
    /// Who called whom.
    pub direction: Option<Direction>,
    /// How far the call has come; `ringing` on an inbound first request, `in-progress` later.
    pub call_status: Option<CallStatus>,
    /// Where the call was diverted from, if the carrier says.
    pub forwarded_from: Option<Pii<String>>,
    /// The caller's registered name, if looked up.
    pub caller_name: Option<Pii<String>>,
    /// The leg that made this one.
    pub parent_call_sid: Option<CallSid>,
    /// Who answered, after synchronous detection.
    pub answered_by: Option<String>,
    /// The carrier's word on the caller's number: a risk signal, not a proof.
    pub stir_verstat: Option<String>,
    /// Keys pressed in a `<Gather>`.
    pub digits: Option<Pii<String>>,
    /// Words recognised in a `<Gather>`.
    pub speech_result: Option<Pii<String>>,
    /// On the fallback URL: what failed.
    pub error_code: Option<u32>,
    /// On the fallback URL: which URL failed.
    pub error_url: Option<String>,
    /// Everything else, as it came.
    pub rest: Form,
}

impl VoiceRequest {
    /// Reads the form; only the two ids must be there.
    pub fn from_form(form: &Form) -> Result<Self, FormError> {
        let mut fields = Fields::new(form);
        let request = Self::take(&mut fields)?;
        Ok(Self { rest: fields.rest(), ..request })
    }

    /// Reads what is ours out of a larger form, whose rest is the caller's.
    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, FormError> {
        Ok(Self {
            call_sid: fields.sid("CallSid")?,
            account_sid: fields.sid("AccountSid")?,
            from: fields.personal("From").unwrap_or_default(),
            to: fields.personal("To").unwrap_or_default(),
            direction: fields.text("Direction").map(|word| Direction::parse(&word)),
            call_status: fields.text("CallStatus").map(|word| CallStatus::parse(&word)),
            forwarded_from: fields.personal("ForwardedFrom"),
            caller_name: fields.personal("CallerName"),
            parent_call_sid: fields.parsed("ParentCallSid"),
            answered_by: fields.text("AnsweredBy"),
            stir_verstat: fields.text("StirVerstat"),
            digits: fields.personal("Digits"),
            speech_result: fields.personal("SpeechResult"),
            error_code: fields.parsed("ErrorCode"),
            error_url: fields.text("ErrorUrl"),
            rest: Form::new(),
        })
    }

    /// Whether the call is answered and not over: the only state in which a next step means anything.
    pub fn is_in_progress(&self) -> bool {
        self.call_status == Some(CallStatus::InProgress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: &str = "CallSid=CA00000000000000000000000000000001&AccountSid=AC00000000000000000000000000000002";

    fn read(more: &str) -> VoiceRequest {
        VoiceRequest::from_form(&Form::parse(format!("{IDS}{more}").as_bytes())).unwrap()
    }

    #[test]
    fn an_inbound_request_is_read_and_the_unknown_kept() {
        let request = read(
            "&From=%2B12025550123&To=%2B12025550100&Direction=inbound&CallStatus=ringing&FromCity=&New=1&New=2\
             &ApiVersion=2010-04-01&StirVerstat=TN-Validation-Passed-A",
        );
        assert_eq!(request.call_sid, CallSid::from_number(1));
        assert_eq!(request.account_sid, AccountSid::from_number(2));
        assert_eq!(request.from.as_str(), "+12025550123");
        assert_eq!(request.direction, Some(Direction::Inbound));
        assert_eq!(request.call_status, Some(CallStatus::Ringing));
        assert_eq!(request.stir_verstat.as_deref(), Some("TN-Validation-Passed-A"));
        let rest: Vec<_> = request.rest.pairs().collect();
        assert_eq!(rest, [("FromCity", ""), ("New", "1"), ("New", "2"), ("ApiVersion", "2010-04-01")]);
    }

    #[test]
    fn odd_callers_are_kept_as_they_are() {
        for from in ["anonymous", "client:alice", "sip:bob@example.com"] {
            assert_eq!(read(&format!("&From={from}")).from.as_str(), from);
        }
        assert_eq!(read("").from.as_str(), "");
    }

    #[test]
    fn a_fallback_request_says_what_failed_and_an_unreadable_code_stays_in_the_rest() {
        let request = read("&ErrorCode=11200&ErrorUrl=https%3A%2F%2Fexample.com%2Fv");
        assert_eq!(request.error_code, Some(11200));
        assert_eq!(request.error_url.as_deref(), Some("https://example.com/v"));
        let request = read("&ErrorCode=soon");
        assert_eq!(request.error_code, None);
        assert_eq!(request.rest.get("ErrorCode"), Some("soon"));
    }

    #[test]
    fn ids_must_be_there_and_be_ids() {
        assert_eq!(VoiceRequest::from_form(&Form::new()), Err(FormError::Missing("CallSid")));
        let form = Form::parse(b"CallSid=CA1&AccountSid=AC00000000000000000000000000000002");
        assert!(matches!(VoiceRequest::from_form(&form), Err(FormError::BadSid("CallSid", _))));
    }

    #[test]
    fn numbers_and_words_do_not_print() {
        let request = read("&From=%2B12025550123&CallerName=Ada&Digits=4111&SpeechResult=hello");
        let printed = format!("{request:?}");
        for secret in ["2025550123", "Ada", "4111", "hello"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
