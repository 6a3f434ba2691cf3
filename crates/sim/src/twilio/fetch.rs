//! Getting a document: from its URL, else from the fallback URL, else not at all (Twilio: usage/security,
//! availability and reliability).

use std::sync::Arc;

use wire::twilio::form::Form;
use wire::twilio::overrides::without_fragment;
use wire::twilio::twiml::read::{Document, Instruction, Loopback, read};
use wire::twilio::twiml::{Say, Verb, Webhook};

use super::live::{Interrupt, Live, Source};
use super::params::standard;
use super::record::{ENTRIES_MAX, RequestKind};
use super::webhook::{self, Answer};

/// What came of it.
pub(super) enum Fetched {
    Document(Document),
    Nothing,
    Interrupted(Interrupt),
}

/// What is wrong with a URL or a document.
struct Trouble {
    code: u32,
    detail: String,
}

/// Gets a document. The call's base address becomes the document's.
pub(super) async fn document(live: &mut Live, source: &Source) -> Fetched {
    let (webhook, kind, keys) = match source {
        Source::Twiml(text) => {
            live.base = None;
            return match understand(live, text) {
                Ok(document) => Fetched::Document(document),
                Err(trouble) => {
                    live.exchange.notice(live.sid, trouble.code, trouble.detail);
                    Fetched::Nothing
                }
            };
        }
        Source::Url(webhook) => (webhook, RequestKind::Voice, &[][..]),
        Source::Action(webhook, keys) => (webhook, RequestKind::Action, keys.as_slice()),
    };
    let trouble = match ask(live, kind, webhook, keys.to_vec()).await {
        Ok(Ok(document)) => return Fetched::Document(document),
        Ok(Err(trouble)) => trouble,
        Err(interrupt) => return Fetched::Interrupted(interrupt),
    };
    live.exchange.notice(live.sid, trouble.code, trouble.detail);
    let Some(fallback) = live.fallback.clone() else {
        return Fetched::Nothing;
    };
    let mut keys = keys.to_vec();
    keys.push(("ErrorCode".to_owned(), trouble.code.to_string()));
    keys.push(("ErrorUrl".to_owned(), without_fragment(&webhook.url).to_owned()));
    match ask(live, RequestKind::Fallback, &fallback, keys).await {
        Ok(Ok(document)) => Fetched::Document(document),
        Ok(Err(trouble)) => {
            live.exchange.notice(live.sid, trouble.code, trouble.detail);
            Fetched::Nothing
        }
        Err(interrupt) => Fetched::Interrupted(interrupt),
    }
}

/// Asks one URL. Whoever interrupts does not stop the request: its server may have done its work by then.
async fn ask(
    live: &mut Live,
    kind: RequestKind,
    webhook: &Webhook,
    keys: Vec<(String, String)>,
) -> Result<Result<Document, Trouble>, Interrupt> {
    let Some(record) = live.exchange.call(live.sid) else {
        return Err(Interrupt::Ended);
    };
    let mut form: Form = standard(live.exchange.config.account_sid, &record, &record.status);
    for (name, value) in keys {
        form.push(name, value);
    }
    let (exchange, sid, webhook) = (Arc::clone(&live.exchange), live.sid, webhook.clone());
    let request = tokio::spawn(async move { webhook::request(&exchange, sid, kind, &webhook, &form).await });
    live.exchange.keep_task(request.abort_handle());
    let answer = if record.status.is_final() {
        // Nobody is left who could interrupt.
        request.await
    } else {
        live.until(request).await?
    };
    Ok(match answer {
        Ok(Ok(answer)) => accept(live, &answer),
        Ok(Err(failure)) => Err(Trouble { code: failure.code, detail: failure.detail }),
        Err(_) => Err(Trouble { code: 11200, detail: "the simulator is being taken down".into() }),
    })
}

/// What an answer says, by its content type.
fn accept(live: &mut Live, answer: &Answer) -> Result<Document, Trouble> {
    live.base = Some(answer.url.clone());
    let text = String::from_utf8_lossy(&answer.body);
    let content_type = answer.content_type.as_deref().unwrap_or_default();
    match content_type.split(';').next().unwrap_or_default().trim() {
        "text/xml" | "application/xml" | "text/html" => understand(live, &text),
        "text/plain" => Ok(only(Verb::Say(Say { text: text.into_owned(), voice: None, language: None }))),
        audio if audio.starts_with("audio/") => Ok(only(Verb::Play { url: answer.url.to_string() })),
        other => Err(Trouble { code: 12300, detail: format!("content type {other:?}") }),
    }
}

fn only(verb: Verb) -> Document {
    Document { instructions: vec![Instruction::Verb(verb)], warnings: Vec::new() }
}

fn understand(live: &Live, text: &str) -> Result<Document, Trouble> {
    live.exchange.note(live.sid, |record| {
        if record.documents.len() < ENTRIES_MAX {
            record.documents.push(text.to_owned());
        }
    });
    let document = read(text, Loopback::Allowed).map_err(|error| Trouble { code: error.code, detail: error.detail })?;
    for warning in &document.warnings {
        live.exchange.notice(live.sid, warning.code, warning.detail.clone());
    }
    Ok(document)
}
