//! Every kind of document that the control plane answers with, and what is hard to write in one.

use std::time::Duration;

use wire::twilio::ConnectionOverrides;
use wire::twilio::twiml::{Connect, Dial, RejectReason, Response, Say, Stream, Verb, Webhook};

/// Text that would break out of its place if it could.
const HOSTILE: &str = "Zoë & \"Max\" <Hangup/> ]]> 'ok'\n東京 \u{1F600}";

fn voice(path: &str) -> Webhook {
    Webhook::post(ConnectionOverrides::for_twiml().apply(&format!("https://example.com{path}")))
}

fn said(text: &str, language: Option<&str>) -> Verb {
    Verb::Say(Say { text: text.to_owned(), voice: None, language: language.map(str::to_owned) })
}

fn stream(parameters: &[(&str, &str)]) -> Response {
    let callback = ConnectionOverrides::for_callback().apply("https://example.com/twilio/stream?call=call_1");
    Response::from([Verb::Connect(Connect {
        action: Some(voice("/twilio/voice/next?call=call_1&epoch=1")),
        stream: Stream {
            url: "wss://media.example.com/media-stream/node-a".to_owned(),
            name: None,
            status_callback: Some(Webhook::post(callback)),
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        },
    })])
}

fn dial(caller_id: Option<&str>) -> Response {
    Response::from([Verb::Dial(Dial {
        number: "+12025550177".into(),
        caller_id: caller_id.map(Into::into),
        action: Some(voice("/twilio/voice/next?call=call_1&epoch=1&after=dial")),
        timeout: Some(Duration::from_secs(30)),
        time_limit: Some(Duration::from_secs(1_200)),
    })])
}

/// All of them, by name.
pub(crate) fn all() -> Vec<(&'static str, Response)> {
    let sorry = "Es tut mir leid, die Verbindung bricht immer wieder ab. Auf Wiederhören.";
    vec![
        ("nothing", Response::new()),
        ("stream", stream(&[("call", "call_1"), ("token", "v1.a-b_c.=")])),
        ("stream with hostile parameters", stream(&[("call", HOSTILE), ("empty", "")])),
        ("hang up", Response::from([Verb::Hangup])),
        ("apology", Response::from([said(sorry, Some("de-DE")), Verb::Hangup])),
        ("hostile apology", Response::from([said(HOSTILE, None), Verb::Hangup])),
        ("transfer", dial(None)),
        ("transfer of a placed call", dial(Some("+12025550100"))),
        ("reject", Response::from([Verb::Reject(RejectReason::Rejected)])),
        ("reject as busy", Response::from([Verb::Reject(RejectReason::Busy)])),
        (
            "fallback",
            Response::from([
                said("I'm sorry, one moment please.", Some("en-US")),
                Verb::Redirect(voice("/twilio/voice?call=call_1&again=1")),
                Verb::Hangup,
            ]),
        ),
        (
            "the rest",
            Response::from([
                Verb::Pause { length: Duration::from_secs(2) },
                Verb::Play { url: "https://example.com/a.wav?b=1&c=2".to_owned() },
                Verb::Redirect(Webhook::get("https://example.com/again?b=1&c=2")),
            ]),
        ),
    ]
}
