//! Agents by the API: read, checked, saved; and what a form is told about engines.

use call::agent::EngineKind;
use http::Method;
use serde_json::{Value, json};
use wire::twilio::CallSid;

use crate::world::{Answer, Plan, World, about};

async fn world(engines: &[EngineKind]) -> World {
    World::with(Plan { stored: true, engines: Some(engines.to_vec()), ..Plan::default() }).await
}

async fn save(world: &World, name: &str, agent: Value) -> Answer {
    world.api("ada", Method::PUT, &format!("/v1/agents/{name}"), Some(agent)).await
}

fn agent(greeting: &str) -> Value {
    json!({ "default": true, "engines": ["hume"], "instructions": "Be kind.", "greeting": greeting })
}

/// The keys that are wrong, and what is said about the first.
fn wrong(answer: &Answer) -> (Vec<String>, String) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let keys = errors.iter().map(|error| error["name"].as_str().unwrap().to_owned()).collect();
    (keys, errors[0]["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_agent_is_saved_in_versions_and_a_live_call_keeps_its_own() {
    let world = world(&[EngineKind::Hume]).await;
    assert_eq!(save(&world, "front", agent("Hello.")).await.json()["version"], 1);
    assert_eq!(save(&world, "front", agent("Hello.")).await.json()["version"], 1, "nothing was changed");
    world.twilio("/twilio/voice", &about(7, "inbound", "ringing")).await;
    let changed = save(&world, "front", agent("Good morning.")).await;
    assert_eq!(
        (changed.json()["version"].clone(), changed.json()["greeting"].clone()),
        (json!(2), json!("Good morning."))
    );
    let read = world.api("vic", Method::GET, "/v1/agents/front", None).await.json();
    assert_eq!((&read["version"], &read["greeting"]), (&json!(2), &json!("Good morning.")));
    let call = world.store.call_by_sid(CallSid::from_number(7)).await.unwrap();
    let script = world.store.call_script(call.id).await.unwrap().script;
    assert_eq!((script.agent_version, script.greeting.as_str()), (1, "Hello."));

    // What was read can be sent back; what was changed by others meanwhile cannot be overwritten.
    assert_eq!(save(&world, "front", read.clone()).await.status, 200);
    assert_eq!(save(&world, "front", agent("Good evening.")).await.json()["version"], 3);
    assert_eq!(save(&world, "front", read).await.status, 409);
    assert_eq!(world.api("olga", Method::PUT, "/v1/agents/front", Some(agent("x"))).await.status, 403);
}

#[tokio::test]
async fn an_agent_that_could_not_work_is_not_saved_and_says_what_is_missing() {
    let world = world(&[EngineKind::OpenAi]).await;
    let (keys, detail) = wrong(&save(&world, "front", agent("Hello.")).await);
    assert_eq!(keys, ["engines"]);
    assert!(detail.contains("set HUME_API_KEY"), "{detail}");
    let mut broken = agent("Hello.");
    broken["engines"] = json!(["openai"]);
    broken["lead_ms"] = json!(7);
    let find = |url: &str| json!({ "name": "find", "description": "Finds.", "parameters": "{\"type\":\"object\"}", "url": url });
    broken["tools"] = json!([
        find("https://10.0.0.7/find"),
        { "name": "transfer_call", "destinations": { "office": "+19005550123" } },
    ]);
    let (keys, _) = wrong(&save(&world, "front", broken.clone()).await);
    assert_eq!(keys, ["lead_ms", "tools[1].url", "tools[2].destinations.office"]);
    // Asked beforehand, the same is said, and nothing is saved.
    broken["name"] = json!("front");
    let asked = world.api("olga", Method::POST, "/v1/agents/validate", Some(broken)).await.json();
    assert_eq!(asked["problems"].as_array().unwrap().len(), 3, "{asked}");
    assert!(asked["problems"][1]["message"].as_str().unwrap().contains("TOOL_PRIVATE_ADDRESSES"), "{asked}");
    assert_eq!(world.api("vic", Method::GET, "/v1/agents/front", None).await.status, 404);
    let fine = json!({ "name": "front", "engines": ["hume", "openai"], "instructions": "Be kind.", "tools": [find("https://tools.example.com/")] });
    let asked = world.api("olga", Method::POST, "/v1/agents/validate", Some(fine.clone())).await.json();
    assert_eq!(asked, json!({ "problems": [] }));
    assert_eq!(save(&world, "front", fine).await.status, 200);
}

#[tokio::test]
async fn agents_do_not_contradict_each_other_and_unknown_keys_are_named() {
    let world = world(&[EngineKind::Hume]).await;
    assert_eq!(save(&world, "front", agent("Hello.")).await.status, 200);
    let (keys, detail) = wrong(&save(&world, "back", agent("Hello.")).await);
    assert_eq!(keys, ["default"]);
    assert!(detail.contains("`front`"), "{detail}");
    let mut odd = agent("Hello.");
    odd["greetign"] = json!("Hi.");
    let (_, detail) = wrong(&save(&world, "front", odd).await);
    assert!(detail.contains("greetign"), "{detail}");
    let (keys, _) = wrong(&save(&world, "Not%20A%20Name", agent("Hello.")).await);
    assert!(keys.contains(&"name".to_owned()), "{keys:?}");
}

#[tokio::test]
async fn agents_that_are_part_of_the_program_are_not_saved() {
    let world = World::new().await;
    let answer = save(&world, "front", agent("Hello.")).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
}

#[tokio::test]
async fn a_form_is_told_what_engines_offer() {
    let world = world(&[EngineKind::OpenAi]).await;
    let shown = world.api("vic", Method::GET, "/v1/engines", None).await.json();
    let engine =
        |name: &str| shown["engines"].as_array().unwrap().iter().find(|engine| engine["name"] == name).unwrap();
    assert_eq!((&engine("openai")["credentials"], &engine("hume")["credentials"]), (&json!(true), &json!(false)));
    assert_eq!(engine("openai")["voices"][0], "marin");
    assert!(engine("hume")["languages"].as_array().unwrap().contains(&json!("en")));
    assert!(
        shown["ranges"].as_array().unwrap().iter().any(|range| range["key"] == "openai.speed" && range["max"] == 1.5)
    );
}
