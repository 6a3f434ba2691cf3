//! Tools and steering: what the model and people may ask of a call.

mod rig;

use std::time::Duration;

use call::agent::EngineKind;
use call::journal::{Kind, NextStep};
use call::{Command, Input, LinkEvent};
use rig::{Did, Rig, agent, setup};
use serde_json::json;

const AGENT: &str = r#"
engines = ["hume"]
instructions = "Answer the phone."
greeting = "Hello, this is Riverside Dental. How can I help?"

[[tools]]
name = "hang_up"

[[tools]]
name = "record_booking"

[[tools]]
name = "transfer_call"
destinations = { office = "+12025550123" }

[[tools]]
name = "look_up"
description = "Looks up."
url = "https://tools.example.com/look_up"
parameters = '{"type":"object","properties":{"order":{"type":"integer"}},"required":["order"]}'
timeout_ms = 4000
"#;

fn greeted() -> Rig {
    Rig::greeted_with(setup(agent(AGENT), &[EngineKind::Hume]))
}

fn call_tool(rig: &mut Rig, id: &str, name: &str, parameters: &str) {
    let message = json!({"type": "tool_call", "tool_call_id": id, "name": name, "parameters": parameters,
        "tool_type": "function", "response_required": true});
    rig.link(LinkEvent::Text(&message.to_string()));
}

/// What the engine was told about a tool request.
fn told(rig: &Rig, id: &str) -> String {
    let sent = rig.sent();
    sent.iter().rev().find(|text| text.contains(&format!("\"{id}\""))).unwrap_or_else(|| panic!("{sent:?}")).to_string()
}

fn asked(rig: &Rig) -> Vec<String> {
    let asked = |did: &Did| if let Did::Tool(id) = did { Some(id.clone()) } else { None };
    rig.did.iter().filter_map(|(_, did)| asked(did)).collect()
}

fn kinds(rig: &Rig) -> Vec<Kind> {
    rig.journal().into_iter().cloned().collect()
}

#[test]
fn arguments_that_do_not_fit_the_schema_reach_no_tool() {
    let mut rig = greeted();
    rig.hume_hears("Where is my order?", false);
    call_tool(&mut rig, "t1", "look_up", r#"{"order":"seven"}"#);
    assert!(asked(&rig).is_empty());
    assert!(told(&rig, "t1").contains("`order` must be of type integer"), "{}", told(&rig, "t1"));
    call_tool(&mut rig, "t2", "look_up", r#"{"order":7}"#);
    assert_eq!(asked(&rig), ["t2"]);
    rig.input(Input::Tool { id: "t2", answer: Ok(r#"{"on":"its way"}"#) });
    assert!(told(&rig, "t2").contains("its way"));
}

#[test]
fn a_tool_that_is_asked_again_after_an_engine_was_lost_is_not_run_twice() {
    // Answered before the loss: the answer is given again, once.
    let mut rig = greeted();
    rig.hume_hears("Where is my order?", false);
    call_tool(&mut rig, "t1", "look_up", r#"{"order":7}"#);
    rig.input(Input::Tool { id: "t1", answer: Ok(r#"{"on":"its way"}"#) });
    rig.link(LinkEvent::Lost(Some(1006)));
    rig.run_quiet(300);
    rig.hume_ready("group-1");
    call_tool(&mut rig, "t2", "look_up", r#"{ "order": 7 }"#);
    assert_eq!(asked(&rig), ["t1"]);
    assert!(told(&rig, "t2").contains("its way"));
    // Who asks once more means it.
    call_tool(&mut rig, "t3", "look_up", r#"{"order":7}"#);
    assert_eq!(asked(&rig), ["t1", "t3"]);

    // Under way at the loss: the next engine gets the answer.
    let mut rig = greeted();
    rig.hume_hears("Where is my order?", false);
    call_tool(&mut rig, "t1", "look_up", r#"{"order":7}"#);
    rig.link(LinkEvent::Lost(Some(1006)));
    rig.run_quiet(300);
    rig.hume_ready("group-1");
    call_tool(&mut rig, "t2", "look_up", r#"{"order":7}"#);
    assert_eq!(asked(&rig), ["t1"]);
    rig.input(Input::Tool { id: "t1", answer: Ok(r#"{"on":"its way"}"#) });
    assert!(told(&rig, "t2").contains("its way"));
}

#[test]
fn a_tool_that_failed_is_asked_again_by_the_same_key() {
    let mut rig = greeted();
    rig.hume_hears("Where is my order?", false);
    call_tool(&mut rig, "t1", "look_up", r#"{"order":7}"#);
    rig.input(Input::Tool { id: "t1", answer: Err("It did not answer.") });
    rig.link(LinkEvent::Lost(Some(1006)));
    rig.run_quiet(300);
    rig.hume_ready("group-1");
    rig.run_quiet(4_000);
    call_tool(&mut rig, "t2", "look_up", r#"{"order":7}"#);
    assert_eq!((asked(&rig).len(), rig.keys.len()), (2, 2));
    assert_eq!(rig.keys[0], rig.keys[1]);
}

#[test]
fn a_booking_is_written_down_once_with_all_its_parts() {
    let mut rig = greeted();
    rig.hume_hears("Yes, please book it.", false);
    call_tool(&mut rig, "t1", "record_booking", r#"{"what":"check-up","when":" "}"#);
    assert!(told(&rig, "t1").contains("must have `name`"), "{}", told(&rig, "t1"));
    call_tool(&mut rig, "t2", "record_booking", r#"{"what":"check-up","when":" ","name":"Alex"}"#);
    assert!(told(&rig, "t2").contains("Not recorded"));
    for id in ["t3", "t4"] {
        call_tool(&mut rig, id, "record_booking", r#"{"what":"check-up","when":"Tuesday at ten","name":"Alex"}"#);
        assert!(told(&rig, id).contains("recorded"));
    }
    let booked = Kind::BookingRecorded { what: "check-up".into(), when: "Tuesday at ten".into(), name: "Alex".into() };
    let bookings: Vec<Kind> =
        kinds(&rig).into_iter().filter(|kind| matches!(kind, Kind::BookingRecorded { .. })).collect();
    assert_eq!(bookings, [booked]);
}

#[test]
fn the_agent_connects_the_caller_with_whom_its_file_names_after_its_words() {
    let mut rig = greeted();
    rig.hume_hears("Can I speak with a person?", false);
    call_tool(&mut rig, "t0", "transfer_call", r#"{"to":"+19005550123"}"#);
    assert!(told(&rig, "t0").contains("must be one of"));
    rig.hume_says("a", "I connect you now.", 1_000);
    call_tool(&mut rig, "t1", "transfer_call", r#"{"to":"office"}"#);
    let at = rig.ms();
    rig.run_quiet(3_000);
    let closed = rig.first(|did| *did == Did::ClosePhone).unwrap();
    assert!(closed - at >= 950, "the sentence is heard out: {}", closed - at);
    let step = NextStep::Transfer { to: "+12025550123".into() };
    assert!(kinds(&rig).contains(&Kind::NextStep { next: step }));
}

#[test]
fn what_people_ask_of_a_call_reaches_the_engine_and_the_journal() {
    let mut rig = greeted();
    rig.forget();
    rig.input(Input::Command(Command::Say { text: "Please hold.".into() }));
    assert!(rig.sent().iter().any(|text| text.contains("assistant_input") && text.contains("Please hold.")));
    rig.input(Input::Command(Command::Instruct { instructions: "Speak of tulips.".into() }));
    assert!(rig.sent().iter().any(|text| text.contains("session_settings") && text.contains("tulips")));
    rig.run_quiet(200);
    rig.input(Input::Command(Command::Transfer { to: "+12025550111".into() }));
    rig.run_quiet(Duration::from_secs(12).as_millis().try_into().unwrap());
    let kinds = kinds(&rig);
    for expected in [
        Kind::Commanded { command: "say".into() },
        Kind::Commanded { command: "instruct".into() },
        Kind::Instructed { instructions: "Speak of tulips.".into() },
        Kind::Commanded { command: "transfer".into() },
        Kind::NextStep { next: NextStep::Transfer { to: "+12025550111".into() } },
    ] {
        assert!(kinds.contains(&expected), "{expected:?}: {kinds:#?}");
    }
}
