//! The keys of Twilio's requests (Twilio: voice/twiml, request parameters).

use wire::twilio::form::{CallStatus, Direction, Form};
use wire::twilio::rest::API_VERSION;
use wire::twilio::sid::AccountSid;

use super::record::CallRecord;

const PLACES: [&str; 4] = ["City", "State", "Zip", "Country"];

/// The usual keys, in alphabetic order as Twilio sends them. Places are known to nobody, so those keys are there and
/// empty; they take part in the signature.
pub(super) fn standard(account: AccountSid, call: &CallRecord, status: &CallStatus) -> Form {
    let mut pairs = vec![
        ("AccountSid".to_owned(), account.to_string()),
        ("ApiVersion".to_owned(), API_VERSION.to_owned()),
        ("CallSid".to_owned(), call.sid.to_string()),
        ("CallStatus".to_owned(), status.to_string()),
        ("Direction".to_owned(), call.direction.to_string()),
    ];
    for (party, number) in [("From", &call.from), ("Caller", &call.from), ("To", &call.to), ("Called", &call.to)] {
        pairs.push((party.to_owned(), number.clone()));
        pairs.extend(PLACES.iter().map(|place| (format!("{party}{place}"), String::new())));
    }
    if let Some(parent) = call.parent {
        pairs.push(("ParentCallSid".to_owned(), parent.to_string()));
    }
    if call.direction == Direction::Inbound {
        pairs.push(("StirVerstat".to_owned(), "TN-Validation-Passed-A".to_owned()));
        pairs.push(("CallToken".to_owned(), format!("{{\"parentCallInfoToken\":\"{}\"}}", call.sid)));
    }
    pairs.sort();
    pairs.into_iter().collect()
}
