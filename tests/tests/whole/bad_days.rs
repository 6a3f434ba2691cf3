//! Exactly once on bad days: a store that throttles, conflicts, loses answers and knows its latest writes late; and
//! processes that die between two steps of placing a call.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use functions::place::Boundary;
use futures_util::future::join_all;
use serde_json::json;
use sim::twilio::Callee;
use store::fault::Fault;
use whole_calls::mortal::MortalControlPlane;
use whole_calls::people::{asks_for_the_hours, says};
use whole_calls::{House, Options, QUICK_NUMBER, judge};

const PATIENCE: Duration = Duration::from_secs(120);

/// How many calls at once.
const CALLS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_calls_on_a_bad_day_at_the_store_are_right_in_the_end() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options { seed: 5, ..Options::default() }).await.unwrap();
    house.faults.set_rate(0.15);
    let stories = (0..CALLS).map(|n| one_call(&house, n));
    let ids = join_all(stories).await;
    house.faults.set_rate(0.0);
    let mut unique = BTreeSet::new();
    for (n, id) in ids.iter().enumerate() {
        let record = house.final_record(id, PATIENCE).await.unwrap();
        let found = [&record["status"], &record["ended_by"], &record["end_reason"]];
        assert_eq!(found, [&json!("completed"), &json!("agent"), &json!("said_goodbye")], "call {n}: {record:#}");
        let epoch = u32::try_from(record["epoch"].as_u64().unwrap()).unwrap();
        let journal = house.journal(id, epoch).await.unwrap();
        judge::is_complete(&journal, &format!("call {n}"));
        let turns = house.transcript(id).await.unwrap();
        assert!(
            judge::words_of(&turns, call::journal::Speaker::Caller).contains(&"Thanks a lot, goodbye."),
            "call {n}: {turns:#?}"
        );
        assert!(unique.insert(id.clone()));
    }
    // One dial each, one record each.
    assert_eq!(house.twilio.calls().len(), CALLS);
    let list = house.get("/v1/calls?limit=100", &[]).await.unwrap().json();
    assert_eq!(list["calls"].as_array().unwrap().len(), CALLS);
    let counts = house.faults.counts();
    for fault in [Fault::Throttled, Fault::Conflict, Fault::NotConnected, Fault::AnswerLost, Fault::FailedAfterwards] {
        assert!(counts.get(&fault).is_some_and(|count| *count >= 5), "{fault:?} hardly happened: {counts:?}");
    }
}

/// Half of the calls come in, half are placed by a program that tries again until it gets an answer.
async fn one_call(house: &House, n: usize) -> String {
    // People do not all call in the same moment.
    tokio::time::sleep(Duration::from_millis(400) * u32::try_from(n).unwrap()).await;
    let script = says(&["caller-thanks-bye"]);
    if n.is_multiple_of(2) {
        let sid = house.call_in(QUICK_NUMBER, script);
        house.ended(sid, PATIENCE).await.unwrap();
        loop {
            if let Ok(record) = house.record_of(sid).await {
                return record["id"].as_str().unwrap().to_owned();
            }
        }
    }
    let to = format!("+1202555{:04}", 100 + n);
    house.twilio.set_callee(&to, Callee::answers(Duration::from_millis(200), script));
    loop {
        let answer = house.place(&to, &json!({"to": to, "agent": "quick"})).await.unwrap();
        match answer.status {
            202 => {
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                let ends = |twilio: &sim::twilio::Twilio| {
                    twilio.calls().into_iter().find(|call| call.to == to && call.status.is_final())
                };
                house.twilio.until(PATIENCE, ends).await.unwrap();
                return id;
            }
            429 | 500.. => tokio::time::sleep(Duration::from_millis(100)).await,
            status => panic!("{status}: {}", answer.json()),
        }
    }
}

/// A control plane that is a process of its own.
const PROGRAM: &str = env!("CARGO_BIN_EXE_mortal_control_plane");

/// What an aborted process ends by.
const SIGABRT: i32 = 6;

/// At each boundary the process that places the call dies; who asked asks again, with the same key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_while_placing_a_call_nobody_dials_twice() {
    let _machine = crate::beside_others().await;
    let house = House::start(Options::default()).await.unwrap();
    let mut ids = Vec::new();
    for (n, boundary) in Boundary::ALL.into_iter().enumerate() {
        let to = format!("+120255501{n:02}");
        house.twilio.set_callee(&to, Callee::answers(Duration::from_millis(200), asks_for_the_hours()));
        let body = json!({"to": to, "agent": "quick"});
        let mortal = MortalControlPlane::start(&house, PROGRAM.as_ref(), &format!("{boundary:?}")).await.unwrap();
        let answer = mortal.place(&to, &body).await;
        assert!(answer.is_err(), "{boundary:?}: {answer:?}");
        let end = mortal.died().await.unwrap();
        assert_eq!(end.signal(), Some(SIGABRT), "{boundary:?}: {end}");
        let (one, two) = tokio::join!(house.place(&to, &body), house.place(&to, &body));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.status, two.status), (202, 202), "{boundary:?}: {}", one.json());
        assert_eq!(one.json()["id"], two.json()["id"]);
        ids.push((boundary, to, one.json()["id"].as_str().unwrap().to_owned()));
    }
    for (boundary, to, id) in &ids {
        // One that died before Twilio was asked is settled by the worker, a minute later: it asks Twilio, not the callee.
        let record = house.final_record(id, PATIENCE).await.unwrap();
        let dialled = house.twilio.calls().iter().filter(|call| call.to == *to).count();
        let (status, dials) = if *boundary == Boundary::Dialing { ("failed", 0) } else { ("completed", 1) };
        assert_eq!((&record["status"], dialled), (&json!(status), dials), "{boundary:?}: {record:#}");
        let again = house.place(to, &json!({"to": to, "agent": "quick"})).await.unwrap();
        assert_eq!((again.status, &again.json()["id"]), (202, &json!(id)));
    }
    assert_eq!(house.twilio.calls().len(), 3);
}
