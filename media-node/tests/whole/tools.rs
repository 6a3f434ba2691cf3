//! Tools and steering, from the control plane's request or the model's wish to what the engine is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use call::Command;
use call::agent::Agent;
use call::journal::{Entry, Kind, NextStep};
use call::prepare::prepare_path;
use media_node::ToolAccess;
use serde_json::{Value, json};
use wire::standard_webhooks;

use crate::support::{Phone, Running, TestCall, World, eventually};

const SECRET: &str = "a tool secret for tests";

/// A service with a good tool and several bad ones.
struct Service {
    port: u16,
    asked: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Service {
    async fn start() -> Self {
        let asked: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let good = move |headers: HeaderMap, body: Bytes| {
            noted.lock().unwrap().push((headers, body));
            async { axum::Json(json!({ "order": "on its way" })) }
        };
        let router = Router::new()
            .route("/good", post(good))
            .route("/late", post(async || tokio::time::sleep(Duration::from_secs(30)).await))
            .route("/redirect", post(async || (StatusCode::FOUND, [(header::LOCATION, "/good")]).into_response()))
            .route("/large", post(async || format!("\"{}\"", "x".repeat(2 << 20))))
            .route("/nonsense", post(async || "<html>Welcome!</html>"))
            .route("/failing", post(async || StatusCode::INTERNAL_SERVER_ERROR));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, asked }
    }

    fn agent(&self, tools: &[&str]) -> String {
        let mut text = "engines = [\"hume\"]\ninstructions = \"Be brief.\"\ngreeting = \"Hello.\"\n".to_owned();
        for name in tools {
            text += &format!(
                "[[tools]]\nname = \"{name}\"\ndescription = \"A tool.\"\ntimeout_ms = 1500\nparameters = '{{\"type\":\"object\"}}'\n\
                 url = \"http://127.0.0.1:{}/{name}\"\n",
                self.port
            );
        }
        text
    }
}

async fn call_with(node: &Running, call: &TestCall, agent: &str) -> Phone {
    let mut prepare = call.prepare();
    prepare.setup.script = Agent::parse("test", agent).unwrap().script(&Default::default()).unwrap();
    let body = serde_json::to_vec(&prepare).unwrap();
    assert_eq!(node.signed("POST", &prepare_path(node.node.name(), call.id), body).await.status(), 202);
    Phone::join(&node.base, node.node.name(), call, &call.token(node.node.name())).await
}

fn answered(journal: &[Entry], id: &str) -> Option<(bool, String)> {
    journal.iter().find_map(|entry| {
        if let Kind::ToolAnswered { id: answered, ok, content, .. } = &entry.kind
            && answered == id
        {
            return Some((*ok, content.clone()));
        }
        None
    })
}

#[tokio::test]
async fn a_tool_that_answers_badly_costs_the_call_nothing_and_a_good_one_is_heard() {
    let mut world = World::new().await;
    let service = Service::start().await;
    let node = world
        .node_with("node-a", |config| {
            config.tools =
                ToolAccess { secret: Some(standard_webhooks::secret(SECRET).unwrap()), private_addresses: true };
        })
        .await;
    let call = world.open_call("node-a").await;
    let tools = ["late", "redirect", "large", "nonsense", "failing", "good"];
    world.evi.ask_for(&tools);
    let mut phone = call_with(&node, &call, &service.agent(&tools)).await;
    phone.hears_something().await;
    phone.speak(10, 0x20).await;
    eventually("all answers", async || world.evi.told("tool_").len() == tools.len()).await;
    for message in world.evi.told("tool_") {
        let id = message["tool_call_id"].as_str().unwrap();
        let expected = if id == "good" { "tool_response" } else { "tool_error" };
        assert_eq!(message["type"], expected, "{message}");
        assert!(message.to_string().len() < 1_000, "{message}");
    }
    // The call goes on: the caller is heard and the agent speaks.
    assert_eq!(node.command(&call, &Command::Say { text: "Still here.".into() }).await, 202);
    eventually("the sentence", async || !world.evi.told("assistant_input").is_empty()).await;
    let asked = service.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "the redirect was not followed");
    let (headers, body) = &asked[0];
    let text = |name: &str| headers[name].to_str().unwrap();
    let secret = standard_webhooks::secret(SECRET).unwrap();
    let at: u64 = text("webhook-timestamp").parse().unwrap();
    assert_eq!(text("webhook-signature"), standard_webhooks::sign(&secret, text("webhook-id"), at, body));
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&body["tool"], &body["call"]), (&json!("good"), &json!(call.id.to_string())));
    assert_eq!(body["id"], text("webhook-id"));
    phone.hang_up().await;
    let journal = world.whole_journal(call.id).await;
    assert_eq!(answered(&journal, "good"), Some((true, r#"{"order":"on its way"}"#.to_owned())));
    for bad in &tools[..5] {
        assert!(answered(&journal, bad).is_some_and(|(ok, _)| !ok), "{bad}");
    }
    assert_eq!(node.figure("tools_failed_total").await, 5);
}

#[tokio::test]
async fn a_tool_in_our_own_network_is_not_asked_unless_that_is_allowed() {
    let mut world = World::new().await;
    let service = Service::start().await;
    let secret = standard_webhooks::secret(SECRET).unwrap();
    let guarded = |config: &mut media_node::Config| {
        config.tools = ToolAccess { secret: Some(secret.clone()), private_addresses: false };
    };
    let node = world.node_with("node-a", guarded).await;
    let call = world.open_call("node-a").await;
    world.evi.ask_for(&["good", "named"]);
    let named = format!(
        "[[tools]]\nname = \"named\"\ndescription = \"A tool.\"\nparameters = '{{\"type\":\"object\"}}'\nurl = \"https://localhost:{}/good\"\n",
        service.port
    );
    let mut phone = call_with(&node, &call, &(service.agent(&["good"]) + &named)).await;
    phone.hears_something().await;
    phone.speak(5, 0x20).await;
    eventually("both errors", async || world.evi.told("tool_error").len() == 2).await;
    assert!(service.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_people_ask_of_a_call_reaches_the_engine_and_the_record() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    assert_eq!(node.command(&call, &Command::Say { text: "Please hold the line.".into() }).await, 202);
    eventually("the sentence", async || {
        world.evi.told("assistant_input").iter().any(|message| message["text"] == "Please hold the line.")
    })
    .await;
    let instructions = "Speak of tulips.".to_owned();
    assert_eq!(node.command(&call, &Command::Instruct { instructions: instructions.clone() }).await, 202);
    eventually("the instructions", async || {
        world.evi.told("session_settings").iter().any(|message| message.to_string().contains("tulips"))
    })
    .await;
    assert_eq!(node.command(&call, &Command::Transfer { to: "+12025550177".into() }).await, 202);
    assert_eq!(phone.closed().await.0, 1000);
    let step = NextStep::Transfer { to: "+12025550177".into() };
    assert_eq!(world.store.next_step(call.id, 1).await.unwrap(), Some(step));
    let journal = world.whole_journal(call.id).await;
    let has = |kind: &Kind| journal.iter().any(|entry| entry.kind == *kind);
    for command in ["say", "instruct", "transfer"] {
        assert!(has(&Kind::Commanded { command: command.to_owned() }), "{command}");
    }
    assert!(has(&Kind::Instructed { instructions: instructions.clone() }));
    // Whoever goes on with the call goes on with them.
    let conversation = call::resume::Conversation::read(&journal);
    assert_eq!(conversation.instructions, Some(instructions));
}
