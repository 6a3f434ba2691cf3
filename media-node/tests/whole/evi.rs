//! An EVI of a few lines.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

/// What EVI is to a node, in a few lines: it speaks what it is given to say.
pub(crate) struct Evi {
    pub(crate) port: u16,
    pub(crate) counts: Arc<EviCounts>,
}

#[derive(Default)]
pub(crate) struct EviCounts {
    pub(crate) chats: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) closed: AtomicU64,
    /// When not zero, handshakes are answered with this status.
    pub(crate) refuse: AtomicU64,
    /// Tools that it wants, one with each frame that it hears, by the tool's name.
    wants: Mutex<VecDeque<String>>,
    /// All that it was told, but audio.
    told: Mutex<Vec<serde_json::Value>>,
}

impl EviCounts {
    pub(crate) fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }
}

impl Evi {
    pub(crate) async fn start() -> Self {
        let counts = Arc::new(EviCounts::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/v0/evi/chat", get(chat)).with_state(Arc::clone(&counts));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, counts }
    }

    /// Has it ask for these tools, without arguments, as soon as it hears the caller.
    pub(crate) fn ask_for(&self, tools: &[&str]) {
        self.counts.wants.lock().unwrap().extend(tools.iter().map(|&tool| tool.to_owned()));
    }

    /// What it was told so far, of the types that begin like this.
    pub(crate) fn told(&self, kind: &str) -> Vec<serde_json::Value> {
        let told = self.counts.told.lock().unwrap();
        told.iter().filter(|message| message["type"].as_str().unwrap().starts_with(kind)).cloned().collect()
    }
}

async fn chat(
    axum::extract::State(counts): axum::extract::State<Arc<EviCounts>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let refuse = u16::try_from(EviCounts::of(&counts.refuse)).unwrap();
    if refuse != 0 {
        return StatusCode::from_u16(refuse).unwrap().into_response();
    }
    if headers.get("x-hume-api-key").is_none_or(|key| key != "the key") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    upgrade.on_upgrade(move |socket| async move {
        counts.chats.fetch_add(1, Ordering::SeqCst);
        talk(socket, &counts).await;
        counts.closed.fetch_add(1, Ordering::SeqCst);
    })
}

async fn talk(mut socket: WebSocket, counts: &EviCounts) {
    let metadata = r#"{"type":"chat_metadata","chat_group_id":"group-1","chat_id":"chat-1","request_id":"r-1"}"#;
    socket.send(Message::text(metadata)).await.ok();
    let mut said = 0;
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        if message["type"] != "audio_input" {
            counts.told.lock().unwrap().push(message.clone());
        }
        match message["type"].as_str().unwrap() {
            "audio_input" => {
                counts.frames.fetch_add(1, Ordering::SeqCst);
                let wanted = counts.wants.lock().unwrap().pop_front();
                if let Some(name) = wanted {
                    let wish = serde_json::json!({"type": "tool_call", "tool_call_id": name, "name": name, "parameters": "{}",
                        "tool_type": "function", "response_required": true});
                    socket.send(Message::text(wish.to_string())).await.ok();
                }
            }
            "assistant_input" => {
                said += 1;
                let id = format!("a-{said}");
                let samples: Vec<i16> = (0..8_000).map(|n| if n / 20 % 2 == 0 { 8_000 } else { -8_000 }).collect();
                let data = STANDARD.encode(call::audio::wav::write_pcm16(24_000, &samples));
                for reply in [
                    serde_json::json!({"type": "assistant_message", "id": id, "from_text": true, "models": {},
                        "message": {"role": "assistant", "content": message["text"]}}),
                    serde_json::json!({"type": "audio_output", "id": id, "index": 0, "data": data}),
                    serde_json::json!({"type": "assistant_end"}),
                ] {
                    socket.send(Message::text(reply.to_string())).await.ok();
                }
            }
            _ => {}
        }
    }
}
