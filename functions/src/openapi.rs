//! The API's description (OpenAPI 3.1), from one table.
//!
//! Written by hand rather than derived: what the API shows are the types of the pure crates, which shall not depend on a
//! documentation library. A test compares the table with the routes.

use serde_json::{Map, Value, json};

use crate::door::Role;

struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// None for what needs no token.
    role: Option<Role>,
    query: &'static [(&'static str, &'static str)],
    /// The body's schema.
    body: Option<&'static str>,
    /// The answer's status, media type and schema.
    answer: (u16, &'static str, Option<&'static str>),
}

const JSON: &str = "application/json";
const READ: Operation = Operation {
    method: "get",
    path: "",
    summary: "",
    role: Some(Role::Viewer),
    query: &[],
    body: None,
    answer: (200, JSON, None),
};
const STEER: Operation =
    Operation { method: "post", role: Some(Role::Operator), answer: (202, JSON, Some("Call")), ..READ };

const LIST_QUERY: &[(&str, &str)] = &[
    ("from", "The first day, as in 2026-01-31, in the configured time zone."),
    ("to", "The last day, included."),
    ("phone", "The other party's number."),
    ("direction", "inbound or outbound."),
    ("status", "queued, ringing, in_progress, completed, busy, no_answer, failed or canceled."),
    ("outcome", "yes, no or unclear."),
    ("agent", "The agent's name."),
    ("engine", "The engine that speaks, or spoke last: hume or openai."),
    ("min_duration", "The least length, in seconds."),
    ("max_duration", "The greatest length, in seconds."),
    ("limit", "Calls on a page: 1 to 200, by default 50."),
    ("cursor", "next_cursor of the page before. A page may be short and still have one."),
];

const OPERATIONS: &[Operation] = &[
    Operation { path: "/openapi.json", summary: "This description.", role: None, ..READ },
    Operation {
        method: "post",
        path: "/v1/session",
        summary: "Sign a browser in: the answer sets a cookie that stands for the token's owner.",
        role: None,
        body: Some("SignIn"),
        ..READ
    },
    Operation {
        method: "delete",
        path: "/v1/session",
        summary: "Sign a browser out.",
        role: None,
        answer: (204, "", None),
        ..READ
    },
    Operation {
        method: "post",
        path: "/v1/live",
        summary: "Addresses of the nodes' live sockets, and a token for a minute.",
        ..READ
    },
    Operation {
        path: "/v1/calls",
        summary: "Calls, newest first.",
        query: LIST_QUERY,
        answer: (200, JSON, Some("CallPage")),
        ..READ
    },
    Operation {
        path: "/v1/calls",
        summary: "Place a call. Needs the header Idempotency-Key; the same key with the same body is the same call.",
        body: Some("PlaceCall"),
        ..STEER
    },
    Operation { path: "/v1/calls/{id}", summary: "A call.", answer: (200, JSON, Some("Call")), ..READ },
    Operation {
        method: "delete",
        path: "/v1/calls/{id}",
        summary: "Erase a call that is over, with all that belongs to it: from now on it is answered with 410.",
        role: Some(Role::Admin),
        answer: (202, "", None),
        ..READ
    },
    Operation {
        path: "/v1/calls/{id}/transcript",
        summary: "What was said, as heard.",
        query: &[("format", "json, txt or vtt; without it, what the header Accept asks for.")],
        answer: (200, JSON, Some("Transcript")),
        ..READ
    },
    Operation {
        path: "/v1/calls/{id}/journal",
        summary: "What happened, in order. Epoch 0 has turns that were filled in from the engine's own history, after the call's end: who followed the call with `after` finds them in the transcript, or reads from the beginning once it is over.",
        query: &[("after", "The last entry known, as <epoch>.<seq>."), ("limit", "1 to 1000.")],
        answer: (200, JSON, Some("JournalPage")),
        ..READ
    },
    Operation {
        path: "/v1/calls/{id}/recording",
        summary: "The recording: stereo, the caller on the left. Takes the headers Range and If-Range. The whole of a long one is answered with 307 where it is served by a Lambda.",
        answer: (200, "audio/wav", None),
        ..READ
    },
    Operation {
        method: "head",
        path: "/v1/calls/{id}/recording",
        summary: "The recording's size.",
        answer: (200, "", None),
        ..READ
    },
    Operation {
        path: "/v1/calls/{id}/waveform",
        summary: "How loud both voices are.",
        answer: (200, JSON, Some("Waveform")),
        ..READ
    },
    Operation { path: "/v1/calls/{id}/hangup", summary: "End a call.", ..STEER },
    Operation {
        path: "/v1/calls/{id}/transfer",
        summary: "Connect the caller with somebody else.",
        body: Some("Transfer"),
        ..STEER
    },
    Operation { path: "/v1/calls/{id}/say", summary: "Let the agent say something.", body: Some("Say"), ..STEER },
    Operation {
        path: "/v1/calls/{id}/instructions",
        summary: "Replace the agent's instructions for the rest of the call.",
        body: Some("Instructions"),
        ..STEER
    },
    Operation {
        method: "put",
        path: "/v1/calls/{id}/outcome",
        summary: "Correct the outcome of a call that is over. The judge's verdict stays beside the correction.",
        body: Some("Correct"),
        answer: (200, JSON, Some("Call")),
        ..STEER
    },
    Operation { path: "/v1/calls/{id}/analyze", summary: "Have a call that is over judged again.", ..STEER },
    Operation {
        path: "/v1/calls/{id}/access",
        summary: "Who read a call, followed it live, heard, exported, corrected or erased it; also after it was erased.",
        role: Some(Role::Admin),
        answer: (200, JSON, Some("AccessList")),
        ..READ
    },
    Operation {
        path: "/v1/access",
        summary: "Who exported many calls or erased a number, in one month.",
        role: Some(Role::Admin),
        query: &[("month", "The month in UTC, as in 2026-01; without it, this one.")],
        answer: (200, JSON, Some("AccessList")),
        ..READ
    },
    Operation {
        path: "/v1/numbers/{number}",
        summary: "All that is held about a number, newest call first: all calls with it. Where somebody else said it, in a call with another number, it is not looked for.",
        role: Some(Role::Admin),
        query: &[("cursor", "next_cursor of the page before.")],
        answer: (200, JSON, Some("HeldPage")),
        ..READ
    },
    Operation {
        method: "delete",
        path: "/v1/numbers/{number}",
        summary: "Erase all calls with a number that were opened until now. Those under way are erased when they are over. A number is whom a call was with: where somebody else said or dictated it, it stands in the words of their call, and is erased with that call.",
        role: Some(Role::Admin),
        answer: (202, JSON, Some("NumberErasure")),
        ..READ
    },
    Operation { path: "/v1/agents", summary: "The agents.", ..READ },
    Operation { path: "/v1/agents/{name}", summary: "An agent.", ..READ },
    Operation {
        method: "put",
        path: "/v1/agents/{name}",
        summary: "Save an agent as a new version; calls under way keep theirs. With a version in the body, only if it is still the latest.",
        role: Some(Role::Admin),
        body: Some("Agent"),
        ..READ
    },
    Operation {
        method: "post",
        path: "/v1/agents/validate",
        summary: "What is wrong with an agent, without saving it.",
        role: Some(Role::Operator),
        body: Some("Agent"),
        answer: (200, JSON, Some("AgentProblems")),
        ..READ
    },
    Operation {
        path: "/v1/engines",
        summary: "The engines, what they offer, what an agent's numbers may be, and the agents that use them.",
        ..READ
    },
    Operation { path: "/v1/nodes", summary: "The media nodes.", ..READ },
    Operation { path: "/v1/work", summary: "Work that failed ten times.", ..READ },
    Operation {
        method: "post",
        path: "/v1/work/{id}/retry",
        summary: "Let dead work be tried again.",
        role: Some(Role::Admin),
        ..READ
    },
];

/// The description.
#[must_use]
pub fn description() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = operation.describe();
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Switchboard", "version": env!("CARGO_PKG_VERSION"), "description": "AI voices on real phone lines." },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": crate::door::SESSION_COOKIE },
            },
            "schemas": schemas(),
        },
    })
}

impl Operation {
    fn describe(&self) -> Value {
        let mut parameters: Vec<Value> = Vec::new();
        for name in self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        }
        for (name, text) in self.query {
            parameters
                .push(json!({ "name": name, "in": "query", "description": text, "schema": { "type": "string" } }));
        }
        if self.body == Some("PlaceCall") {
            let key = json!({ "name": "Idempotency-Key", "in": "header", "required": true, "schema": { "type": "string", "maxLength": 255 } });
            parameters.push(key);
        }
        let (status, media, schema) = self.answer;
        let mut answer = json!({ "description": "Done." });
        if !media.is_empty() {
            answer["content"] = json!({ media: { "schema": schema.map_or_else(|| json!({}), reference) } });
        }
        let problem = json!({ "description": "What went wrong.", "content": { crate::problem::CONTENT: { "schema": reference("Problem") } } });
        let mut described = json!({
            "summary": self.summary,
            "parameters": parameters,
            "responses": { status.to_string(): answer, "default": problem },
        });
        match self.role {
            Some(role) => {
                described["description"] = format!("Needs the role {}.", role.as_str()).into();
                described["security"] = json!([{ "token": [] }, { "session": [] }]);
            }
            None => described["security"] = json!([]),
        }
        if let Some(body) = self.body {
            described["requestBody"] = json!({ "required": true, "content": { JSON: { "schema": reference(body) } } });
        }
        described
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let whole = json!({ "type": "integer" });
    let time = json!({ "type": "string", "format": "date-time" });
    let or_null = |kind: &str| json!({ "type": [kind, "null"] });
    let number = json!({ "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$", "examples": ["+12025550123"] });
    json!({
        "PlaceCall": object(&["to"], json!({
            "to": number, "agent": text, "from": number, "engine": words(&["hume", "openai"]),
            "variables": { "type": "object", "additionalProperties": text }, "instructions": text, "greeting": text,
        })),
        "Call": object(&["id", "direction", "from", "to", "phone", "agent", "status", "created_at", "epoch", "simulated"], json!({
            "id": text, "twilio_sid": or_null("string"), "direction": words(&["inbound", "outbound"]),
            "from": text, "to": text, "phone": text, "agent": text, "agent_version": whole,
            "engine": or_null("string"), "engines_tried": { "type": "array", "items": text },
            "status": words(&["queued", "ringing", "in_progress", "completed", "busy", "no_answer", "failed", "canceled"]),
            "ended_by": or_null("string"), "end_reason": or_null("string"),
            "created_at": time, "answered_at": or_null("string"), "ended_at": or_null("string"),
            "duration_s": or_null("integer"), "outcome": or_null("string"), "epoch": whole,
            "recording": or_null("string"), "simulated": { "type": "boolean" },
            "transfer": object(&["epoch", "status", "duration_s", "at"], json!({
                "epoch": whole, "status": text, "duration_s": whole, "at": time,
            })),
            "analysis": { "anyOf": [reference("Analysis"), { "type": "null" }] },
            "chats": { "type": "array", "items": object(&["engine", "group", "id"], json!({
                "engine": text, "group": text, "id": text, "started_at": or_null("string"), "ended_at": or_null("string"),
                "duration_s": or_null("integer"), "end_reason": or_null("string"),
            })) },
        })),
        "Analysis": object(&["judgement", "correction", "revision"], json!({
            "revision": whole,
            "judgement": { "anyOf": [object(
                &["outcome", "confidence", "evidence", "evidence_turn", "evidence_found", "fields", "reason", "model", "judged_at"],
                json!({
                    "outcome": words(&["yes", "no", "unclear"]), "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                    "evidence": or_null("string"), "evidence_turn": or_null("integer"), "evidence_found": { "type": "boolean" },
                    "fields": { "type": "object", "additionalProperties": text }, "reason": text, "model": text, "judged_at": time,
                }),
            ), { "type": "null" }] },
            "correction": { "anyOf": [object(&["outcome", "note", "by", "at"], json!({
                "outcome": words(&["yes", "no", "unclear"]), "note": or_null("string"), "by": text, "at": time,
            })), { "type": "null" }] },
        })),
        "Correct": object(&["outcome"], json!({
            "outcome": words(&["yes", "no", "unclear"]), "note": or_null("string"),
        })),
        "CallPage": object(&["calls", "next_cursor"], json!({
            "calls": { "type": "array", "items": reference("Call") }, "next_cursor": or_null("string"),
        })),
        "Turn": object(&["n", "speaker", "text", "heard_text", "start_ms", "end_ms", "heard_ms", "interrupted"], json!({
            "n": whole, "speaker": words(&["caller", "agent"]), "text": text, "heard_text": text,
            "start_ms": whole, "end_ms": whole, "heard_ms": whole, "interrupted": { "type": "boolean" },
            "engine": or_null("string"), "approximate": { "type": "boolean" },
            "expressions": { "type": "array", "items": object(&["name", "score"], json!({
                "name": text, "score": { "type": "number" },
            })) },
            "source": words(&["heard", "engine_history"]),
        })),
        "Transcript": object(&["call", "turns"], json!({
            "call": text, "turns": { "type": "array", "items": reference("Turn") },
        })),
        "JournalPage": object(&["entries", "next_after", "more"], json!({
            "entries": { "type": "array", "items": object(&["epoch", "seq", "at", "kind"], json!({
                "epoch": whole, "seq": whole, "at": time, "kind": text,
            })) },
            "next_after": or_null("string"), "more": { "type": "boolean" },
        })),
        "Waveform": object(&["step_ms", "caller", "agent"], json!({
            "step_ms": whole, "caller": { "type": "array", "items": whole }, "agent": { "type": "array", "items": whole },
        })),
        "Agent": object(&["engines", "instructions"], json!({
            "name": text, "version": whole, "default": { "type": "boolean" },
            "numbers": { "type": "array", "items": number }, "engines": { "type": "array", "items": text },
            "language": text, "instructions": text, "greeting": text, "disclosure": text, "recording": { "type": "boolean" },
            "tools": { "type": "array", "items": object(&["name"], json!({
                "name": text, "description": text, "parameters": text, "url": text, "timeout_ms": whole,
                "destinations": { "type": "object", "additionalProperties": number },
            })) },
        })),
        "AgentProblems": object(&["problems"], json!({
            "problems": { "type": "array", "items": object(&["key", "message"], json!({ "key": text, "message": text })) },
        })),
        "AccessList": object(&["access"], json!({
            "access": { "type": "array", "items": object(&["at", "who", "what"], json!({
                "at": time, "who": text, "what": words(&["transcript", "live", "recording", "exported", "corrected", "erased"]),
                "calls": whole,
            })) },
        })),
        "HeldPage": object(&["number", "calls", "next_cursor"], json!({
            "number": text, "next_cursor": or_null("string"),
            "calls": { "type": "array", "items": object(&["call", "items", "recording", "access"], json!({
                "call": reference("Call"), "items": { "type": "object" }, "journal": text,
                "recording": or_null("string"), "access": { "type": "array", "items": { "type": "object" } },
            })) },
        })),
        "NumberErasure": object(&["order", "erased", "under_way", "more"], json!({
            "order": text, "erased": whole, "under_way": whole, "more": { "type": "boolean" },
        })),
        "SignIn": object(&["token"], json!({ "token": text })),
        "Transfer": object(&["to"], json!({ "to": number })),
        "Say": object(&["text"], json!({ "text": text })),
        "Instructions": object(&["instructions"], json!({ "instructions": text })),
        "Problem": object(&["type", "title", "status", "detail"], json!({
            "type": text, "title": text, "status": whole, "detail": text, "instance": text,
            "errors": { "type": "array", "items": object(&["name", "detail"], json!({ "name": text, "detail": text })) },
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let description = description();
        let text = description.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(description["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}
