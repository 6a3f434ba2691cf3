//! What the control plane and dashboards ask, and how a node goes down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use call::Command;
use call::journal::{EndReason, EndedBy, Kind, NextStep};
use call::prepare::{Kept, next_path, prepare_path};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};
use wire::token::LiveToken;

use crate::evi::EviCounts;
use crate::support::{Phone, TestCall, World, eventually, secrets, unix_s};

#[tokio::test]
async fn a_call_is_prepared_once_however_often_it_is_asked_for() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    assert_eq!((node.prepare(&call).await, node.prepare(&call).await), (202, 202));
    let mut phone = Phone::join(&node.base, "node-a", &call, &call.token("node-a")).await;
    phone.hears_something().await;
    assert_eq!(node.prepare(&call).await, 202);
    assert_eq!((node.node.sessions(), EviCounts::of(&world.evi.counts.chats)), (1, 1));
}

#[tokio::test]
async fn a_request_must_be_signed_for_this_node_and_this_call() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = TestCall::new(1);
    let (path, body) = (prepare_path("node-a", call.id), serde_json::to_vec(&call.prepare()).unwrap());
    assert_eq!(node.request("POST", &path, body.clone(), "").await.status(), 403);
    let other = prepare_path("node-b", call.id);
    assert_eq!(node.signed("POST", &other, body.clone()).await.status(), 421);
    let another_call = prepare_path("node-a", TestCall::new(2).id);
    assert_eq!(node.signed("POST", &another_call, body).await.status(), 400);
    let unreadable = node.signed("POST", &path, b"{}".to_vec()).await;
    assert_eq!(unreadable.status(), 400);
    assert_eq!(unreadable.headers()["content-type"], "application/problem+json");
    assert_eq!((node.node.sessions(), node.figure("signatures_refused_total").await), (0, 1));
}

#[tokio::test]
async fn a_full_node_says_so() {
    let mut world = World::new().await;
    let node = world.node_with("node-a", |config| config.capacity = 1).await;
    assert_eq!(node.prepare(&TestCall::new(1)).await, 202);
    assert_eq!(node.prepare(&TestCall::new(2)).await, 503);
    assert_eq!(node.figure("calls_refused_total").await, 1);
}

#[tokio::test]
async fn a_call_that_no_engine_here_could_answer_is_refused() {
    let mut world = World::new().await;
    let node = world.node_with("node-a", |config| config.engines.hume = None).await;
    let call = TestCall::new(1);
    let body = serde_json::to_vec(&call.prepare()).unwrap();
    let answer = node.signed("POST", &prepare_path("node-a", call.id), body).await;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.unwrap().contains("HUME_API_KEY"));
    assert_eq!(node.node.sessions(), 0);
}

#[tokio::test]
async fn the_next_step_is_in_the_store_and_kept_here_before_the_phone_is_closed() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let path = next_path("node-a", call.id, 1);
    assert_eq!(node.signed("GET", &path, Vec::new()).await.status(), 404);
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    assert_eq!(node.signed("GET", &path, Vec::new()).await.status(), 204);
    assert_eq!(node.command(&call, &Command::HangUp { by: EndedBy::Operator }).await, 202);
    assert_eq!(phone.closed().await.0, 1000);
    let step = NextStep::HangUp { ended_by: EndedBy::Operator, reason: EndReason::HungUp };
    assert_eq!(world.store.next_step(call.id, 1).await.unwrap(), Some(step.clone()));
    let kept: Kept = node.signed("GET", &path, Vec::new()).await.json().await.unwrap();
    assert_eq!(kept, Kept { epoch: 1, next: step });
    eventually("the engine's end", async || EviCounts::of(&world.evi.counts.closed) == 1).await;
    eventually("the session's end", async || node.node.sessions() == 0).await;
    assert_eq!(node.command(&call, &Command::HangUp { by: EndedBy::Operator }).await, 404);
}

#[tokio::test]
async fn a_call_that_never_started_here_says_nothing_about_an_epoch_that_is_anothers() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let (ours, anothers) = (world.open_call("node-a").await, world.open_call("node-b").await);
    for call in [&ours, &anothers] {
        assert_eq!(node.prepare(call).await, 202);
        assert_eq!(node.command(call, &Command::HangUp { by: EndedBy::Operator }).await, 202);
    }
    eventually("the sessions' end", async || node.node.sessions() == 0).await;
    node.node.drain().await;
    let step = NextStep::HangUp { ended_by: EndedBy::Operator, reason: EndReason::HungUp };
    assert_eq!(world.store.next_step(ours.id, 1).await.unwrap(), Some(step));
    assert_eq!(world.store.next_step(anothers.id, 1).await.unwrap(), None);
    assert!(world.journal(anothers.id).await.is_empty());
}

#[tokio::test]
async fn an_engine_that_refuses_is_written_down_and_left_alone() {
    let mut world = World::new().await;
    world.evi.counts.refuse.store(410, Ordering::SeqCst);
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let phone = node.call(&call).await;
    assert_eq!(phone.closed().await.0, 1000);
    let journal = world.whole_journal(call.id).await;
    assert!(journal.iter().any(|entry| matches!(
        &entry.kind,
        Kind::EngineRefused { why: call::journal::LinkCause::Status { status: 410 }, .. }
    )));
    let step = world.store.next_step(call.id, 1).await.unwrap();
    assert!(matches!(step, Some(NextStep::Apologise { reason: EndReason::NoEngine, .. })), "{step:?}");
    let (_, status) = node.text("/status").await;
    assert!(status.contains(r#""engine":"hume","state":"left_alone""#), "{status}");
    assert_eq!(node.figure("engine_refusals_total{engine=\"hume\"}").await, 1);
    assert_eq!(node.figure("engine_offered{engine=\"hume\"}").await, 0);
}

#[tokio::test]
async fn a_draining_node_hands_its_calls_over_and_leaves_the_list() {
    let mut world = World::new().await;
    let node = world.node_with("node-a", |config| config.drain_within = Duration::from_secs(1)).await;
    let call = world.open_call("node-a").await;
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    assert_eq!(node.text("/ready").await.0, 200);
    assert_eq!(world.store.nodes().await.unwrap().len(), 1);
    let draining = tokio::spawn({
        let node = node.node.clone();
        async move { node.drain().await }
    });
    assert_eq!(phone.closed().await.0, 1000);
    draining.await.unwrap();
    assert_eq!(world.store.next_step(call.id, 1).await.unwrap(), Some(NextStep::Continue));
    let journal = world.whole_journal(call.id).await;
    assert!(matches!(journal.last().unwrap().kind, Kind::StreamEnded { .. }));
    assert_eq!((node.text("/ready").await.0, node.text("/health").await.0), (503, 200));
    assert_eq!(node.prepare(&TestCall::new(2)).await, 503);
    assert!(world.store.nodes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dashboard_with_a_token_sees_the_journal_as_it_is_written() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let connect = async |origin: Option<&'static str>| {
        let mut request = format!("ws://{}/live", node.base).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
    };
    let refused = connect(Some("https://evil.example")).await;
    assert!(matches!(refused, Err(tungstenite::Error::Http(answer)) if answer.status() == 403));
    let mut stranger = connect(None).await.unwrap();
    stranger.send(Message::text("let me in")).await.unwrap();
    let closed = stranger.next().await.unwrap().unwrap();
    assert!(matches!(closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1008));

    let call = world.open_call("node-a").await;
    let mut dashboard = connect(Some("https://calls.example.com")).await.unwrap();
    let token = LiveToken::new("ana", "viewer", unix_s()).mint(&secrets());
    dashboard.send(Message::text(token)).await.unwrap();
    dashboard.send(Message::text(format!(r#"{{"subscribe":"{}"}}"#, call.id))).await.unwrap();
    eventually("the dashboard", async || node.figure("live_sockets").await == 1).await;
    let confirmed = tokio::time::timeout(Duration::from_secs(5), dashboard.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(confirmed.to_text().unwrap(), format!(r#"{{"following":"{}"}}"#, call.id));
    let _phone = node.call(&call).await;
    let mut kinds = Vec::new();
    while !kinds.contains(&"engine_ready".to_owned()) {
        let message = tokio::time::timeout(Duration::from_secs(5), dashboard.next()).await.unwrap().unwrap().unwrap();
        let message: serde_json::Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(message["call"], call.id.to_string());
        kinds.push(message["entry"]["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds[..2], ["prepared", "engine_dialled"]);
    let accesses = world.store.accesses(call.id).await.unwrap();
    let accesses: Vec<_> = accesses.iter().map(|access| (access.who.as_str(), access.what)).collect();
    assert_eq!(accesses, [("ana", store::AccessKind::Live)], "on record before it was shown, and once an hour");
}
