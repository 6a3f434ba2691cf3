//! Webhooks that come twice, late, out of order, or never; and some that are not Twilio's.

use std::time::Duration;

use serde_json::{Value, json};
use sim::phone::CallerScript;
use sim::twilio::{CallbackFaults, Callee, Faults, WebhookFaults};
use whole_calls::people::says;
use whole_calls::{House, Options, QUICK_NUMBER, judge};
use wire::twilio::signature;

const PATIENCE: Duration = Duration::from_secs(90);

/// What a record says, but for its ids and times.
fn essence(record: &Value) -> Value {
    let fields =
        ["direction", "phone", "agent", "engine", "engines_tried", "status", "ended_by", "end_reason", "epoch"];
    fields.iter().map(|field| record[field].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_in_any_number_and_order_make_the_same_record() {
    let _machine = crate::beside_others().await;
    let callbacks =
        |lose, duplicate, delay_ms| CallbackFaults { lose, duplicate, delay_max: Duration::from_millis(delay_ms) };
    let days = [
        ("a good day", Faults::default()),
        ("each twice, mixed up", Faults { callbacks: callbacks(0.0, 1.0, 1_500), ..Faults::default() }),
        ("half of them lost", Faults { callbacks: callbacks(0.5, 0.5, 500), ..Faults::default() }),
        (
            "answers lost",
            Faults {
                webhooks: WebhookFaults { lose_answer: 0.3, delay_max: Duration::from_millis(200) },
                ..Faults::default()
            },
        ),
    ];
    let mut houses = Vec::new();
    for (seed, (day, faults)) in (21..).zip(days) {
        let set = move |twilio: &mut sim::twilio::TwilioConfig| twilio.faults = faults;
        houses.push((day, House::start(Options { twilio: Box::new(set), seed, ..Options::default() }).await.unwrap()));
    }
    let stories = houses.into_iter().map(|(day, house)| async move { (day, three_calls(&house, day).await) });
    let mut good: Option<Vec<Value>> = None;
    for (day, records) in futures_util::future::join_all(stories).await {
        match &good {
            None => good = Some(records),
            Some(good) => assert_eq!(&records, good, "{day}"),
        }
    }
}

/// One that comes in, one that is placed, and one that the callee ends.
async fn three_calls(house: &House, day: &str) -> Vec<Value> {
    let goodbye = says(&["caller-thanks-bye"]);
    let inbound = house.call_in(QUICK_NUMBER, goodbye.clone());
    let hangs_up = CallerScript::new().hangs_up_at(Duration::from_secs(4));
    let mut ids = Vec::new();
    for (to, script) in [("+12025550171", goodbye), ("+12025550172", hangs_up)] {
        house.twilio.set_callee(to, Callee::answers(Duration::from_millis(300), script));
        let placed = house.place(to, &json!({"to": to, "agent": "quick"})).await.unwrap();
        ids.push(placed.json()["id"].as_str().unwrap_or_else(|| panic!("{day}: {}", placed.json())).to_owned());
    }
    ids.push(house.record_of(inbound).await.unwrap()["id"].as_str().unwrap().to_owned());
    let mut records = Vec::new();
    for id in ids {
        let record = house.final_record(&id, PATIENCE).await.unwrap_or_else(|error| panic!("{day}: {error}"));
        let epoch = u32::try_from(record["epoch"].as_u64().unwrap()).unwrap();
        judge::is_complete(&house.journal(&id, epoch).await.unwrap(), day);
        records.push(essence(&record));
    }
    assert_eq!(house.twilio.calls().len(), 3, "{day}");
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_webhook_is_refused_counted_and_changes_nothing() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let sid = house.call_in(QUICK_NUMBER, says(&["caller-thanks-bye"]));
    let streams = |twilio: &sim::twilio::Twilio| twilio.call(sid).filter(|call| !call.streams.is_empty());
    house.twilio.until(PATIENCE, streams).await.unwrap();
    let before = house.record_of(sid).await.unwrap();
    let id = before["id"].as_str().unwrap().to_owned();

    let account = house.twilio.config().account_sid.to_string();
    let other_sid = format!("CA{}", "7".repeat(32));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut refused = 0;
    for path in [
        "/twilio/voice".to_owned(),
        format!("/twilio/voice/next?call={id}&epoch=1"),
        "/twilio/voice/fallback".to_owned(),
        format!("/twilio/status?call={id}"),
        format!("/twilio/stream?call={id}"),
    ] {
        let url = format!("{}{path}", house.base);
        for call in [sid.to_string(), other_sid.clone()] {
            let form = [
                ("AccountSid", account.as_str()),
                ("CallSid", &call),
                ("CallStatus", "failed"),
                ("From", "+12025550199"),
                ("To", QUICK_NUMBER),
            ];
            let signed_by_another = signature::sign("not-the-auth-token", &url, form);
            let of_another_form = signature::sign(house.auth_token(), &url, [("CallSid", call.as_str())]);
            for signed in [None, Some(signed_by_another), Some(of_another_form)] {
                let mut request = client.post(&url).form(&form);
                if let Some(signed) = signed {
                    request = request.header(signature::HEADER, signed);
                }
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 403, "{path}");
                refused += 1;
            }
        }
    }
    assert_eq!(house.counters.snapshot().forged, refused);
    house.ended(sid, PATIENCE).await.unwrap();
    let after = house.final_record(&id, PATIENCE).await.unwrap();
    assert_eq!(
        (&after["status"], &after["ended_by"], &after["end_reason"]),
        (&json!("completed"), &json!("agent"), &json!("said_goodbye"))
    );
    let list = house.get("/v1/calls", &[]).await.unwrap().json();
    assert_eq!(list["calls"].as_array().unwrap().len(), 1, "{list:#}");
    // Without a token the API says nothing.
    let nobody = client.get(format!("{}/v1/calls", house.base)).send().await.unwrap();
    assert_eq!(nobody.status().as_u16(), 401);
}
