//! Who gets in.

use axum::body::Body;
use axum::extract::Request;
use http::{Method, StatusCode};
use serde_json::json;

use crate::log::Log;
use crate::world::{BASE, Plan, TOKEN, World, about, api_request, signed_post};

#[tokio::test]
async fn a_forged_or_missing_signature_changes_nothing_and_is_counted() {
    let world = World::new().await;
    let form = about(1, "inbound", "ringing");
    let mut tampered = form.clone();
    tampered.push("From", "+12025550199");
    let mut missing = signed_post("/twilio/voice", &form, TOKEN);
    missing.headers_mut().remove("x-twilio-signature");
    let mut other_body = signed_post("/twilio/voice", &form, TOKEN);
    *other_body.body_mut() = Body::from(tampered.encode());
    let mut other_query = signed_post("/twilio/voice", &form, TOKEN);
    *other_query.uri_mut() = "/twilio/voice?call=call_01HZX3V9K4Q8R2T6W0Y5B7D1FG".parse().unwrap();
    let requests = [missing, other_body, other_query, signed_post("/twilio/voice", &form, "guessed")];
    let forged = requests.len() as u64;
    for request in requests {
        let answer = world.send(request).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::FORBIDDEN, "application/problem+json"));
    }
    for path in ["/twilio/voice/next", "/twilio/voice/fallback", "/twilio/status", "/twilio/stream"] {
        assert_eq!(world.send(signed_post(path, &form, "guessed")).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(world.counters.snapshot().forged, forged + 4);
    assert!(world.calls().await.is_empty());
    assert!(world.nodes[0].memory(|memory| memory.prepared.is_empty()));
    // Both tokens count while they rotate, and so does a signed GET.
    assert_eq!(world.send(signed_post("/twilio/voice", &form, "old-token")).await.status, StatusCode::OK);
    let path = format!("/twilio/voice?{}", form.encode());
    let value = wire::twilio::signature::sign(TOKEN, &format!("{BASE}{path}"), []);
    let get = Request::builder().uri(&path).header("x-twilio-signature", value).body(Body::empty()).unwrap();
    assert_eq!(world.send(get).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_too_large_or_no_form_is_refused() {
    let world = World::new().await;
    let mut form = about(1, "inbound", "ringing");
    form.push("Digits", "1".repeat(70_000));
    assert_eq!(world.twilio("/twilio/voice", &form).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut json = signed_post("/twilio/voice", &about(1, "inbound", "ringing"), TOKEN);
    json.headers_mut().insert("content-type", "application/json".parse().unwrap());
    assert_eq!(world.send(json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let body = json!({ "to": "x".repeat(300_000) });
    assert_eq!(world.place("k", body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_number_that_calls_too_often_hears_that_the_line_is_busy_and_its_calls_go_on() {
    let world = World::with(Plan { per_number: (2, 1), ..Plan::default() }).await;
    for sid in 1..=2 {
        let answer = world.twilio("/twilio/voice", &about(sid, "inbound", "ringing")).await;
        assert!(answer.twiml().contains("<Connect"));
    }
    let answer = world.twilio("/twilio/voice", &about(3, "inbound", "ringing")).await;
    assert!(answer.twiml().contains("<Reject reason=\"busy\"/>"), "{}", answer.twiml());
    assert_eq!((world.counters.snapshot().limited, world.calls().await.len()), (1, 2));
    // What is about a call that is open is taken, however much it is.
    let id = world.call_of(1).await.id;
    for _ in 0..5 {
        assert!(world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await.twiml().contains("<Connect"));
    }
    for _ in 0..5 {
        let next = format!("/twilio/voice/next?call={id}&epoch=1");
        assert_eq!(world.twilio(&next, &about(1, "inbound", "completed")).await.status, StatusCode::OK);
        assert_eq!(world.twilio("/twilio/status", &about(2, "inbound", "completed")).await.status, 204);
    }
    // Callers who withhold their number are not one caller.
    for sid in 10..15 {
        let mut form = wire::twilio::Form::new();
        for (name, value) in about(sid, "inbound", "ringing").pairs() {
            form.push(name, if name == "From" { "anonymous" } else { value });
        }
        assert!(world.twilio("/twilio/voice", &form).await.twiml().contains("<Connect"), "{sid}");
    }
}

#[tokio::test]
async fn roles_and_tokens_decide_who_may_do_what() {
    let world = World::new().await;
    assert_eq!(world.api("vic", Method::GET, "/v1/calls", None).await.status, StatusCode::OK);
    let answer = world.api("nobody", Method::GET, "/v1/calls", None).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"));
    let mut placing = crate::world::place_request("k", json!({ "to": "+12025550123" }));
    placing.headers_mut().insert("authorization", "Bearer vic-token".parse().unwrap());
    assert_eq!(world.send(placing).await.status, StatusCode::FORBIDDEN);
    let erase = "/v1/calls/call_01HZX3V9K4Q8R2T6W0Y5B7D1FG";
    assert_eq!(world.api("olga", Method::DELETE, erase, None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.api("ada", Method::DELETE, erase, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.counters.snapshot().unauthorised, 3);
    let guesses = async |n: u32| world.api(&format!("guess-{n}"), Method::GET, "/v1/calls", None).await.status;
    let mut last = StatusCode::OK;
    for n in 0..60 {
        last = guesses(n).await;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.api("vic", Method::GET, "/v1/calls", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_described_operation_is_there_and_asks_who_it_is() {
    let mut world = World::new().await;
    let description = world.send(Request::builder().uri("/openapi.json").body(Body::empty()).unwrap()).await.json();
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"].as_array().unwrap().is_empty() {
                continue;
            }
            // Who asks without a token too often is told to wait, whatever was asked for.
            asked += 1;
            if asked % 10 == 0 {
                world = World::new().await;
            }
            let path = path.replace("{id}", "call_01HZX3V9K4Q8R2T6W0Y5B7D1FG").replace("{name}", "front");
            let path = path.replace("{number}", "%2B12025550123");
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = Request::builder().method(method.clone()).uri(&path).body(Body::empty()).unwrap();
            assert_eq!(world.send(request).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_browser_signs_in_and_may_change_things_from_our_page_only() {
    let world = World::new().await;
    let sign_in = |origin: &str, token: &str| {
        let builder = Request::builder().method(Method::POST).uri("/v1/session").header("origin", origin);
        builder.body(Body::from(json!({ "token": token }).to_string())).unwrap()
    };
    assert_eq!(world.send(sign_in("https://evil.example.com", "olga-token")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.send(sign_in(BASE, "wrong")).await.status, StatusCode::UNAUTHORIZED);
    let answer = world.send(sign_in(BASE, "olga-token")).await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let with_cookie = |method: Method, path: &str, origin: Option<&str>| {
        let mut request = api_request("x", method, path, None);
        request.headers_mut().remove("authorization");
        request.headers_mut().insert("cookie", format!("other=1; {cookie}").parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        request
    };
    assert_eq!(world.send(with_cookie(Method::GET, "/v1/calls", None)).await.status, StatusCode::OK);
    assert_eq!(world.send(with_cookie(Method::POST, "/v1/live", None)).await.status, StatusCode::FORBIDDEN);
    let evil = with_cookie(Method::POST, "/v1/live", Some("https://evil.example.com"));
    assert_eq!(world.send(evil).await.status, StatusCode::FORBIDDEN);
    let live = world.send(with_cookie(Method::POST, "/v1/live", Some(BASE))).await;
    assert_eq!(live.json()["nodes"][0]["url"], "wss://voice.example.com/live?node=node-0");
    world.clock.advance(std::time::Duration::from_secs(12 * 3_600));
    assert_eq!(world.send(with_cookie(Method::GET, "/v1/calls", None)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_with_an_instance() {
    let world = World::new().await;
    let answer = world.api("vic", Method::GET, "/v2/calls", None).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::NOT_FOUND, "application/problem+json"));
    assert_eq!(answer.json()["instance"], format!("urn:request:{}", answer.header("x-request-id")));
    let answer = world.api("vic", Method::PUT, "/v1/calls", None).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::METHOD_NOT_ALLOWED, "application/problem+json")
    );
}

#[tokio::test]
async fn humes_deliveries_are_believed_by_their_signature_and_kept_once() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    let call = world.call_of(1).await;
    let body = json!({
        "event_name": "chat_ended", "chat_group_id": "g-1", "chat_id": "c-1", "custom_session_id": call.id.to_string(),
        "end_time": 1, "duration_seconds": 1, "end_reason": "USER_ENDED",
    });
    let body = body.to_string();
    let now = (world.store.now().as_ms() / 1_000).to_string();
    let deliver = |key: &str| {
        let value = wire::hume::webhook::sign(key.as_bytes(), body.as_bytes(), &now);
        let builder = Request::builder().method(Method::POST).uri("/hume/webhook");
        let builder = builder.header(wire::hume::webhook::SIGNATURE_HEADER, value);
        let builder = builder.header(wire::hume::webhook::TIMESTAMP_HEADER, &now);
        builder.body(Body::from(body.clone())).unwrap()
    };
    assert_eq!(world.send(deliver("wrong")).await.status, StatusCode::FORBIDDEN);
    for _ in 0..2 {
        assert_eq!(world.send(deliver("hume-key")).await.status, StatusCode::NO_CONTENT);
    }
    let chats = world.call_of(1).await.marks.chats;
    assert_eq!(chats.iter().map(|chat| (chat.group.as_str(), chat.id.as_str())).collect::<Vec<_>>(), [("g-1", "c-1")]);
    assert_eq!(world.store.read_journal(call.id, None, 10).await.unwrap().entries, [], "the journal is the node's");
}

/// A delivery of Hume's, signed now.
fn from_hume(world: &World, body: &serde_json::Value) -> Request {
    let (body, now) = (body.to_string(), (world.store.now().as_ms() / 1_000).to_string());
    let signature = wire::hume::webhook::sign(b"hume-key", body.as_bytes(), &now);
    let builder = Request::builder().method(Method::POST).uri("/hume/webhook");
    let builder = builder.header(wire::hume::webhook::SIGNATURE_HEADER, signature);
    builder.header(wire::hume::webhook::TIMESTAMP_HEADER, &now).body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn what_hume_reports_of_chats_reads_the_same_in_whatever_order_it_came() {
    let mut shown = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]] {
        let world = World::new().await;
        world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
        let id = world.call_of(1).await.id.to_string();
        let chat = |chat: &str, more: serde_json::Value| {
            let mut body = json!({ "chat_group_id": "g-1", "chat_id": chat, "custom_session_id": id });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let started =
            |at: u64| json!({ "event_name": "chat_started", "start_time": at, "chat_start_type": "new_chat_group" });
        let ended = |at: u64| json!({ "event_name": "chat_ended", "end_time": at, "duration_seconds": 5, "end_reason": "USER_ENDED" });
        let reports = [
            chat("c-9", started(1_795_262_400_123)),
            chat("c-9", ended(1_795_262_405_123)),
            chat("c-1", started(1_795_262_406_000)),
            chat("c-1", ended(1_795_262_411_000)),
        ];
        for n in order.into_iter().chain(order) {
            assert_eq!(world.send(from_hume(&world, &reports[n])).await.status, StatusCode::NO_CONTENT);
        }
        let call = world.api("vic", Method::GET, &format!("/v1/calls/{id}"), None).await.json();
        shown.push(call["chats"].clone());
    }
    assert!(shown.iter().all(|chats| *chats == shown[0]), "{shown:#?}");
    let first = json!({
        "engine": "hume", "group": "g-1", "id": "c-9", "started_at": "2026-11-21T12:00:00.123Z",
        "ended_at": "2026-11-21T12:00:05.123Z", "duration_s": 5, "end_reason": "USER_ENDED",
    });
    assert_eq!((&shown[0][0], &shown[0][1]["id"], shown[0].as_array().unwrap().len()), (&first, &json!("c-1"), 2));
}

/// The log is that of all tests of this program, as far as they have come.
#[tokio::test]
async fn no_log_line_has_a_number_or_a_token() {
    let world = World::new().await;
    world.twilio("/twilio/voice", &about(1, "inbound", "ringing")).await;
    world.twilio("/twilio/status", &about(1, "inbound", "completed")).await;
    world.send(signed_post("/twilio/voice", &about(2, "inbound", "ringing"), "guessed")).await;
    world.place("k1", json!({ "to": "+12025550123" })).await;
    world.place("k2", json!({ "to": "2025550123" })).await;
    world.place("k3", json!({ "to": "+19005550123" })).await;
    world.twilio.memory(|memory| memory.refuses = Some(21_211));
    world.place("k4", json!({ "to": "+12025550123" })).await;
    world.api("nobody", Method::GET, "/v1/calls?phone=%2B12025550123", None).await;
    let text = Log::text();
    assert!(text.contains("a call comes in") && text.contains("a request was refused"), "{text}");
    for secret in ["202555", "900555", "-token", "guessed"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
