//! What bodies and answers look like, as JSON Schema.

use serde_json::{Value, json};

use super::reference;

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// All of them, by name.
pub(super) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let whole = json!({ "type": "integer" });
    let time = json!({ "type": "string", "format": "date-time" });
    let day = json!({ "type": "string", "format": "date" });
    let named_figures = json!({ "type": "array", "items": reference("NamedFigures") });
    let or_null = |kind: &str| json!({ "type": [kind, "null"] });
    let number = json!({ "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$", "examples": ["+12025550123"] });
    let mut schemas = json!({
        "PlaceCall": object(&["to"], json!({
            "to": number, "agent": text, "from": number, "engine": words(&["hume", "openai", "cascade"]),
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
            "live": { "type": "array", "items": reference("Call") },
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
        "CallLatency": object(&["call", "first_word_ms", "turns"], json!({
            "call": text, "first_word_ms": or_null("integer"),
            "turns": { "type": "array", "items": object(
                &["n", "phone_up_ms", "engine_ms", "node_ms", "phone_down_ms", "total_ms", "without_phone"],
                json!({
                    "n": whole, "phone_up_ms": whole, "engine_ms": whole, "node_ms": whole, "phone_down_ms": whole,
                    "total_ms": whole, "without_phone": { "type": "boolean" },
                }),
            ) },
        })),
        "Percentiles": object(&["count", "p50_ms", "p95_ms", "p99_ms"], json!({
            "count": whole, "p50_ms": or_null("integer"), "p95_ms": or_null("integer"), "p99_ms": or_null("integer"),
        })),
        "LatencyFigures": object(
            &["total", "phone_up", "engine", "node", "phone_down", "first_word"],
            json!({
                "total": reference("Percentiles"), "phone_up": reference("Percentiles"),
                "engine": reference("Percentiles"), "node": reference("Percentiles"),
                "phone_down": reference("Percentiles"), "first_word": reference("Percentiles"),
            }),
        ),
        "Latency": object(&["from", "to", "total", "by_day"], json!({
            "from": day, "to": day, "total": reference("LatencyFigures"),
            "by_day": { "type": "array", "items": object(&["day", "figures"], json!({
                "day": day, "figures": reference("LatencyFigures"),
            })) },
        })),
        "Bottlenecks": object(&["from", "to", "target_ms", "bottlenecks"], json!({
            "from": day, "to": day, "target_ms": whole,
            "bottlenecks": { "type": "array", "items": object(
                &["engine", "waits", "above_target", "p95_ms", "part", "part_p95_ms", "part_allowed_ms", "setting", "advice"],
                json!({
                    "engine": text, "waits": whole, "above_target": whole, "p95_ms": whole,
                    "part": words(&["phone_up", "engine", "node", "phone_down"]),
                    "part_p95_ms": whole, "part_allowed_ms": whole, "setting": text, "advice": text,
                }),
            ) },
        })),
        "Figures": object(
            &["calls", "inbound", "outbound", "answered", "answer_rate", "outcomes", "booking_rate", "minutes",
              "mean_duration_s", "durations", "ends", "ended_by"],
            json!({
                "calls": whole, "inbound": whole, "outbound": whole, "answered": whole, "answer_rate": or_null("number"),
                "outcomes": { "type": "object", "additionalProperties": whole }, "booking_rate": or_null("number"),
                "minutes": { "type": "number" }, "mean_duration_s": or_null("number"),
                "durations": { "type": "array", "items": object(&["under_s", "calls"], json!({
                    "under_s": or_null("integer"), "calls": whole,
                })) },
                "ends": { "type": "object", "additionalProperties": whole },
                "ended_by": { "type": "object", "additionalProperties": whole },
            }),
        ),
        "NamedFigures": { "allOf": [object(&["name"], json!({ "name": text })), reference("Figures")] },
        "Analytics": object(
            &["from", "to", "time_zone", "totals", "by_day", "by_hour", "by_agent", "by_engine"],
            json!({
                "from": day, "to": day, "time_zone": text, "totals": reference("Figures"),
                "by_day": named_figures, "by_hour": named_figures, "by_agent": named_figures, "by_engine": named_figures,
            }),
        ),
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
        "SignIn": object(&[], json!({ "token": text, "key": text })),
        "Transfer": object(&["to"], json!({ "to": number })),
        "Say": object(&["text"], json!({ "text": text })),
        "Instructions": object(&["instructions"], json!({ "instructions": text })),
        "Problem": object(&["type", "title", "status", "detail"], json!({
            "type": text, "title": text, "status": whole, "detail": text, "instance": text,
            "errors": { "type": "array", "items": object(&["name", "detail"], json!({ "name": text, "detail": text })) },
        })),
    });
    schemas["AgentVersion"] = object(
        &["agent", "version", "saved_at"],
        json!({
            "agent": reference("Agent"), "version": whole, "saved_at": time,
        }),
    );
    schemas["Session"] = object(
        &["name", "role", "time_zone", "simulated", "number", "countries"],
        json!({
            "name": text, "role": words(&["viewer", "operator", "admin"]), "time_zone": text,
            "simulated": { "type": "boolean" }, "number": number, "countries": { "type": "array", "items": text },
        }),
    );
    schemas["Services"] = object(
        &["services"],
        json!({
            "services": { "type": "array", "items": object(&["name", "state", "detail"], json!({
                "name": text, "state": words(&["real", "simulated", "embedded", "local_rule", "left_out", "unknown"]), "detail": text,
            })) },
        }),
    );
    schemas["Nodes"] = object(
        &["nodes"],
        json!({
            "nodes": { "type": "array", "items": object(&["name", "alive", "ready", "sessions", "capacity", "version", "started_at", "seen_at"], json!({
                "name": text, "alive": { "type": "boolean" }, "ready": { "type": "boolean" }, "sessions": whole, "capacity": whole,
                "address": text, "version": text, "started_at": time, "seen_at": time,
                "status": { "type": ["object", "null"] },
            })) },
        }),
    );
    schemas
}
