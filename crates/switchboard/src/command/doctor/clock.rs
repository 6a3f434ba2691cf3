//! This machine's clock, beside that of whoever answers: tokens are good for a minute, so a clock that is off by more
//! refuses every call.

use std::time::Duration;

use clients::Twilio;
use jiff::Timestamp;

use crate::checks::Check;
use crate::plan::{Plan, Service};

const WHAT: &str = "Clock";

/// A `Date` header has whole seconds, and the answer takes its time.
const GOOD_MAX: Duration = Duration::from_secs(5);

/// Beyond this, signed requests and tokens between two machines are refused.
const DOUBTFUL_MAX: Duration = Duration::from_secs(30);

pub(super) async fn check(plan: &Plan) -> Check {
    if plan.twilio != Service::Real {
        return Check::good(WHAT, "not compared: everything that must agree with it runs on this machine");
    }
    let url = plan.environment.get("TWILIO_BASE_URL").unwrap_or(Twilio::BASE_URL);
    let asked = async {
        let client = reqwest::Client::builder().timeout(super::PATIENCE).build().ok()?;
        let response = client.head(url).send().await.ok()?;
        let date = response.headers().get(reqwest::header::DATE)?.to_str().ok()?.to_owned();
        jiff::fmt::rfc2822::parse(&date).ok().map(|date| date.timestamp())
    };
    match asked.await {
        Some(theirs) => verdict(Timestamp::now(), theirs),
        None => Check::doubtful(WHAT, "could not be compared: Twilio does not answer", "check this machine's network"),
    }
}

fn verdict(ours: Timestamp, theirs: Timestamp) -> Check {
    let off = ours.duration_since(theirs);
    let way = if off.is_negative() { "slow" } else { "fast" };
    let off = off.unsigned_abs();
    let seconds = off.as_secs();
    let remedy = "let the system set its clock: timedatectl set-ntp true";
    if off <= GOOD_MAX {
        Check::good(WHAT, "agrees with Twilio's")
    } else if off <= DOUBTFUL_MAX {
        Check::doubtful(WHAT, format!("is {seconds} s {way}, by Twilio's"), remedy)
    } else {
        Check::bad(WHAT, format!("is {seconds} s {way}, by Twilio's"), remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Verdict;

    #[test]
    fn seconds_are_forgiven_and_minutes_are_not() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert_eq!(verdict(at(0), at(3)).verdict, Verdict::Good);
        let slow = verdict(at(0), at(20));
        assert_eq!((slow.verdict, slow.found.as_str()), (Verdict::Doubtful, "is 20 s slow, by Twilio's"));
        assert_eq!(verdict(at(90), at(0)).verdict, Verdict::Bad);
    }
}
