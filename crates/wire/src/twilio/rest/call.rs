//! A call as Twilio remembers it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lenient;
use crate::pii::Pii;
use crate::twilio::form::{CallStatus, Direction};
use crate::twilio::sid::{AccountSid, CallSid};
use crate::twilio::time::rfc2822_or_null;

/// The answer to placing, changing or reading a call. Only its id and its status must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallResource {
    /// The call's leg.
    pub sid: CallSid,
    /// The owner.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub account_sid: Option<AccountSid>,
    /// How far it has come; `queued` when just placed.
    pub status: CallStatus,
    /// Who called whom.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub direction: Option<Direction>,
    /// The called party.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub to: Pii<String>,
    /// The called party, as people write it.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub to_formatted: Option<Pii<String>>,
    /// The calling party.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub from: Pii<String>,
    /// The calling party, as people write it.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub from_formatted: Option<Pii<String>>,
    /// The owned number that was used.
    #[serde(default, deserialize_with = "lenient::text")]
    pub phone_number_sid: Option<String>,
    /// The leg that made this one.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub parent_call_sid: Option<CallSid>,
    /// When the record was made.
    #[serde(default, with = "rfc2822_or_null")]
    pub date_created: Option<Timestamp>,
    /// When the record was last changed.
    #[serde(default, with = "rfc2822_or_null")]
    pub date_updated: Option<Timestamp>,
    /// When it was answered, or dialled.
    #[serde(default, with = "rfc2822_or_null")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, with = "rfc2822_or_null")]
    pub end_time: Option<Timestamp>,
    /// Whole seconds, as text; see [`CallResource::length`].
    #[serde(default, deserialize_with = "lenient::text")]
    pub duration: Option<String>,
    /// What it cost, as a negative decimal, once known.
    #[serde(default, deserialize_with = "lenient::text")]
    pub price: Option<String>,
    /// The currency.
    #[serde(default, deserialize_with = "lenient::text")]
    pub price_unit: Option<String>,
    /// Who answered, if detected.
    #[serde(default, deserialize_with = "lenient::text")]
    pub answered_by: Option<String>,
    /// `2010-04-01`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub api_version: Option<String>,
    /// Where the call was diverted from.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub forwarded_from: Option<Pii<String>>,
    /// A group id, of old.
    #[serde(default, deserialize_with = "lenient::text")]
    pub group_sid: Option<String>,
    /// The caller's registered name.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub caller_name: Option<Pii<String>>,
    /// Milliseconds the call waits for its turn, as text; see [`CallResource::wait`].
    #[serde(default, deserialize_with = "lenient::text")]
    pub queue_time: Option<String>,
    /// The trunk.
    #[serde(default, deserialize_with = "lenient::text")]
    pub trunk_sid: Option<String>,
    /// Where this record is, relative to the interface's base.
    #[serde(default, deserialize_with = "lenient::text")]
    pub uri: Option<String>,
    /// Where what belongs to it is.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub subresource_uris: BTreeMap<String, String>,
}

impl CallResource {
    /// A call without anything but its id and status, to be filled in.
    pub fn new(sid: CallSid, status: CallStatus) -> Self {
        Self {
            sid,
            account_sid: None,
            status,
            direction: None,
            to: Pii::default(),
            to_formatted: None,
            from: Pii::default(),
            from_formatted: None,
            phone_number_sid: None,
            parent_call_sid: None,
            date_created: None,
            date_updated: None,
            start_time: None,
            end_time: None,
            duration: None,
            price: None,
            price_unit: None,
            answered_by: None,
            api_version: None,
            forwarded_from: None,
            group_sid: None,
            caller_name: None,
            queue_time: None,
            trunk_sid: None,
            uri: None,
            subresource_uris: BTreeMap::new(),
        }
    }

    /// How long the call was, once it is over.
    pub fn length(&self) -> Option<Duration> {
        self.duration.as_deref()?.parse().ok().map(Duration::from_secs)
    }

    /// How long a call that was just placed is expected to wait for its turn.
    pub fn wait(&self) -> Option<Duration> {
        self.queue_time.as_deref()?.parse().ok().map(Duration::from_millis)
    }
}

/// One page of a list of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPage {
    /// The calls, newest first.
    #[serde(default)]
    pub calls: Vec<CallResource>,
    /// Number of this page, from 0.
    #[serde(default, deserialize_with = "lenient::number")]
    pub page: Option<u64>,
    /// Most calls on a page.
    #[serde(default, deserialize_with = "lenient::number")]
    pub page_size: Option<u64>,
    /// Position of the first call in the list.
    #[serde(default, deserialize_with = "lenient::number")]
    pub start: Option<u64>,
    /// Position of the last call in the list.
    #[serde(default, deserialize_with = "lenient::number")]
    pub end: Option<u64>,
    /// This page, relative to the interface's base.
    #[serde(default, deserialize_with = "lenient::text")]
    pub uri: Option<String>,
    /// The first page.
    #[serde(default, deserialize_with = "lenient::text")]
    pub first_page_uri: Option<String>,
    /// The next page; none at the end.
    #[serde(default, deserialize_with = "lenient::text")]
    pub next_page_uri: Option<String>,
    /// The page before.
    #[serde(default, deserialize_with = "lenient::text")]
    pub previous_page_uri: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: &str = r#"{"sid":"CA00000000000000000000000000000001","date_created":null,"date_updated":null,
        "parent_call_sid":null,"account_sid":"AC00000000000000000000000000000002","to":"+12025550123",
        "to_formatted":"(202) 555-0123","from":"+12025550100","from_formatted":"(202) 555-0100",
        "phone_number_sid":"PN00000000000000000000000000000003","status":"queued","start_time":null,"end_time":null,
        "duration":null,"price":null,"price_unit":"USD","direction":"outbound-api","answered_by":null,
        "api_version":"2010-04-01","forwarded_from":null,"group_sid":null,"caller_name":null,"queue_time":"1500",
        "trunk_sid":null,"uri":"/2010-04-01/Accounts/AC/Calls/CA.json","subresource_uris":{"events":"/e.json"},
        "something_new":{"a":1}}"#;

    #[test]
    fn a_placed_call_is_read_and_written_with_all_its_keys() {
        let call: CallResource = serde_json::from_str(CREATED).unwrap();
        assert_eq!(call.status, CallStatus::Queued);
        assert_eq!(call.direction, Some(Direction::OutboundApi));
        assert_eq!(call.wait(), Some(Duration::from_millis(1500)));
        assert_eq!(call.length(), None);
        let mut expected: serde_json::Value = serde_json::from_str(CREATED).unwrap();
        expected.as_object_mut().unwrap().remove("something_new");
        assert_eq!(serde_json::to_value(&call).unwrap(), expected);
        assert!(!format!("{call:?}").contains("5550123"));
    }

    #[test]
    fn a_finished_call_has_times_and_a_length() {
        let call: CallResource = serde_json::from_str(
            r#"{"sid":"CA00000000000000000000000000000001","status":"completed","duration":"61","price":-0.013,
               "start_time":"Sun, 25 Mar 2018 09:53:19 +0000","end_time":"not a time"}"#,
        )
        .unwrap();
        assert_eq!(call.length(), Some(Duration::from_secs(61)));
        assert_eq!(call.price.as_deref(), Some("-0.013"));
        assert_eq!(call.start_time.unwrap().to_string(), "2018-03-25T09:53:19Z");
        assert_eq!(call.end_time, None);
        let again: CallResource = serde_json::from_str(&serde_json::to_string(&call).unwrap()).unwrap();
        assert_eq!(again, call);
    }

    #[test]
    fn values_of_an_odd_form_are_no_values_and_spoil_nothing() {
        let call: CallResource = serde_json::from_str(
            r#"{"sid":"CA00000000000000000000000000000001","status":"paused","to":null,"from":7,"account_sid":"AC1",
               "direction":{},"duration":[1],"start_time":5,"uri":3,"subresource_uris":null,"caller_name":false}"#,
        )
        .unwrap();
        let mut expected = CallResource::new(CallSid::from_number(1), CallStatus::Other("paused".into()));
        expected.uri = Some("3".into());
        assert_eq!(call, expected);
        for missing in [r#"{"status":"queued"}"#, r#"{"sid":"CA00000000000000000000000000000001"}"#] {
            assert!(serde_json::from_str::<CallResource>(missing).is_err());
        }
    }

    #[test]
    fn a_page_says_where_the_next_one_is() {
        let page: CallPage = serde_json::from_str(&format!(
            r#"{{"calls":[{CREATED}],"page":0,"page_size":50,"next_page_uri":"/2010-04-01/next","end":0}}"#
        ))
        .unwrap();
        assert_eq!(page.calls.len(), 1);
        assert_eq!((page.page, page.page_size, page.start), (Some(0), Some(50), None));
        assert_eq!(page.next_page_uri.as_deref(), Some("/2010-04-01/next"));
    }
}
