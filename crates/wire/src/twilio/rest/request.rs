//! What we ask of Twilio about calls: place one, change one, find some.
//!
//! Each request writes itself as a form, and is read back from one with Twilio's refusals, for the simulated Twilio.

use std::time::Duration;

use jiff::civil::Date;

use super::error::{RestError, code};
use crate::pii::Pii;
use crate::twilio::form::{CallStatus, Form};
use crate::twilio::twiml::{Method, Webhook, check_parameter_size};

/// A call to place. There is no way to place it idempotently: a request whose answer was lost is looked up, not
/// repeated (Twilio: voice/api/call-resource).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCall {
    /// E.164, `client:…` or `sip:…`.
    pub to: Pii<String>,
    /// A number that we own.
    pub from: Pii<String>,
    /// What happens when it is answered.
    pub answer: Answer,
    /// Where to ask when that fails; only beside [`Answer::Url`] and [`Answer::Twiml`].
    pub fallback: Option<Webhook>,
    /// Where progress is reported.
    pub status_callback: Option<Webhook>,
    /// Which progress is reported; none means the end only.
    pub status_callback_events: Vec<CallEvent>,
    /// How long it rings, in whole seconds: 60 s by default, 600 s at most.
    pub timeout: Option<Duration>,
    /// How long the call may last, in whole seconds.
    pub time_limit: Option<Duration>,
    /// Keys to press once it is answered: `0-9 A-D # * w W`, at most 32.
    pub send_digits: Option<Pii<String>>,
}

/// What happens when a call is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// TwiML is requested.
    Url(Webhook),
    /// TwiML is given now, at most 4000 characters of it.
    Twiml(String),
    /// An application decides.
    Application(String),
}

/// Progress that can be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallEvent {
    /// Dialling.
    Initiated,
    /// Ringing.
    Ringing,
    /// Answered.
    Answered,
    /// Ended, however it ended.
    Completed,
}

/// Limits of the interface (Twilio: voice/api/call-resource).
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
const SEND_DIGITS_MAX: usize = 32;

impl CallEvent {
    /// All of them, in the order they happen.
    pub const ALL: [Self; 4] = [Self::Initiated, Self::Ringing, Self::Answered, Self::Completed];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
        }
    }
}

impl CreateCall {
    /// A call with what it cannot be without.
    pub fn new(to: impl Into<Pii<String>>, from: impl Into<Pii<String>>, answer: Answer) -> Self {
        Self {
            to: to.into(),
            from: from.into(),
            answer,
            fallback: None,
            status_callback: None,
            status_callback_events: Vec::new(),
            timeout: None,
            time_limit: None,
            send_digits: None,
        }
    }

    /// The request's form.
    pub fn to_form(&self) -> Form {
        let mut form = Form::new();
        form.push("To", self.to.as_str());
        form.push("From", self.from.as_str());
        match &self.answer {
            Answer::Url(webhook) => push_webhook(&mut form, "Url", "Method", Some(webhook)),
            Answer::Twiml(twiml) => form.push("Twiml", twiml),
            Answer::Application(sid) => form.push("ApplicationSid", sid),
        }
        push_webhook(&mut form, "FallbackUrl", "FallbackMethod", self.fallback.as_ref());
        push_webhook(&mut form, "StatusCallback", "StatusCallbackMethod", self.status_callback.as_ref());
        for event in &self.status_callback_events {
            form.push("StatusCallbackEvent", event.as_str());
        }
        form.push_some("Timeout", self.timeout.map(|timeout| timeout.as_secs().to_string()));
        form.push_some("TimeLimit", self.time_limit.map(|limit| limit.as_secs().to_string()));
        form.push_some("SendDigits", self.send_digits.as_ref().map(|digits| digits.as_str()));
        form
    }

    /// Reads the request's form as Twilio does, with its refusals for what is missing or malformed. Whether numbers
    /// exist and belong to the account is not decided here. Keys we never send are ignored.
    pub fn from_form(form: &Form) -> Result<Self, RestError> {
        let to = value(form, "To").ok_or_else(|| refusal(code::NO_TO, "no To number"))?;
        let from = value(form, "From").ok_or_else(|| refusal(code::NO_FROM, "no From number"))?;
        // An application outranks a URL, a URL outranks TwiML.
        let answer = if let Some(sid) = value(form, "ApplicationSid") {
            Answer::Application(sid.to_owned())
        } else if let Some(webhook) = read_webhook(form, "Url", "Method")? {
            Answer::Url(webhook)
        } else if let Some(twiml) = value(form, "Twiml") {
            check_parameter_size(twiml).map_err(|error| refusal(error.code, error.to_string()))?;
            Answer::Twiml(twiml.to_owned())
        } else {
            return Err(refusal(code::INVALID_URL, "neither Url nor Twiml nor ApplicationSid"));
        };
        let fallback = read_webhook(form, "FallbackUrl", "FallbackMethod")?;
        let timeout = seconds(form, "Timeout")?;
        if timeout.is_some_and(|timeout| timeout > TIMEOUT_MAX) {
            return Err(refusal(code::INVALID_TIMEOUT, "Timeout above 600"));
        }
        let send_digits = value(form, "SendDigits");
        if let Some(digits) = send_digits {
            let known = |key: char| matches!(key, '0'..='9' | 'A'..='D' | '#' | '*' | 'w' | 'W');
            if digits.chars().count() > SEND_DIGITS_MAX || !digits.chars().all(known) {
                return Err(refusal(code::INVALID_SEND_DIGITS, "SendDigits cannot be pressed"));
            }
        }
        Ok(Self {
            to: to.into(),
            from: from.into(),
            answer,
            fallback,
            status_callback: read_webhook(form, "StatusCallback", "StatusCallbackMethod")?,
            status_callback_events: form
                .get_all("StatusCallbackEvent")
                .filter_map(|word| CallEvent::ALL.into_iter().find(|event| event.as_str() == word))
                .collect(),
            timeout,
            time_limit: seconds(form, "TimeLimit")?,
            send_digits: send_digits.map(Pii::from),
        })
    }
}

/// A change to a call that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateCall {
    /// What to change.
    pub change: CallChange,
}

/// What can be changed. Each leaves the verb that the call is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallChange {
    /// Request other TwiML.
    Redirect(Webhook),
    /// Go on with this TwiML, at most 4000 characters, with absolute URLs.
    Twiml(String),
    /// Take the call back, if it is not answered yet.
    Cancel,
    /// End the call, answered or not.
    Complete,
}

impl UpdateCall {
    /// The request's form.
    pub fn to_form(&self) -> Form {
        let mut form = Form::new();
        match &self.change {
            CallChange::Redirect(webhook) => push_webhook(&mut form, "Url", "Method", Some(webhook)),
            CallChange::Twiml(twiml) => form.push("Twiml", twiml),
            CallChange::Cancel => form.push("Status", CallStatus::Canceled.as_str()),
            CallChange::Complete => form.push("Status", CallStatus::Completed.as_str()),
        }
        form
    }

    /// Reads the request's form as Twilio does, with its refusals.
    pub fn from_form(form: &Form) -> Result<Self, RestError> {
        if value(form, "Url").is_some() && value(form, "Twiml").is_some() {
            return Err(refusal(code::INVALID_URL, "both Url and Twiml"));
        }
        let change = match value(form, "Status").map(CallStatus::parse) {
            Some(CallStatus::Canceled) => CallChange::Cancel,
            Some(CallStatus::Completed) => CallChange::Complete,
            Some(status) => return Err(refusal(code::INVALID_CALL_STATE, format!("Status cannot be {status}"))),
            None => {
                if let Some(webhook) = read_webhook(form, "Url", "Method")? {
                    CallChange::Redirect(webhook)
                } else if let Some(twiml) = value(form, "Twiml") {
                    check_parameter_size(twiml).map_err(|error| refusal(error.code, error.to_string()))?;
                    CallChange::Twiml(twiml.to_owned())
                } else {
                    return Err(refusal(code::INVALID_URL, "nothing to change"));
                }
            }
        };
        Ok(Self { change })
    }
}

/// A search among the account's calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListCalls {
    /// The called party.
    pub to: Option<Pii<String>>,
    /// The calling party.
    pub from: Option<Pii<String>>,
    /// Where the call stands.
    pub status: Option<CallStatus>,
    /// Calls that started on this day (UTC) or later.
    pub started_from: Option<Date>,
    /// Calls that started on this day (UTC) or earlier.
    pub started_to: Option<Date>,
    /// Most calls on a page: 50 by default, 1000 at most.
    pub page_size: Option<u32>,
}

impl ListCalls {
    /// The request's query. The operator is a part of the key: encoded, it reads `StartTime%3E=2026-01-31`.
    pub fn to_query(&self) -> Form {
        let mut query = Form::new();
        query.push_some("To", self.to.as_ref().map(|number| number.as_str()));
        query.push_some("From", self.from.as_ref().map(|number| number.as_str()));
        query.push_some("Status", self.status.as_ref().map(CallStatus::as_str));
        query.push_some("StartTime>", self.started_from.map(|day| day.to_string()));
        query.push_some("StartTime<", self.started_to.map(|day| day.to_string()));
        query.push_some("PageSize", self.page_size.map(|size| size.to_string()));
        query
    }

    /// Reads the request's query. What cannot be read does not filter.
    pub fn from_query(query: &Form) -> Self {
        Self {
            to: value(query, "To").map(Pii::from),
            from: value(query, "From").map(Pii::from),
            status: value(query, "Status").map(CallStatus::parse),
            started_from: value(query, "StartTime>").and_then(day),
            started_to: value(query, "StartTime<").and_then(day),
            page_size: value(query, "PageSize").and_then(|size| size.parse().ok()),
        }
    }
}

fn refusal(code: u32, message: impl Into<String>) -> RestError {
    RestError::new(400, code, message)
}

fn value<'f>(form: &'f Form, key: &str) -> Option<&'f str> {
    form.get(key).filter(|value| !value.is_empty())
}

fn day(text: &str) -> Option<Date> {
    // A full timestamp is accepted too; its first ten characters are the day.
    text.get(..10)?.parse().ok()
}

fn seconds(form: &Form, key: &str) -> Result<Option<Duration>, RestError> {
    let Some(text) = value(form, key) else {
        return Ok(None);
    };
    let seconds = text.parse().map_err(|_| refusal(code::INVALID_TIMEOUT, format!("{key} is not a number")))?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn push_webhook(form: &mut Form, url: &str, method: &str, webhook: Option<&Webhook>) {
    if let Some(webhook) = webhook {
        form.push(url, &webhook.url);
        form.push(method, webhook.method.as_str());
    }
}

fn read_webhook(form: &Form, url: &str, method: &str) -> Result<Option<Webhook>, RestError> {
    let Some(url) = value(form, url) else {
        return Ok(None);
    };
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    // Host names with underscores are refused too.
    if host.is_empty() || host.contains(['_', ' ']) {
        return Err(refusal(code::INVALID_URL, "not a URL that can be requested"));
    }
    Ok(Some(Webhook { url: url.to_owned(), method: value(form, method).and_then(Method::parse).unwrap_or_default() }))
}

#[cfg(test)]
mod tests;
