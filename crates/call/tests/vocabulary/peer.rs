//! A vendor's side of a call, scripted: each speaks its own dialect, and all are led by the same words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use call::agent::EngineKind;
use call::journal::LinkCause;
use call::{Input, LinkEvent, LinkId, LinkRequest};
use serde_json::{Value, json};

use crate::rig::{Did, Rig, voice};

/// The vendors of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) EngineKind);

/// A story is told of each of them.
pub(crate) const PEERS: [Peer; 3] = [Peer(EngineKind::Hume), Peer(EngineKind::OpenAi), Peer(EngineKind::Cascade)];

fn is_cartesia(request: &LinkRequest) -> bool {
    matches!(request, LinkRequest::Cartesia)
}

fn is_deepgram(request: &LinkRequest) -> bool {
    matches!(request, LinkRequest::Deepgram(_))
}

pub(crate) fn is_groq(request: &LinkRequest) -> bool {
    matches!(request, LinkRequest::Groq(_))
}

/// The last link that leads there.
pub(crate) fn link(rig: &Rig, leads: impl Fn(&LinkRequest) -> bool) -> LinkId {
    try_link(rig, leads).expect("such a link was opened")
}

pub(crate) fn try_link(rig: &Rig, leads: impl Fn(&LinkRequest) -> bool) -> Option<LinkId> {
    rig.did.iter().rev().find_map(|(_, did)| match did {
        Did::Open(link, request) if leads(request) => Some(*link),
        _ => None,
    })
}

fn tell(rig: &mut Rig, link: LinkId, event: LinkEvent<'_>) {
    rig.input(Input::Link(link, event));
}

pub(crate) fn tell_json(rig: &mut Rig, link: LinkId, message: &Value) {
    tell(rig, link, LinkEvent::Text(&message.to_string()));
}

pub(crate) fn deepgram(rig: &mut Rig, message: &Value) {
    let link = link(rig, is_deepgram);
    tell_json(rig, link, message);
}

pub(crate) fn cartesia(rig: &mut Rig, message: &Value) {
    let link = link(rig, is_cartesia);
    tell_json(rig, link, message);
}

pub(crate) fn flux(event: &str, transcript: &str) -> Value {
    json!({"type":"TurnInfo","request_id":"r","sequence_id":1,"event":event,"turn_index":0,"audio_window_start":0.1,
        "audio_window_end":0.9,"transcript":transcript,"words":[],"end_of_turn_confidence":0.5})
}

pub(crate) fn groq(rig: &mut Rig, text: &str) {
    let link = link(rig, is_groq);
    tell(rig, link, LinkEvent::Body(text.as_bytes()));
}

pub(crate) fn chunk(delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({"id":"c","object":"chat.completion.chunk","created":1,"model":"m",
        "choices":[{"index":0,"delta":delta,"logprobs":null,"finish_reason":finish}]});
    format!("data: {chunk}\n\n")
}

/// What was last sent to the voice: every text, with its context.
pub(crate) fn texts_to_speak(rig: &Rig) -> Vec<(String, String)> {
    let sent = rig.did.iter().filter_map(|(_, did)| match did {
        Did::Send(_, text) => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    });
    sent.filter(|message| message["transcript"].is_string())
        .map(|message| {
            let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            (text("context_id"), text("transcript"))
        })
        .collect()
}

/// Speaks `text` in the context that was opened last: its audio, and when each word ends.
pub(crate) fn speak(rig: &mut Rig, text: &str, ms: u64, done: bool) {
    let (context, _) = texts_to_speak(rig).pop().expect("something is to be spoken");
    let words: Vec<&str> = text.split_whitespace().collect();
    let each = ms as f64 / 1_000.0 / words.len() as f64;
    let ends: Vec<f64> = (1..=words.len()).map(|n| n as f64 * each).collect();
    let starts: Vec<f64> = ends.iter().map(|end| end - each).collect();
    let audio: Vec<u8> = (0..ms / 20).flat_map(|_| voice()).collect();
    cartesia(
        rig,
        &json!({"type":"timestamps","context_id":context,"done":false,"status_code":206,
            "word_timestamps":{"words":words,"start":starts,"end":ends}}),
    );
    cartesia(
        rig,
        &json!({"type":"chunk","context_id":context,"data":STANDARD.encode(audio),"done":false,"status_code":206,"step_time":1.0}),
    );
    if done {
        cartesia(rig, &json!({"type":"done","context_id":context,"done":true,"status_code":206}));
    }
}

impl Peer {
    /// The link that is the engine, or, of the cascade, the one that hears.
    pub(crate) fn main_link(self, rig: &Rig) -> LinkId {
        match self.0 {
            EngineKind::Hume => link(rig, |request| matches!(request, LinkRequest::Hume(_))),
            EngineKind::OpenAi => link(rig, |request| matches!(request, LinkRequest::OpenAi)),
            EngineKind::Cascade => link(rig, is_deepgram),
        }
    }

    fn openai(self, rig: &mut Rig, message: Value) {
        let link = self.main_link(rig);
        let mut message = message;
        message["event_id"] = "e".into();
        tell_json(rig, link, &message);
    }

    /// Opens and is ready to listen.
    pub(crate) fn becomes_ready(self, rig: &mut Rig) {
        match self.0 {
            EngineKind::Hume => rig.hume_ready("group-1"),
            EngineKind::OpenAi => {
                let link = self.main_link(rig);
                tell(rig, link, LinkEvent::Opened);
                for kind in ["session.created", "session.updated"] {
                    self.openai(rig, json!({"type":kind,"session":{"type":"realtime","id":"sess_1"}}));
                }
            }
            EngineKind::Cascade => {
                let (ears, mouth) = (link(rig, is_deepgram), link(rig, is_cartesia));
                tell(rig, ears, LinkEvent::Opened);
                tell_json(rig, ears, &json!({"type":"Connected","request_id":"r","sequence_id":0}));
                tell(rig, mouth, LinkEvent::Opened);
                rig.flux = Some(ears);
            }
        }
    }

    /// Refuses the handshake.
    pub(crate) fn refuses(self, rig: &mut Rig, status: u16) {
        let link = self.main_link(rig);
        tell(rig, link, LinkEvent::Refused(LinkCause::Status { status }));
    }

    /// The connection breaks.
    pub(crate) fn drops(self, rig: &mut Rig) {
        rig.flux = None;
        let link = self.main_link(rig);
        tell(rig, link, LinkEvent::Lost(None));
    }

    /// What was asked to be said word for word, if anything was.
    pub(crate) fn was_asked_to_say(self, rig: &Rig) -> Option<String> {
        let sent = rig.sent().into_iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
        let sent: Vec<Value> = sent.collect();
        match self.0 {
            EngineKind::Hume => sent
                .iter()
                .rfind(|message| message["type"] == "assistant_input")
                .and_then(|message| message["text"].as_str().map(str::to_owned)),
            EngineKind::OpenAi => {
                sent.iter().rfind(|message| message["type"] == "response.create").and_then(|message| {
                    let instructions = message["response"]["instructions"].as_str()?;
                    instructions.split_once("else: ").map(|(_, words)| words.to_owned())
                })
            }
            EngineKind::Cascade => texts_to_speak(rig).pop().and_then(|(context, _)| {
                let all = texts_to_speak(rig);
                let text: String = all.iter().filter(|(id, _)| *id == context).map(|(_, text)| text.as_str()).collect();
                (!text.is_empty()).then_some(text)
            }),
        }
    }

    /// Says, all at once, what it was asked to say.
    pub(crate) fn says_what_it_was_asked(self, rig: &mut Rig, text: &str, ms: u64) {
        match self.0 {
            EngineKind::Hume => {
                rig.hume_says("asked", text, ms);
                rig.hume_end();
            }
            EngineKind::OpenAi => {
                let metadata = rig
                    .sent()
                    .into_iter()
                    .filter_map(|text| serde_json::from_str::<Value>(text).ok())
                    .rfind(|message| message["type"] == "response.create")
                    .map(|message| message["response"]["metadata"].clone());
                self.openai_says(rig, "asked", text, ms, metadata);
                self.openai_done(rig, "asked", &json!([]));
            }
            EngineKind::Cascade => speak(rig, text, ms, true),
        }
    }

    /// The caller has said this, and is done.
    pub(crate) fn hears(self, rig: &mut Rig, text: &str) {
        match self.0 {
            EngineKind::Hume => rig.hume_hears(text, false),
            EngineKind::OpenAi => {
                self.openai(
                    rig,
                    json!({"type":"input_audio_buffer.speech_started","audio_start_ms":100,"item_id":"u"}),
                );
                self.openai(rig, json!({"type":"input_audio_buffer.speech_stopped","audio_end_ms":900,"item_id":"u"}));
                self.openai(rig, json!({"type":"input_audio_buffer.committed","previous_item_id":null,"item_id":"u"}));
                self.openai(
                    rig,
                    json!({"type":"conversation.item.input_audio_transcription.completed","item_id":"u","content_index":0,"transcript":text}),
                );
            }
            EngineKind::Cascade => {
                deepgram(rig, &flux("StartOfTurn", text));
                deepgram(rig, &flux("EndOfTurn", text));
                self.groq_opens(rig);
            }
        }
    }

    /// The caller speaks over the agent, which is still being sent: how the engine tells of it.
    pub(crate) fn is_interrupted(self, rig: &mut Rig, words: &str) {
        match self.0 {
            EngineKind::Hume => rig.hume_interrupted(),
            EngineKind::OpenAi => {
                self.openai(
                    rig,
                    json!({"type":"input_audio_buffer.speech_started","audio_start_ms":100,"item_id":"u"}),
                );
            }
            EngineKind::Cascade => deepgram(rig, &flux("StartOfTurn", words)),
        }
    }

    /// The caller speaks, when all of the agent's turn was sent long ago.
    pub(crate) fn hears_words(self, rig: &mut Rig, words: &str) {
        match self.0 {
            EngineKind::Hume => rig.hume_hears(words, true),
            EngineKind::OpenAi => self.is_interrupted(rig, words),
            EngineKind::Cascade => deepgram(rig, &flux("Update", words)),
        }
    }

    pub(crate) fn groq_opens(self, rig: &mut Rig) {
        if let Some(link) = try_link(rig, is_groq) {
            tell(rig, link, LinkEvent::Opened);
        }
    }

    fn openai_says(self, rig: &mut Rig, id: &str, text: &str, ms: u64, metadata: Option<Value>) {
        self.openai(
            rig,
            json!({"type":"response.created","response":{"id":id,"object":"realtime.response","status":"in_progress","output":[],"metadata":metadata}}),
        );
        let audio: Vec<u8> = (0..ms / 20).flat_map(|_| voice()).collect();
        let item = format!("item-{id}");
        self.openai(
            rig,
            json!({"type":"response.output_audio.delta","response_id":id,"item_id":item,"output_index":0,"content_index":0,"delta":STANDARD.encode(audio)}),
        );
        self.openai(
            rig,
            json!({"type":"response.output_audio_transcript.done","response_id":id,"item_id":item,"output_index":0,"content_index":0,"transcript":text}),
        );
    }

    fn openai_done(self, rig: &mut Rig, id: &str, output: &Value) {
        self.openai(
            rig,
            json!({"type":"response.done","response":{"id":id,"object":"realtime.response","status":"completed","output":output}}),
        );
    }

    /// Begins an answer and does not finish it. The text ends a sentence.
    pub(crate) fn begins_to_say(self, rig: &mut Rig, id: &str, text: &str, ms: u64) {
        match self.0 {
            EngineKind::Hume => rig.hume_says(id, text, ms),
            EngineKind::OpenAi => self.openai_says(rig, id, text, ms, None),
            EngineKind::Cascade => {
                // The next word shows that the sentence is over.
                groq(rig, &chunk(&json!({"role":"assistant","content":""}), None));
                groq(rig, &chunk(&json!({"content":format!("{text} And")}), None));
                speak(rig, text, ms, false);
            }
        }
    }

    /// Answers, all at once.
    pub(crate) fn says(self, rig: &mut Rig, id: &str, text: &str, ms: u64) {
        self.says_and_calls(rig, id, text, ms, None);
    }

    /// Answers, and asks for a tool.
    pub(crate) fn says_and_calls(self, rig: &mut Rig, id: &str, text: &str, ms: u64, tool: Option<(&str, &str)>) {
        match self.0 {
            EngineKind::Hume => {
                if !text.is_empty() {
                    rig.hume_says(id, text, ms);
                }
                if let Some((call, name)) = tool {
                    let link = self.main_link(rig);
                    tell_json(
                        rig,
                        link,
                        &json!({"type":"tool_call","tool_call_id":call,"name":name,"parameters":"{}","tool_type":"function","response_required":true}),
                    );
                } else {
                    rig.hume_end();
                }
            }
            EngineKind::OpenAi => {
                if !text.is_empty() {
                    self.openai_says(rig, id, text, ms, None);
                }
                let output = tool.map_or(json!([]), |(call, name)| {
                    json!([{"id":"f","type":"function_call","status":"completed","call_id":call,"name":name,"arguments":"{}"}])
                });
                self.openai_done(rig, id, &output);
            }
            EngineKind::Cascade => {
                self.groq_opens(rig);
                groq(rig, &chunk(&json!({"role":"assistant","content":text}), None));
                let finish = match tool {
                    None => "stop",
                    Some((call, name)) => {
                        let call = json!({"tool_calls":[{"index":0,"id":call,"type":"function","function":{"name":name,"arguments":"{}"}}]});
                        groq(rig, &chunk(&call, None));
                        "tool_calls"
                    }
                };
                groq(rig, &chunk(&json!({}), Some(finish)));
                groq(rig, "data: [DONE]\n\n");
                let link = link(rig, is_groq);
                tell(rig, link, LinkEvent::Ended);
                if !text.is_empty() {
                    speak(rig, text, ms, true);
                }
            }
        }
    }

    /// What this tool request was answered with.
    pub(crate) fn was_told_by_tool(self, rig: &Rig, content: &str) -> bool {
        match self.0 {
            EngineKind::Hume | EngineKind::OpenAi => rig.sent().iter().any(|text| text.contains(content)),
            EngineKind::Cascade => rig.did.iter().any(|(_, did)| {
                matches!(did, Did::Open(_, LinkRequest::Groq(body)) if body.contains("\"role\":\"tool\"") && body.contains(content))
            }),
        }
    }
}
