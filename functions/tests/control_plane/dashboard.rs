//! What a browser gets, and how somebody without a token at hand signs in.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::{Method, StatusCode};
use serde_json::json;

use crate::world::{Answer, BASE, CALLER, World, about};

async fn get(world: &World, path: &str, known: &str) -> Answer {
    let request = Request::builder().uri(path).header("if-none-match", known).body(Body::empty()).unwrap();
    world.send(request).await
}

#[tokio::test]
async fn the_page_and_its_files_are_for_everybody_and_load_nothing_of_others() {
    let world = World::new().await;
    for path in ["/", "/calls/call_1", "/place", "/sign-in", "/assets/app.js", "/assets/style.css"] {
        let answer = get(&world, path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(policy.contains("connect-src 'self' wss://voice.example.com;"), "{policy}");
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-cache", "nosniff"));
        // Unchanged, it is not sent again.
        let tag = answer.header("etag").to_owned();
        let again = get(&world, path, &format!("W/\"x\", {tag}")).await;
        assert_eq!((again.status, again.header("etag")), (StatusCode::NOT_MODIFIED, tag.as_str()), "{path}");
    }
    assert!(get(&world, "/", "").await.header("content-type").starts_with("text/html"));
    assert!(get(&world, "/assets/kit.js", "").await.header("content-type").starts_with("text/javascript"));
    for path in ["/assets/../Cargo.toml", "/assets/%2e%2e%2fCargo.toml", "/assets/app.rs", "/nothing"] {
        assert_eq!(get(&world, path, "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_link_signs_one_browser_in_and_no_other() {
    let world = World::new().await;
    let sign_in = |key: &str, origin: &str| {
        let request = Request::builder().method(Method::POST).uri("/v1/session").header("origin", origin);
        request.body(Body::from(json!({ "key": key }).to_string())).unwrap()
    };
    assert_eq!(world.api_state.sign_in_key("nobody's").unwrap(), None);
    let key = world.api_state.sign_in_key("olga-token").unwrap().unwrap();
    assert_eq!(world.send(sign_in(&key, "https://evil.example.com")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.send(sign_in("guessed", BASE)).await.status, StatusCode::UNAUTHORIZED);
    let answer = world.send(sign_in(&key, BASE)).await;
    assert_eq!((answer.status, &answer.json()["name"]), (StatusCode::OK, &json!("olga")));
    assert!(answer.header("set-cookie").contains("HttpOnly; SameSite=Strict"));
    let used = world.send(sign_in(&key, BASE)).await;
    assert_eq!(
        (used.status, &used.json()["type"]),
        (StatusCode::UNAUTHORIZED, &json!("urn:switchboard:problem:link-used"))
    );
    let late = world.api_state.sign_in_key("olga-token").unwrap().unwrap();
    world.pass(Duration::from_secs(3_600)).await;
    assert_eq!(world.send(sign_in(&late, BASE)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_page_is_told_who_looks_and_what_is_here() {
    let world = World::new().await;
    let session = world.api("vic", Method::GET, "/v1/session", None).await.json();
    assert_eq!(
        session,
        json!({ "name": "vic", "role": "viewer", "time_zone": "UTC", "simulated": false, "number": "+12025550100", "countries": ["US"] })
    );
    let services = world.api("vic", Method::GET, "/v1/services", None).await.json();
    assert_eq!(services["services"][0]["name"], "Twilio");
    let nodes = world.api("vic", Method::GET, "/v1/nodes", None).await.json();
    // These nodes have nothing to say of themselves.
    assert_eq!((&nodes["nodes"][0]["alive"], &nodes["nodes"][0]["status"]), (&json!(true), &json!(null)));
}

#[tokio::test]
async fn calls_under_way_are_beside_the_first_page_however_old() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let live = async |query: &str| world.api("vic", Method::GET, &format!("/v1/calls?{query}"), None).await.json();
    assert!(live("limit=1").await.get("live").is_none());
    assert_eq!(live("live=1&limit=1").await["live"][0]["phone"], CALLER);
    assert_eq!(live("live=1&agent=nobody").await["live"], json!([]));
    assert_eq!(live("live=1&to=2026-11-19").await["live"], json!([]));
    assert_eq!(world.api("vic", Method::GET, "/v1/calls?live=yes", None).await.status, StatusCode::BAD_REQUEST);
    world.twilio("/twilio/status", &about(1, "inbound", "completed")).await;
    assert_eq!(live("live=1").await["live"], json!([]));
}
