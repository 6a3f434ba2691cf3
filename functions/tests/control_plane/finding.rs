//! Finding calls, taking them elsewhere, and the figures over many.

use std::time::Duration;

use call::journal::{Entry, Kind, Speaker, Turn};
use call::outcome::Verdict;
use http::Method;
use serde_json::{Value, json};
use store::{CallRecord, Judgement, Outcome, Source, Status, StatusFact};

use crate::world::{Answer, World, about};

/// A call in which the agent and the caller say these things, closed and worked on.
async fn talked(world: &World, sid: u128, turns: &[(Speaker, &str)]) -> CallRecord {
    world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
    let call = world.call_of(sid).await;
    let entries = turns.iter().zip(1..).map(|((speaker, text), n)| {
        let turn = Turn {
            n,
            speaker: *speaker,
            text: (*text).to_owned(),
            heard_text: (*text).to_owned(),
            approximate: false,
            start_ms: u64::from(n) * 1_000,
            end_ms: u64::from(n) * 1_000 + 900,
            heard_ms: 900,
            interrupted: false,
            engine: None,
            expressions: Vec::new(),
        };
        Entry { epoch: 1, seq: u64::from(n), at_ms: world.store.now().as_ms(), kind: Kind::Turn(turn) }
    });
    world.store.append_journal(call.id, &entries.collect::<Vec<_>>()).await.unwrap();
    over(world, &call).await;
    call
}

async fn over(world: &World, call: &CallRecord) {
    let fact = about_end(world);
    world.store.record_status(call.id, fact).await.unwrap();
    world.pass(Duration::from_secs(20)).await;
    world.worker.catch_up(20).await.unwrap();
}

fn about_end(world: &World) -> StatusFact {
    StatusFact {
        status: Status::Completed,
        at: world.store.now(),
        source: Source::Callback,
        duration_s: Some(90),
        sip_code: None,
    }
}

async fn get(world: &World, path: &str) -> Answer {
    world.api("vic", Method::GET, path, None).await
}

/// The ids that a list gives.
async fn ids(world: &World, path: &str) -> Vec<String> {
    let page = get(world, path).await.json();
    let calls = page["calls"].as_array().unwrap_or_else(|| panic!("{page}"));
    calls.iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn calls_are_found_by_what_was_said_in_them_beside_all_other_filters() {
    let world = World::new().await;
    let turns = [(Speaker::Agent, "Hello."), (Speaker::Caller, "Two appointments for Zoë, please.")];
    let booked = talked(&world, 1, &turns).await.id.to_string();
    let other = talked(&world, 2, &[(Speaker::Caller, "An appointment? No, wrong number.")]).await.id.to_string();
    assert_eq!(ids(&world, "/v1/calls?q=zoe%20APPOINTMENT").await, std::slice::from_ref(&booked));
    assert_eq!(ids(&world, "/v1/calls?q=appointments").await, [other.clone(), booked.clone()]);
    assert_eq!(ids(&world, "/v1/calls?q=appointments&phone=%2B12025550123&status=completed").await.len(), 2);
    assert_eq!(ids(&world, "/v1/calls?q=appointments&status=busy").await, Vec::<String>::new());
    assert_eq!(ids(&world, "/v1/calls?q=appointments&from=2026-11-21").await, Vec::<String>::new());
    assert_eq!(ids(&world, "/v1/calls?q=dentist").await, Vec::<String>::new());
    assert_eq!(ids(&world, "/v1/calls?phone=%2B12025550123&limit=1").await, std::slice::from_ref(&other));

    let page = get(&world, "/v1/calls?q=appointments&limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = ids(&world, &format!("/v1/calls?q=appointment&limit=1&cursor={cursor}")).await;
    assert_eq!(rest, std::slice::from_ref(&booked));
    for foreign in ["q=zoe", "limit=1", "q=appointments&status=completed"] {
        assert_eq!(get(&world, &format!("/v1/calls?{foreign}&cursor={cursor}")).await.status, 400, "{foreign}");
    }

    world.store.erase_call(booked.parse().unwrap(), "ada").await.unwrap();
    world.worker.catch_up(5).await.unwrap();
    assert_eq!(ids(&world, "/v1/calls?q=zoe").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_export_holds_what_the_filters_leave_and_no_formula() {
    let world = World::new().await;
    let hostile = "=HYPERLINK(\"http://evil.example\"), \"quoted\"";
    let call = talked(&world, 1, &[(Speaker::Caller, hostile)]).await;
    talked(&world, 2, &[(Speaker::Caller, "Hello.")]).await;
    let csv = get(&world, "/v1/export").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    let text = csv.text();
    assert!(text.starts_with("id,twilio_sid,direction,from,to,phone,agent,"), "{text}");
    assert_eq!(text.matches("\r\n").count(), 3, "{text}");
    assert!(text.contains(",'+12025550123,") && text.contains("\"\"quoted\"\""), "{text}");
    assert!(!text.contains(",+") && !text.contains(",="), "{text}");

    let lines = get(&world, "/v1/export?format=ndjson&q=hyperlink").await.text();
    let [line] = lines.lines().collect::<Vec<_>>()[..] else { panic!("{lines}") };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["id"], &line["from"]), (&json!(call.id), &json!("+12025550123")));
    assert!(line["transcript"].as_str().unwrap().contains(hostile));

    for format in ["csv", "json", "ndjson"] {
        let redacted = get(&world, &format!("/v1/export?redact=1&format={format}")).await.text();
        for private in ["2025550123", "2025550100", "HYPERLINK", "Hello", "transcript", "phone"] {
            assert!(!redacted.contains(private), "{private}: {redacted}");
        }
    }
    assert_eq!(get(&world, "/v1/export?format=json&redact=1").await.json().as_array().unwrap().len(), 2);
    for (path, name) in [
        ("format=pdf", "format"),
        ("redact=yes", "redact"),
        ("cursor=x", "cursor"),
        ("limit=5", "limit"),
        ("from=2026-11-22&to=2026-11-21", "to"),
    ] {
        let answer = get(&world, &format!("/v1/export?{path}")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(name), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_export_holds_the_verdict_and_what_it_rests_on() {
    let world = World::new().await;
    let said = "=Tuesday at ten";
    let call = talked(&world, 1, &[(Speaker::Caller, said)]).await;
    let verdict = Verdict {
        outcome: Outcome::Yes,
        confidence: 0.75,
        evidence: Some(said.to_owned()),
        evidence_turn: Some(1),
        evidence_found: true,
        fields: [("what".to_owned(), "a check-up".to_owned()), ("name".to_owned(), "@Zoë".to_owned())].into(),
        reason: "a time was agreed on".to_owned(),
    };
    let judgement = Judgement { verdict, model: "judge-1".to_owned(), judged_at: world.store.now() };
    world.store.record_judgement(call.id, judgement).await.unwrap();
    let corrected = json!({ "outcome": "no", "note": "called off by mail" });
    let path = format!("/v1/calls/{}/outcome", call.id);
    assert!(world.api("olga", Method::PUT, &path, Some(corrected)).await.status.is_success());

    let lines = get(&world, "/v1/export?format=json").await.json();
    let line = &lines[0];
    assert_eq!(lines.as_array().unwrap().len(), 1);
    // A person's word counts; the judge's stands beside it.
    assert_eq!((&line["outcome"], &line["verdict"], &line["confidence"]), (&json!("no"), &json!("yes"), &json!(0.75)));
    assert_eq!((&line["evidence"], &line["judged_by"]), (&json!(said), &json!("judge-1")));
    assert_eq!(line["booking"], json!({ "name": "@Zoë", "what": "a check-up" }));
    let csv = get(&world, "/v1/export").await.text();
    assert!(
        csv.contains(",no,yes,0.75,\"'=Tuesday at ten\",") || csv.contains(",no,yes,0.75,'=Tuesday at ten,"),
        "{csv}"
    );
    assert!(csv.contains(r#","{""name"":""@Zoë"",""what"":""a check-up""}",judge-1,"#), "{csv}");
    let redacted = get(&world, "/v1/export?redact=1").await.text();
    assert!(redacted.contains(",no,yes,0.75,judge-1,"), "{redacted}");
    for private in ["Tuesday", "check-up", "evidence", "booking"] {
        assert!(!redacted.contains(private), "{private}: {redacted}");
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_which_parameter_and_what_is_allowed() {
    let world = World::new().await;
    let call = talked(&world, 1, &[(Speaker::Caller, "Hello.")]).await;
    let lists = ["/v1/calls", "/v1/export"];
    for (query, parameter, allowed) in [
        ("colour=red", "colour", "min_duration"),
        ("from=31.01.2026", "from", "2026-01-31"),
        ("to=2026-02-30", "to", "2026-01-31"),
        ("from=2026-02-02&to=2026-02-01", "to", "before `from`"),
        ("min_duration=9&max_duration=8", "max_duration", "less than `min_duration`"),
        ("status=over", "status", "no_answer"),
        ("outcome=maybe", "outcome", "yes, no, unclear"),
        ("q=!", "q", "1 to 8 words"),
        ("cursor=01ARZ3NDEKTSV4RRFFQ69G5FAV.0000000000000000", "cursor", "leave it out"),
    ] {
        for list in lists {
            let answer = get(&world, &format!("{list}?{query}")).await;
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert_eq!(answer.status, 400, "{list}?{query}: {detail}");
            assert!(detail.contains(parameter) && detail.contains(allowed), "{list}?{query}: {detail}");
        }
    }
    for limit in ["0", "201", "-1", "many"] {
        let answer = get(&world, &format!("/v1/calls?limit={limit}")).await;
        assert_eq!(answer.status, 400, "{limit}");
        assert!(answer.text().contains("limit: it must be a whole number from 1 to 200"), "{}", answer.text());
    }
    let unknown = "/v1/calls/call_01HZX3V9K4Q8R2T6W0Y5B7D1FG";
    assert_eq!(world.api("vic", Method::DELETE, unknown, None).await.status, 403);
    world.store.erase_call(call.id, "ada").await.unwrap();
    for part in ["", "/transcript", "/journal", "/latency"] {
        assert_eq!(get(&world, &format!("{unknown}{part}")).await.status, 404, "{part}");
        assert_eq!(get(&world, &format!("/v1/calls/{}{part}", call.id)).await.status, 410, "{part}");
    }
}

#[tokio::test]
async fn a_large_export_comes_in_parts_and_only_the_first_has_a_header() {
    let world = World::new().await;
    let text = "many words ".repeat(10_000);
    let turns = [(Speaker::Caller, text.as_str()); 8];
    for sid in 1..=8 {
        talked(&world, sid, &turns).await;
    }
    let (mut path, mut parts, mut rows) = (Some("/v1/export?status=completed".to_owned()), 0, 0);
    while let Some(next) = path {
        let answer = get(&world, &next).await;
        assert!(answer.body.len() <= 5_000_000, "{}", answer.body.len());
        let header = answer.text().starts_with("id,twilio_sid");
        assert_eq!(header, parts == 0);
        rows += answer.text().matches("\r\n").count() - usize::from(header);
        parts += 1;
        let link = answer.header("link");
        path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
        assert_eq!(path.is_none(), link.is_empty(), "{link}");
    }
    assert_eq!((parts, rows), (2, 8));
}

#[tokio::test]
async fn figures_count_the_calls_that_are_over() {
    let world = World::new().await;
    talked(&world, 1, &[(Speaker::Caller, "Hello.")]).await;
    world.twilio("/twilio/voice", &about(2, "inbound", "ringing")).await;
    world.twilio("/twilio/status", &about(2, "inbound", "no-answer")).await;
    world.twilio("/twilio/voice", &about(3, "inbound", "ringing")).await;
    let figures = get(&world, "/v1/analytics?from=2026-11-01&to=2026-11-20").await.json();
    let totals = &figures["totals"];
    assert_eq!((&totals["calls"], &totals["answered"], &totals["answer_rate"]), (&json!(2), &json!(1), &json!(0.5)));
    assert_eq!((&totals["minutes"], &totals["mean_duration_s"]), (&json!(1.5), &json!(90.0)));
    assert_eq!(totals["ends"], json!({ "canceled": 1, "hung_up": 1 }));
    assert_eq!(figures["by_day"][0]["name"], "2026-11-20");
    assert_eq!(figures["by_hour"][0]["name"], "10");
    assert_eq!(figures["by_agent"][0]["calls"], 2);
    assert_eq!(figures["by_engine"][0]["name"], "none");
    let none = get(&world, "/v1/analytics?from=2026-10-01&to=2026-10-02").await.json();
    assert_eq!((&none["totals"]["calls"], &none["totals"]["answer_rate"]), (&json!(0), &Value::Null));
    assert_eq!(get(&world, "/v1/analytics?days=3").await.status, 400);
}

#[tokio::test]
async fn waits_are_shown_by_call_and_by_day_and_somebody_is_to_blame() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let sound = |seq: u64, end: Option<u64>, arrived_ms, played_ms| Entry {
        epoch: 1,
        seq,
        at_ms: world.store.now().as_ms(),
        kind: Kind::FirstSound { n: 1, caller_end_ms: end, arrived_ms, played_ms, way_ms: Some(100) },
    };
    let entries = [sound(1, None, 200, 220), sound(2, Some(5_000), 8_000, 8_020)];
    world.store.append_journal(call.id, &entries).await.unwrap();
    over(&world, &call).await;
    let one = get(&world, &format!("/v1/calls/{}/latency", call.id)).await.json();
    assert_eq!((&one["first_word_ms"], &one["turns"][0]["total_ms"]), (&json!(220), &json!(3_120)));
    let days = get(&world, "/v1/latency").await.json();
    let p95 = days["by_day"][0]["figures"]["engine"]["p95_ms"].as_u64().unwrap();
    assert!((2_700..=3_300).contains(&p95), "{days}");
    assert_eq!(days["total"]["first_word"]["count"], 1);
    assert_eq!(get(&world, "/v1/latency?engine=hume").await.json()["by_day"], json!([]));
    let blamed = get(&world, "/v1/latency/bottlenecks").await.json();
    assert_eq!(
        (&blamed["bottlenecks"][0]["part"], &blamed["bottlenecks"][0]["setting"]),
        (&json!("engine"), &json!("engines"))
    );
    assert_eq!(get(&world, "/v1/latency/bottlenecks?target_ms=4000").await.json()["bottlenecks"], json!([]));
    for path in ["/v1/latency?engine=siri", "/v1/latency/bottlenecks?target_ms=1", "/v1/latency?to=x"] {
        assert_eq!(get(&world, path).await.status, 400, "{path}");
    }
    assert_eq!(get(&world, "/v1/calls/call_1/latency").await.status, 404);
}
