//! What happened, as lines that a person can review like prose.

#![expect(clippy::wildcard_enum_match_arm, reason = "only the end of a stream has a name here")]

use std::time::Duration;

use call::Output;
use call::journal::{Kind, Speaker};
use wire::twilio::stream::Outbound;

use super::links::Arrived;

/// The lines, one per event, the time in seconds.
pub(super) fn text(lines: &[(Duration, String)]) -> String {
    let mut text = String::new();
    for (at, line) in lines {
        text.push_str(&format!("{:>8.3}  {line}\n", at.as_secs_f64()));
    }
    text
}

pub(super) fn of_link(arrived: &Arrived) -> Option<String> {
    Some(match arrived {
        Arrived::Opened => "link opens".to_owned(),
        Arrived::Refused(why) => format!("refuses: {}", json(why)),
        Arrived::Lost(code) => format!("link lost, code {code:?}"),
        Arrived::Binary => "binary frame".to_owned(),
        Arrived::Rejected { status, .. } => format!("answers {status}"),
        Arrived::Body(_) | Arrived::Ended => return None,
        Arrived::Text(text) => {
            let value: serde_json::Value = serde_json::from_str(text).ok()?;
            match value["type"].as_str()? {
                "user_interruption" => "interrupted".to_owned(),
                "input_audio_buffer.speech_started" => "hears the caller begin".to_owned(),
                "assistant_end" | "response.done" => "turn sent".to_owned(),
                "error" => {
                    format!("error {}", value["code"].as_str().or(value["error"]["code"].as_str()).unwrap_or("?"))
                }
                _ => return None,
            }
        }
    })
}

pub(super) fn of_output(output: &Output) -> Option<String> {
    Some(match output {
        Output::Phone(Outbound::Clear) => "phone   <- clear".to_owned(),
        Output::ClosePhone => "phone   <- close".to_owned(),
        Output::NextStep(step) => format!("next    {}", json(step)),
        Output::Journal(entry) => return of_entry(&entry.kind),
        Output::Phone(Outbound::Media { .. } | Outbound::Mark { .. })
        | Output::Open { .. }
        | Output::Send { .. }
        | Output::SendBinary { .. }
        | Output::Close { .. }
        | Output::Tool(_)
        | Output::Record(_)
        | Output::Wait(_)
        | Output::Finished => return None,
    })
}

fn of_entry(kind: &Kind) -> Option<String> {
    Some(match kind {
        Kind::EngineDialled { engine, attempt } => format!("dial    {} (attempt {attempt})", engine.as_str()),
        Kind::EngineReady { engine, resumed, .. } => {
            format!("ready   {}{}", engine.as_str(), if *resumed { ", resumed" } else { "" })
        }
        Kind::EngineRefused { engine, why } => format!("refused {} {}", engine.as_str(), json(why)),
        Kind::EngineLost { engine, why } => format!("lost    {} {}", engine.as_str(), json(why)),
        Kind::EngineResumed { gap_ms, covered_by, .. } => {
            format!("resumed after {gap_ms} ms, covered by {}", json(covered_by))
        }
        Kind::DisclosureHeard { .. } => "disclosure heard".to_owned(),
        Kind::Speaking { n, text } => format!("agent   #{n} begins {text:?}"),
        Kind::Turn(turn) => {
            let who = match turn.speaker {
                Speaker::Caller => "caller",
                Speaker::Agent => "agent",
            };
            let cut = if turn.interrupted { ", cut off" } else { "" };
            format!("{who:<7} #{} said {:?} ({} ms{cut})", turn.n, turn.heard_text, turn.heard_ms)
        }
        Kind::Interrupted { n, heard_ms, dropped_ms } => {
            format!("cut     #{n} heard {heard_ms} ms, dropped {dropped_ms} ms")
        }
        Kind::LinePlayed { line } => format!("line    {line}"),
        Kind::Dtmf { digit } => format!("phone   key {digit}"),
        Kind::LanguageChanged { language } => format!("phone   speaks {language}"),
        Kind::ToolCalled { name, arguments, .. } => format!("tool    {name} {arguments}"),
        Kind::ToolAnswered { ok, content, .. } => format!("tool    {} {content}", if *ok { "->" } else { "failed:" }),
        Kind::Commanded { command } => format!("command {command}"),
        Kind::StreamEnded { why } => format!("over    {}", json(why)),
        Kind::Gap { what, lost_ms } => format!("gap     {lost_ms} ms of {what}"),
        Kind::Prepared { .. }
        | Kind::StreamStarted { .. }
        | Kind::EngineError { .. }
        | Kind::BookingRecorded { .. }
        | Kind::Instructed { .. }
        | Kind::NextStep { .. }
        | Kind::FirstSound { .. }
        | Kind::Measured(_) => return None,
    })
}

pub(super) fn end_name(kind: &Kind) -> &'static str {
    use call::journal::StreamEnd;
    match kind {
        Kind::StreamEnded { why: StreamEnd::Stopped } => "stream stopped",
        Kind::StreamEnded { why: StreamEnd::Lost } => "stream lost",
        Kind::StreamEnded { why: StreamEnd::Closed } => "stream closed",
        Kind::StreamEnded { why: StreamEnd::NeverCame } => "stream never came",
        _ => "other",
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
