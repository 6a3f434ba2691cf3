//! Joining a phone to a node: what the node is told, and the TwiML that opens the stream.

use std::future::Future;
use std::time::Duration;

use axum::response::{IntoResponse, Response as HttpResponse};
use call::limits::HISTORY_MAX;
use call::prepare::Prepare;
use call::resume::Conversation;
use call::setup::ChatRef;
use call::{CallId, Setup};
use http::header::CONTENT_TYPE;
use store::{CallRecord, CallScript, Position, Store, StoreError};
use wire::token::StreamToken;
use wire::twilio::form::VoiceRequest;
use wire::twilio::twiml::{Connect, Response, Stream, Verb, Webhook};
use wire::twilio::{AccountSid, CallSid, ConnectionOverrides};

use crate::problem::Problem;
use crate::public_url::PublicUrl;
use crate::sentence::{Ear, Sentence};
use crate::state::VoiceState;

/// The longest journal that is read to go on with a call, in pages of 1,000 entries: a call of four hours has fewer.
const JOURNAL_PAGES_MAX: usize = 20;

/// After the longest call, so long may pass until its end has been reported.
const END_REPORTED_MAX: Duration = Duration::from_secs(180);

/// What marks the URLs to which we send Twilio back ourselves.
pub(crate) const AGAIN: &str = "again=1";

/// What marks the URL that is requested when somebody who was dialled has gone.
pub(crate) const AFTER_DIAL: &str = "after=dial";

/// An answer with TwiML is there within this time. Twilio waits for 5 s, as our URLs say, and the caller hears nothing.
const ANSWER_MAX: Duration = Duration::from_secs(4);

/// What is written beside an answer may delay it by so much.
const BESIDE_MAX: Duration = Duration::from_secs(1);

/// TwiML as an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Twiml(pub(crate) Response);

impl Twiml {
    /// Nothing to do: the call ends, or has ended.
    pub(crate) fn nothing() -> Self {
        Self(Response::new())
    }
}

impl IntoResponse for Twiml {
    fn into_response(self) -> HttpResponse {
        ([(CONTENT_TYPE, "text/xml; charset=utf-8")], self.0.to_xml()).into_response()
    }
}

/// Where Twilio finds us, for one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallUrls<'u> {
    pub(crate) public: &'u PublicUrl,
    pub(crate) call: CallId,
}

impl CallUrls<'_> {
    /// What to do when an outbound call is answered.
    pub(crate) fn voice(self) -> Webhook {
        self.twiml(&format!("/twilio/voice?call={}", self.call))
    }

    /// What to do when a stream has ended.
    pub(crate) fn next(self, epoch: u32) -> Webhook {
        self.twiml(&format!("/twilio/voice/next?call={}&epoch={epoch}", self.call))
    }

    /// What to do when somebody who was dialled, for at most `limit`, has gone.
    pub(crate) fn after_dial(self, epoch: u32, limit: Duration) -> Webhook {
        let limit_s = limit.as_secs();
        self.twiml(&format!("/twilio/voice/next?call={}&epoch={epoch}&{AFTER_DIAL}&limit={limit_s}", self.call))
    }

    /// The same question once more, after a stream has ended.
    pub(crate) fn next_again(self, epoch: Option<u32>) -> Webhook {
        let epoch = epoch.map(|epoch| format!("&epoch={epoch}")).unwrap_or_default();
        self.twiml(&format!("/twilio/voice/next?call={}{epoch}&{AGAIN}", self.call))
    }

    /// What to do when one of those fails.
    pub(crate) fn fallback(self) -> Webhook {
        self.twiml(&format!("/twilio/voice/fallback?call={}", self.call))
    }

    pub(crate) fn status(self) -> Webhook {
        self.callback(&format!("/twilio/status?call={}", self.call))
    }

    pub(crate) fn stream(self) -> Webhook {
        self.callback(&format!("/twilio/stream?call={}", self.call))
    }

    fn twiml(self, path: &str) -> Webhook {
        Webhook::post(ConnectionOverrides::for_twiml().apply(&self.public.join(path)))
    }

    fn callback(self, path: &str) -> Webhook {
        Webhook::post(ConnectionOverrides::for_callback().apply(&self.public.join(path)))
    }
}

impl VoiceState {
    pub(crate) fn urls(&self, call: CallId) -> CallUrls<'_> {
        CallUrls { public: &self.webhooks.public, call }
    }

    /// The answer, if it is there in time. Else a sentence, and the same question once more; the second time, a goodbye.
    /// What was begun may go on to its end or not: all of it may be repeated.
    pub(crate) async fn in_time(
        &self,
        request: &VoiceRequest,
        (is_again, back): (bool, Webhook),
        answer: impl Future<Output = Result<Twiml, Problem>>,
    ) -> Result<Twiml, Problem> {
        if let Ok(answer) = tokio::time::timeout(ANSWER_MAX, answer).await {
            return answer;
        }
        tracing::error!(call.sid = %request.call_sid, is_again, "an answer takes too long, and the caller hears a sentence");
        let ear = Ear::of(request);
        if is_again {
            return Ok(Twiml(Sentence::Unavailable.and_goodbye("en", ear)));
        }
        Ok(Twiml(Response::from([Sentence::Moment.say("en", ear), Verb::Redirect(back), Verb::Hangup])))
    }

    /// Does what nobody's answer depends on: as far as it comes in a moment, and without complaint.
    pub(crate) async fn beside<T>(&self, what: &str, work: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        match tokio::time::timeout(BESIDE_MAX, work).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::warn!(what, %error, "something beside an answer could not be written");
                None
            }
            Err(_) => {
                tracing::warn!(what, "something beside an answer takes too long, and is left");
                None
            }
        }
    }

    /// Opens a stream to a node, with a fresh token.
    pub(crate) fn connect(&self, call: CallId, epoch: u32, node: &str) -> Twiml {
        let token = StreamToken::new(call.to_string(), epoch, node, self.store.now().as_ms() / 1_000);
        Twiml(Response::from([Verb::Connect(Connect {
            action: Some(self.urls(call).next(epoch)),
            stream: Stream {
                url: self.media.join(&format!("/{node}")),
                name: None,
                status_callback: Some(self.urls(call).stream()),
                parameters: vec![
                    ("call".to_owned(), call.to_string()),
                    ("token".to_owned(), token.mint(&self.secrets)),
                ],
            },
        })]))
    }
}

/// The longest that a call with this script may last.
pub(crate) fn longest(script: &CallScript, call_max: Duration) -> Duration {
    call_max.min(Duration::from_secs(u64::from(script.script.limits.call_minutes_max) * 60))
}

/// When a call that begins now will surely be over.
pub(crate) fn ends_by(store: &Store, longest: Duration) -> store::Moment {
    store.now().after(longest + crate::place::RINGS_MAX + END_REPORTED_MAX)
}

/// When a call whose transfer begins now will surely be over.
pub(crate) fn transfer_ends_by(store: &Store, rings: Duration, talks: Duration) -> store::Moment {
    store.now().after(rings + talks + END_REPORTED_MAX)
}

/// What an epoch is started with.
pub(crate) async fn prepare_of(
    store: &Store,
    call: &CallRecord,
    epoch: u32,
    script: CallScript,
    call_max: Duration,
    (account_sid, call_sid): (AccountSid, CallSid),
) -> Result<Prepare, StoreError> {
    let call_ms_max = u64::try_from(longest(&script, call_max).as_millis()).unwrap_or(u64::MAX);
    // The first epoch has nothing behind it, and its caller is waiting.
    let so_far = if epoch == 1 { Conversation::default() } else { conversation(store, call.id).await? };
    let offset_ms = so_far.offset_ms(store.now().as_ms());
    let mut history = so_far.history;
    history.drain(..history.len().saturating_sub(HISTORY_MAX));
    let mut script = script;
    if let Some(instructions) = so_far.instructions {
        script.script.instructions = instructions;
    }
    let setup = Setup {
        call: call.id,
        epoch,
        script: script.script,
        engines: script.engines,
        history,
        chat: so_far.chat.or_else(|| reported(call, epoch)),
        offset_ms,
        greeted: so_far.greeted,
        disclosed: so_far.disclosed,
        call_ms_max,
    };
    Ok(Prepare { setup, account_sid, call_sid: Some(call_sid) })
}

/// The conversation that an engine's service reported and whose node wrote nothing down. The first epoch has none behind
/// it, and an engine that took over from the one that reported has no part in it.
fn reported(call: &CallRecord, epoch: u32) -> Option<ChatRef> {
    let chats = call.marks.chats.iter().filter(|_| epoch > 1);
    let chat = chats.rev().find(|chat| call.engine.is_none_or(|engine| engine == chat.engine))?;
    Some(ChatRef { engine: chat.engine, group: chat.group.clone() })
}

/// What was said so far, as heard.
pub(crate) async fn conversation(store: &Store, call: CallId) -> Result<Conversation, StoreError> {
    Ok(Conversation::read(&journal(store, call).await?))
}

/// All of a call's journal.
pub(crate) async fn journal(store: &Store, call: CallId) -> Result<Vec<call::journal::Entry>, StoreError> {
    let (mut entries, mut after) = (Vec::new(), None);
    for _ in 0..JOURNAL_PAGES_MAX {
        let page = store.read_journal(call, after, usize::MAX).await?;
        after = page.entries.last().map(Position::of).or(after);
        entries.extend(page.entries);
        if !page.more {
            break;
        }
    }
    Ok(entries)
}
