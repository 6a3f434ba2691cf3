//! The API's description (OpenAPI 3.1), from one table.
//!
//! Written by hand rather than derived: what the API shows are the types of the pure crates, which shall not depend on a
//! documentation library. A test compares the table with the routes.

mod schemas;

use serde_json::{Map, Value, json};

use crate::door::Role;
use schemas::schemas;

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
    ("q", "Words that were said in the call, all of them, in any order: 1 to 8."),
    ("limit", "Calls on a page: 1 to 200, by default 50."),
    ("cursor", "next_cursor of the page before. A page may be short and still have one."),
    ("live", "1: the first page also has the calls under way that pass the filters, the newest 100, however old."),
];

/// An export's answer is one of these; a list of media types stands as one text.
const SHEETS: &str = "text/csv application/json application/x-ndjson";

const EXPORT_QUERY: &[(&str, &str)] = &[
    ("format", "csv (the default), json or ndjson."),
    ("redact", "1 leaves out numbers and words."),
    LIST_QUERY[0],
    LIST_QUERY[1],
    LIST_QUERY[2],
    LIST_QUERY[3],
    LIST_QUERY[4],
    LIST_QUERY[5],
    LIST_QUERY[6],
    LIST_QUERY[7],
    LIST_QUERY[8],
    LIST_QUERY[9],
    LIST_QUERY[10],
    ("cursor", "As the header Link of the answer before says."),
];

const DAYS_QUERY: [(&str, &str); 2] = [
    ("from", "The first day, as in 2026-01-31, in the configured time zone; by default 30 days are shown."),
    ("to", "The last day, included; by default today. At most 400 days are shown."),
];

const OPERATIONS: &[Operation] = &[
    Operation { path: "/openapi.json", summary: "This description.", role: None, ..READ },
    Operation {
        path: "/v1/session",
        summary: "Who is signed in, what they may do, and what a page needs to know of this installation.",
        answer: (200, JSON, Some("Session")),
        ..READ
    },
    Operation {
        method: "post",
        path: "/v1/session",
        summary: "Sign a browser in, by a token or the key of a one-time link: the answer sets a cookie that stands for the token's owner.",
        role: None,
        body: Some("SignIn"),
        answer: (200, JSON, Some("Session")),
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
        path: "/v1/calls/{id}/latency",
        summary: "How long the caller waited for each answer, and for whom.",
        answer: (200, JSON, Some("CallLatency")),
        ..READ
    },
    Operation {
        path: "/v1/latency",
        summary: "How long callers waited, in percentiles by day.",
        query: &[DAYS_QUERY[0], DAYS_QUERY[1], ("engine", "Only calls in which this engine spoke last.")],
        answer: (200, JSON, Some("Latency")),
        ..READ
    },
    Operation {
        path: "/v1/latency/bottlenecks",
        summary: "Where callers wait too long: who is to blame, and one setting to change.",
        query: &[
            DAYS_QUERY[0],
            DAYS_QUERY[1],
            ("target_ms", "How long is too long, if one in twenty waits longer: 100 to 60000, by default 1500."),
        ],
        answer: (200, JSON, Some("Bottlenecks")),
        ..READ
    },
    Operation {
        path: "/v1/export",
        summary: "Calls for spreadsheets and programs, at most 5 MB at once. The header Link leads to the rest.",
        query: EXPORT_QUERY,
        answer: (200, SHEETS, None),
        ..READ
    },
    Operation {
        path: "/v1/analytics",
        summary: "Figures of the calls that are over.",
        query: &DAYS_QUERY,
        answer: (200, JSON, Some("Analytics")),
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
        path: "/v1/agents/{name}/versions/{version}",
        summary: "An agent as it was saved over the API, in this version.",
        answer: (200, JSON, Some("AgentVersion")),
        ..READ
    },
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
    Operation {
        path: "/v1/services",
        summary: "What this installation works with, and whether it is real or simulated.",
        answer: (200, JSON, Some("Services")),
        ..READ
    },
    Operation {
        path: "/v1/nodes",
        summary: "The media nodes, and what each living one says of itself: engines left alone, spools.",
        answer: (200, JSON, Some("Nodes")),
        ..READ
    },
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
            let schema = schema.map_or_else(|| json!({}), reference);
            let media = media.split(' ').map(|media| (media.to_owned(), json!({ "schema": schema })));
            answer["content"] = Value::Object(media.collect());
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
