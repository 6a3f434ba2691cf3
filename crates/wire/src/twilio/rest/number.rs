//! The telephone numbers an account owns, and where each of them sends its calls.

use serde::{Deserialize, Serialize};

use super::lenient;
use crate::pii::Pii;
use crate::twilio::form::Form;
use crate::twilio::sid::{AccountSid, PhoneNumberSid};
use crate::twilio::twiml::{Method, Webhook};

/// An owned number. `voice_application_sid` or `trunk_sid`, if set, make Twilio ignore the URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingPhoneNumber {
    /// Its id.
    pub sid: PhoneNumberSid,
    /// The owner.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub account_sid: Option<AccountSid>,
    /// E.164.
    pub phone_number: Pii<String>,
    /// The name people gave it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub friendly_name: Option<String>,
    /// Where TwiML for an incoming call comes from; often an empty string.
    #[serde(default, deserialize_with = "lenient::text")]
    pub voice_url: Option<String>,
    /// `GET` or `POST`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub voice_method: Option<String>,
    /// Where it comes from when that fails.
    #[serde(default, deserialize_with = "lenient::text")]
    pub voice_fallback_url: Option<String>,
    /// `GET` or `POST`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub voice_fallback_method: Option<String>,
    /// Where the end of a call is reported.
    #[serde(default, deserialize_with = "lenient::text")]
    pub status_callback: Option<String>,
    /// `GET` or `POST`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub status_callback_method: Option<String>,
    /// The application that decides instead of the URLs.
    #[serde(default, deserialize_with = "lenient::text")]
    pub voice_application_sid: Option<String>,
    /// The trunk that takes the calls instead of the URLs.
    #[serde(default, deserialize_with = "lenient::text")]
    pub trunk_sid: Option<String>,
    /// Where this record is, relative to the interface's base.
    #[serde(default, deserialize_with = "lenient::text")]
    pub uri: Option<String>,
}

/// One page of a list of owned numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingPhoneNumberPage {
    /// The numbers.
    #[serde(default)]
    pub incoming_phone_numbers: Vec<IncomingPhoneNumber>,
    /// Number of this page, from 0.
    #[serde(default, deserialize_with = "lenient::number")]
    pub page: Option<u64>,
    /// Most numbers on a page.
    #[serde(default, deserialize_with = "lenient::number")]
    pub page_size: Option<u64>,
    /// This page, relative to the interface's base.
    #[serde(default, deserialize_with = "lenient::text")]
    pub uri: Option<String>,
    /// The next page; none at the end.
    #[serde(default, deserialize_with = "lenient::text")]
    pub next_page_uri: Option<String>,
}

/// A change to an owned number. What is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateIncomingPhoneNumber {
    /// Where TwiML for an incoming call shall come from.
    pub voice: Option<Webhook>,
    /// Where it shall come from when that fails.
    pub voice_fallback: Option<Webhook>,
    /// Where the end of a call shall be reported.
    pub status_callback: Option<Webhook>,
}

impl UpdateIncomingPhoneNumber {
    /// The request's form.
    pub fn to_form(&self) -> Form {
        let mut form = Form::new();
        for (webhook, url, method) in [
            (&self.voice, "VoiceUrl", "VoiceMethod"),
            (&self.voice_fallback, "VoiceFallbackUrl", "VoiceFallbackMethod"),
            (&self.status_callback, "StatusCallback", "StatusCallbackMethod"),
        ] {
            if let Some(webhook) = webhook {
                form.push(url, &webhook.url);
                form.push(method, webhook.method.as_str());
            }
        }
        form
    }

    /// Reads the request's form. Keys we never send are ignored, an unknown method is the default one.
    pub fn from_form(form: &Form) -> Self {
        let webhook = |url, method| {
            let url = form.get(url)?.to_owned();
            Some(Webhook { url, method: form.get(method).and_then(Method::parse).unwrap_or_default() })
        };
        Self {
            voice: webhook("VoiceUrl", "VoiceMethod"),
            voice_fallback: webhook("VoiceFallbackUrl", "VoiceFallbackMethod"),
            status_callback: webhook("StatusCallback", "StatusCallbackMethod"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_number_is_read_and_its_digits_do_not_print() {
        let page: IncomingPhoneNumberPage = serde_json::from_str(
            r#"{"incoming_phone_numbers":[{"sid":"PN00000000000000000000000000000001","phone_number":"+12025550100",
               "voice_url":"https://example.com/v","voice_method":"POST","capabilities":{"voice":true}}],
               "next_page_uri":null,"page":0}"#,
        )
        .unwrap();
        let [number] = &page.incoming_phone_numbers[..] else { panic!("not one number") };
        assert_eq!(number.sid, PhoneNumberSid::from_number(1));
        assert_eq!(number.voice_url.as_deref(), Some("https://example.com/v"));
        assert!(!format!("{number:?}").contains("5550100"));
        let again: IncomingPhoneNumberPage = serde_json::from_str(&serde_json::to_string(&page).unwrap()).unwrap();
        assert_eq!(again, page);
    }

    #[test]
    fn a_change_names_only_what_changes() {
        let change = UpdateIncomingPhoneNumber {
            voice: Some(Webhook::post("https://example.com/v#rc=2")),
            voice_fallback: Some(Webhook::get("https://example.com/f")),
            status_callback: None,
        };
        let form = change.to_form();
        let pairs: Vec<_> = form.pairs().collect();
        assert_eq!(
            pairs,
            [
                ("VoiceUrl", "https://example.com/v#rc=2"),
                ("VoiceMethod", "POST"),
                ("VoiceFallbackUrl", "https://example.com/f"),
                ("VoiceFallbackMethod", "GET"),
            ]
        );
        assert_eq!(UpdateIncomingPhoneNumber::from_form(&form), change);
    }
}
