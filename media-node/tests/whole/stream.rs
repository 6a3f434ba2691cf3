//! Who may join a call, what a stream may send, and where it ends up.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::token::StreamToken;
use wire::twilio::signature::{self, Verifier};

use crate::evi::EviCounts;
use crate::support::{AUTH_TOKEN, Phone, TestCall, World, eventually, secrets, unix_s};

#[tokio::test]
async fn an_upgrade_without_twilios_signature_is_refused() {
    let mut world = World::new().await;
    let node = world.node_with("node-a", |config| config.twilio = Some(Verifier::new(&[AUTH_TOKEN]))).await;
    let call = world.open_call("node-a").await;
    assert_eq!(node.prepare(&call).await, 202);
    let url = "wss://media.example.com/media-stream/node-a";
    let other = signature::sign(AUTH_TOKEN, "wss://media.example.com/media-stream/node-b", []);
    let forged = signature::sign("another token", url, []);
    for wrong in [None, Some(other.as_str()), Some(forged.as_str())] {
        assert_eq!(Phone::open(&node.base, "node-a", &call, wrong).await.err(), Some(403));
    }
    assert_eq!(node.figure("signatures_refused_total").await, 3);
    let right = signature::sign(AUTH_TOKEN, url, []);
    let mut phone = Phone::open(&node.base, "node-a", &call, Some(&right)).await.unwrap();
    phone.start(&call, &call.token("node-a")).await;
    phone.hears_something().await;
}

#[tokio::test]
async fn a_stream_needs_a_fresh_token_of_its_own() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let (call, unprepared) = (world.open_call("node-a").await, TestCall::new(1));
    let other_sid = TestCall { call_sid: unprepared.call_sid, ..call };
    assert_eq!(node.prepare(&call).await, 202);
    let minted =
        |epoch, of: &TestCall, node, now| StreamToken::new(of.id.to_string(), epoch, node, now).mint(&secrets());
    for (whose, token, reason) in [
        (&call, "nonsense".to_owned(), "not a valid token"),
        (&call, minted(1, &call, "node-a", unix_s() - 61), "expired token"),
        (&call, minted(1, &call, "node-b", unix_s()), "token of another node or call"),
        (&call, minted(1, &unprepared, "node-a", unix_s()), "token of another node or call"),
        (&unprepared, unprepared.token("node-a"), "the call is not prepared here"),
        (&call, minted(2, &call, "node-a", unix_s()), "the call is not prepared here"),
        (&other_sid, call.token("node-a"), "stream of another account or call"),
    ] {
        let closed = Phone::join(&node.base, "node-a", whose, &token).await.closed().await;
        assert_eq!(closed, (1008, reason.to_owned()));
    }
    let token = call.token("node-a");
    let mut first = Phone::join(&node.base, "node-a", &call, &token).await;
    first.hears_something().await;
    let second = Phone::join(&node.base, "node-a", &call, &token).await.closed().await;
    assert_eq!(second, (1008, "used token".to_owned()));
    first.hears_something().await;
    for (figure, value) in [("forged", 1), ("expired", 1), ("misplaced", 5), ("used", 1)] {
        assert_eq!(node.figure(&format!("tokens_{figure}_total")).await, value, "{figure}");
    }
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_closed() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let phone = Phone::open(&node.base, "node-a", &TestCall::new(1), None).await.unwrap();
    assert_eq!(phone.closed().await, (1008, "no start in time".to_owned()));
    assert_eq!(node.figure("streams_without_token_total").await, 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_the_call_goes_on() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    for text in ["{", "[]", r#"{"event":"media"}"#, r#"{"event":"media","media":{"timestamp":"0","payload":"%%"}}"#] {
        phone.send(text.to_owned()).await;
    }
    phone.send(r#"{"event":"weather"}"#.to_owned()).await;
    let before = EviCounts::of(&world.evi.counts.frames);
    phone.speak(10, 0x20).await;
    eventually("the caller's voice", async || EviCounts::of(&world.evi.counts.frames) >= before + 10).await;
    phone.hang_up().await;
    assert_eq!(phone.closed().await.0, 1000);
    world.whole_journal(call.id).await;
    assert_eq!((node.figure("malformed_total").await, node.figure("unknown_total").await), (4, 1));
}

#[tokio::test]
async fn an_oversized_message_closes_the_socket_with_a_reason() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let mut phone = node.call(&call).await;
    phone.hears_something().await;
    phone.send("x".repeat(call::limits::PHONE_MESSAGE_BYTES_MAX + 1)).await;
    assert_eq!(phone.closed().await, (1009, "message too big".to_owned()));
    assert_eq!(node.figure("messages_too_big_total").await, 1);
    eventually("the engine's end", async || EviCounts::of(&world.evi.counts.closed) == 1).await;
    world.whole_journal(call.id).await;
}

#[tokio::test]
async fn a_stream_at_the_wrong_node_is_spliced_to_the_right_one() {
    let mut world = World::new().await;
    let guarded = |config: &mut media_node::Config| config.twilio = Some(Verifier::new(&[AUTH_TOKEN]));
    let (owner, other) = (world.node_with("node-a", guarded).await, world.node_with("node-b", guarded).await);
    let call = world.open_call("node-a").await;
    assert_eq!(owner.prepare(&call).await, 202);
    let signature = signature::sign(AUTH_TOKEN, "wss://media.example.com/media-stream/node-a", []);
    let mut phone = Phone::open(&other.base, "node-a", &call, Some(&signature)).await.unwrap();
    phone.start(&call, &call.token("node-a")).await;
    phone.hears_something().await;
    let before = EviCounts::of(&world.evi.counts.frames);
    phone.speak(10, 0x20).await;
    eventually("the caller's voice", async || EviCounts::of(&world.evi.counts.frames) >= before + 10).await;
    assert_eq!((other.figure("streams_spliced_total").await, owner.figure("streams_joined_total").await), (1, 1));
    let hang_up = call::Command::HangUp { by: call::journal::EndedBy::Operator };
    assert_eq!(owner.command(&call, &hang_up).await, 202);
    assert_eq!(phone.closed().await.0, 1000);
    let nobody = signature::sign(AUTH_TOKEN, "wss://media.example.com/media-stream/node-c", []);
    assert_eq!(Phone::open(&other.base, "node-c", &call, Some(&nobody)).await.err(), Some(404));
}

#[tokio::test]
async fn a_node_that_goes_down_lets_the_streams_it_passes_through_end_in_time() {
    let mut world = World::new().await;
    let owner = world.node("node-a").await;
    let other = world.node_with("node-b", |config| config.drain_within = Duration::from_secs(1)).await;
    let call = world.open_call("node-a").await;
    assert_eq!(owner.prepare(&call).await, 202);
    let mut phone = Phone::open(&other.base, "node-a", &call, None).await.unwrap();
    phone.start(&call, &call.token("node-a")).await;
    phone.hears_something().await;
    assert_eq!(other.figure("streams_passing").await, 1);
    let since = std::time::Instant::now();
    let draining = tokio::spawn({
        let node = other.node.clone();
        async move { node.drain().await }
    });
    assert_eq!(phone.closed().await, (1001, "going away".to_owned()));
    assert!(since.elapsed() >= Duration::from_secs(1), "it had its time");
    draining.await.unwrap();
    assert_eq!(other.figure("streams_passing").await, 0);
}

#[tokio::test]
async fn a_node_passes_no_more_streams_through_than_it_takes_calls() {
    let mut world = World::new().await;
    let owner = world.node("node-a").await;
    let other = world.node_with("node-b", |config| config.capacity = 1).await;
    let call = world.open_call("node-a").await;
    assert_eq!(owner.prepare(&call).await, 202);
    let first = Phone::open(&other.base, "node-a", &call, None).await.unwrap();
    assert_eq!(Phone::open(&other.base, "node-a", &call, None).await.err(), Some(503));
    drop(first);
    eventually("room", async || Phone::open(&other.base, "node-a", &call, None).await.is_ok()).await;
}

/// A server that never lets go of its connection, and so fails every upgrade after it was answered.
async fn upgrade_that_fails(router: axum::Router, path: &str) -> String {
    let (mut client, server) = tokio::io::duplex(16 << 10);
    let service = hyper_util::service::TowerToHyperService::new(router);
    let served = tokio::spawn(
        hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(server), service)
            .without_shutdown(),
    );
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let length = client.read(&mut answer).await.unwrap();
    drop(client);
    served.await.unwrap().ok();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn an_upgrade_that_fails_takes_no_place() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let router = node.node.router();
    for path in ["/media-stream/node-a", "/live"] {
        let answer = upgrade_that_fails(router.clone(), path).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    }
    eventually("free places", async || {
        node.figure("streams_nameless").await == 0 && node.figure("live_sockets").await == 0
    })
    .await;
}

#[tokio::test]
async fn a_stream_whose_epoch_is_anothers_is_closed_and_writes_nothing() {
    let mut world = World::new().await;
    let node = world.node("node-a").await;
    let call = world.open_call("node-a").await;
    let winner = wire::twilio::StreamSid::from_number(9);
    assert_eq!(world.store.claim_stream(call.id, 1, "node-b", winner).await, Ok(store::Claim::Won));
    let phone = node.call(&call).await;
    assert_eq!(phone.closed().await, (1008, "another stream has this call".to_owned()));
    eventually("the end", async || node.node.sessions() == 0).await;
    node.node.drain().await;
    assert!(world.journal(call.id).await.is_empty());
    assert!(world.store.segments(call.id).await.unwrap().is_empty());
}
