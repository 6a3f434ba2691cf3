//! `POST /v1/calls`: placing a call, once.
//!
//! Twilio has no idempotency of its own, so there are three marks in the store: `opened`, `dialing` (written before
//! Twilio is asked) and `dialed` (with Twilio's id). Only who moves a call from `opened` to `dialing` asks Twilio, and
//! asks once. Whoever dies in between leaves a call in `dialing`; nobody ever dials it again. A callback or the worker
//! finds out what became of it.
//!
//! A request that was made before is recognised before anything else is looked at; of any other, everything is checked
//! before anything is written. How many calls may be under way and how fast they follow one another is decided in the
//! store, when a call is marked as being dialled ([`store::Allowance`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use call::agent::{Agent, EngineKind};
use clients::Placed as Asked;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Adopted, CallRecord, CallScript, Dial, Idempotency, MayDial, NewCall, Placed, StoreError};
use tokio::time::Instant;
use wire::twilio::rest::{Answer, CallEvent, CreateCall, RestError, code};

use crate::agents::Book;
use crate::connect::{CallUrls, ends_by, longest};
use crate::door::{Api, Content, Operator};
use crate::guard::NumberError;
use crate::problem::{FieldError, Problem};
use crate::state::ApiInner;
use crate::voice::{built_in_variables, new_call_id};

/// How long the other side's phone rings. Less than a prepared engine is kept.
pub(crate) const RINGS_MAX: Duration = Duration::from_secs(55);

/// Twilio ends a call so long after we should have.
const LIMIT_SLACK: Duration = Duration::from_secs(60);

/// The pace is waited for so long; whoever would have to wait longer is told to come back.
const PACE_WAIT_MAX: Duration = Duration::from_secs(3);

/// The longest `Idempotency-Key`.
const KEY_CHARS_MAX: usize = 255;

/// The body of the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceCall {
    /// Who is called: E.164.
    pub to: String,
    /// The agent's name; without it the default one.
    #[serde(default)]
    pub agent: Option<String>,
    /// Which of our numbers calls; without it `TWILIO_PHONE_NUMBER`.
    #[serde(default)]
    pub from: Option<String>,
    /// The engine to try first.
    #[serde(default)]
    pub engine: Option<String>,
    /// Values for the agent's `{{variables}}`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Instead of the agent's instructions.
    #[serde(default)]
    pub instructions: Option<String>,
    /// Instead of the agent's greeting.
    #[serde(default)]
    pub greeting: Option<String>,
}

/// A place between two steps, at which a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Boundary {
    /// The call is opened.
    Opened,
    /// The call is marked as being dialled; Twilio is not asked yet.
    Dialing,
    /// Twilio has answered; nothing of that is written yet.
    Asked,
    /// Twilio's id is written; the request is not answered yet.
    Dialed,
}

impl Boundary {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Opened, Self::Dialing, Self::Asked, Self::Dialed];
}

/// What happens at a boundary: nothing, but in tests, where a process may die there.
#[derive(Clone, Default)]
pub struct Boundaries(Option<Arc<dyn Fn(Boundary) + Send + Sync>>);

impl Boundaries {
    /// Calls `at` at each boundary. For tests: it may panic.
    #[must_use]
    pub fn watched_by(at: impl Fn(Boundary) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(at)))
    }

    fn pass(&self, boundary: Boundary) {
        if let Some(at) = &self.0 {
            at(boundary);
        }
    }
}

impl fmt::Debug for Boundaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Boundaries(watched: {})", self.0.is_some())
    }
}

pub(crate) async fn place(
    api: Api<Operator>,
    headers: HeaderMap,
    Content(request): Content<PlaceCall>,
) -> Result<(StatusCode, Json<CallRecord>), Problem> {
    let once = idempotency(&api.person.name, &headers, &request)?;
    // Before anything else: what was placed stays placed, whatever is allowed by now.
    match api.store.placed_by(&once).await? {
        None => {}
        Some(Placed::New(call) | Placed::Same(call)) => return api.placed(call).await,
        Some(Placed::DifferentBody) => return Err(key_used()),
    }
    let book = api.agents.book().await?;
    let new = api.new_call(&book, &request)?;
    // Only so that nothing is opened in vain: what counts is decided when the call takes its place.
    if api.store.placed_calls().await? >= api.allowance.calls_max {
        return Err(api.full());
    }
    let call = match api.store.open_outbound(&new, Some(&once)).await? {
        Placed::New(call) => {
            tracing::info!(call.id = %call.id, agent = call.agent, user = api.person.name, "a call is to be placed");
            call
        }
        Placed::Same(call) => call,
        Placed::DifferentBody => return Err(key_used()),
    };
    api.boundaries.pass(Boundary::Opened);
    api.placed(call).await
}

fn key_used() -> Problem {
    let detail = "this Idempotency-Key was used within 24 hours for another request; use a new one";
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The key belongs to another request",
        detail,
    )
}

fn idempotency(user: &str, headers: &HeaderMap, request: &PlaceCall) -> Result<Idempotency, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::trim).unwrap_or_default();
    let printable = key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if key.is_empty() || key.len() > KEY_CHARS_MAX || !printable {
        let detail = "send one with 1 to 255 printable ASCII characters, a UUID for instance, the same when you try again: \
                      the call is then placed once";
        return Err(Problem::invalid("Idempotency-Key", detail));
    }
    Ok(Idempotency { user: user.to_owned(), key: key.to_owned(), body_sha256: digest(request) })
}

/// Of the request as we understood it: the order of its keys and its spaces do not make it another one.
fn digest(request: &PlaceCall) -> String {
    let body = serde_json::to_vec(request).expect("invariant: texts are always JSON");
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ApiInner {
    /// Answers for a call that is open; dials it if nobody has yet.
    async fn placed(&self, call: CallRecord) -> Result<(StatusCode, Json<CallRecord>), Problem> {
        if call.marks.dial != Some(Dial::Opened) {
            return Ok((StatusCode::ACCEPTED, Json(call)));
        }
        // What was allowed when it was opened may not be any more.
        self.guard.check(&call.to).map_err(|error| refused_by_guard(&error))?;
        Ok((StatusCode::ACCEPTED, Json(self.dial(call).await?)))
    }

    fn full(&self) -> Problem {
        let most = self.allowance.calls_max;
        let detail = format!("{most} placed calls are under way, which is the most that is allowed (MAX_CALLS)");
        Problem::too_many(detail, Duration::from_secs(10))
    }

    /// Marks an opened call as being dialled, as soon as the pace allows; the call as it is if somebody else has.
    ///
    /// Who is told to come back leaves the call opened, and it counts for nothing: the same request, sent again, goes on
    /// from there.
    async fn turn(&self, call: &CallRecord) -> Result<MayDial, Problem> {
        let deadline = Instant::now() + PACE_WAIT_MAX;
        loop {
            match self.store.mark_dialing(call.id, &self.allowance).await? {
                may @ (MayDial::Yes(_) | MayDial::No(_)) => return Ok(may),
                MayDial::Full => return Err(self.full()),
                MayDial::TooOften(wait) => {
                    let detail = "this number was called too often; send this request again later";
                    return Err(Problem::too_many(detail, wait.max(Duration::from_secs(1))));
                }
                MayDial::TooFast(wait) if Instant::now() + wait <= deadline => {
                    tokio::time::sleep(wait.max(Duration::from_millis(5))).await;
                }
                MayDial::TooFast(wait) => {
                    let detail = "calls are placed one after the other (CALLS_PER_SECOND); send this request again";
                    return Err(Problem::too_many(detail, wait.max(Duration::from_secs(1))));
                }
            }
        }
    }

    /// The call that is asked for, if everything about it is right.
    fn new_call(&self, book: &Book, request: &PlaceCall) -> Result<NewCall, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |name: &str, detail: String| errors.push(FieldError { name: name.to_owned(), detail });
        let mut policy = None;
        match self.guard.check(&request.to) {
            Ok(()) => {}
            Err(error) if error.is_policy() => policy = Some(error),
            Err(error) => wrong("to", error.to_string()),
        }
        let from = request.from.as_deref().unwrap_or(&self.our_number);
        if !crate::guard::has_e164_shape(from) {
            wrong("from", "it must be one of our numbers in E.164, such as +12025550123".to_owned());
        }
        let engine = request.engine.as_deref().map(|name| {
            EngineKind::named(name).ok_or_else(|| {
                let known = EngineKind::ALL.map(EngineKind::as_str).join(", ");
                format!("there is no engine of this name; there are {known}")
            })
        });
        let engine = engine.transpose().map_err(|detail| wrong("engine", detail)).ok().flatten();
        let agent = agent_named(book, request.agent.as_deref()).map_err(|detail| wrong("agent", detail)).ok();
        let script = agent.and_then(|agent| {
            let mut given = request.variables.clone();
            // What the call fills in by itself cannot be given.
            given.extend(built_in_variables(from, &request.to, self.store.now(), &self.time_zone));
            let script = book.script(agent, &given);
            let script = script.and_then(|script| {
                script.with_overrides(request.instructions.as_deref(), request.greeting.as_deref(), engine)
            });
            script.map_err(|error| wrong("variables", error.to_string())).ok()
        });
        if !errors.is_empty() {
            return Err(Problem::all_invalid(errors));
        }
        if let Some(error) = policy {
            return Err(refused_by_guard(&error));
        }
        let script = script.ok_or_else(|| Problem::internal("a script without errors is missing"))?;
        let script = CallScript { engines: script.engines.clone(), script };
        Ok(NewCall {
            id: new_call_id(self.store.now().as_ms()),
            from: from.to_owned(),
            to: request.to.clone(),
            node: None,
            ends_by: ends_by(&self.store, longest(&script, self.call_max)),
            simulated: self.simulated,
            script,
        })
    }

    /// Asks Twilio to place an opened call, unless somebody else does or did.
    async fn dial(&self, call: CallRecord) -> Result<CallRecord, Problem> {
        let call = match self.turn(&call).await? {
            MayDial::Yes(call) => call,
            MayDial::No(call) => return Ok(call),
            MayDial::Full | MayDial::TooFast(_) | MayDial::TooOften(_) => return Err(self.full()),
        };
        self.boundaries.pass(Boundary::Dialing);
        let asked = self.twilio.create_call(&self.create(&call)).await;
        self.boundaries.pass(Boundary::Asked);
        match asked {
            Asked::Created(created) => {
                let adopted = self.store.adopt_sid(call.id, created.sid).await;
                self.boundaries.pass(Boundary::Dialed);
                Ok(match adopted {
                    Ok(Adopted::Yes(call) | Adopted::Other(call)) => call,
                    // It rings all the same: the first callback, or the worker, brings the id.
                    Err(error) => {
                        tracing::warn!(call.id = %call.id, %error, "a placed call's Twilio id could not be written");
                        call
                    }
                })
            }
            Asked::Refused(error) => {
                self.give_up(&call, &error.to_string()).await?;
                Err(refused_by_twilio(&error))
            }
            Asked::NotSent(why) => {
                self.give_up(&call, &format!("Twilio could not be reached: {why}")).await?;
                let detail = "the call was not placed; try again with a new Idempotency-Key";
                Err(Problem::new(StatusCode::BAD_GATEWAY, "twilio-unreachable", "Twilio cannot be reached", detail)
                    .because(why))
            }
            // It may ring or not; asking again could make it ring twice.
            Asked::Unknown(why) => {
                tracing::warn!(call.id = %call.id, %why, "nobody knows yet whether a call was placed");
                Ok(call)
            }
        }
    }

    async fn give_up(&self, call: &CallRecord, why: &str) -> Result<(), StoreError> {
        self.store.mark_failed(call.id, why).await?;
        self.bell.ring();
        Ok(())
    }

    fn create(&self, call: &CallRecord) -> CreateCall {
        let urls = CallUrls { public: &self.public, call: call.id };
        CreateCall {
            fallback: Some(urls.fallback()),
            status_callback: Some(urls.status()),
            status_callback_events: CallEvent::ALL.to_vec(),
            timeout: Some(RINGS_MAX),
            // The agent's own limit is the node's to keep. After it the call may be transferred.
            time_limit: Some(self.call_max + LIMIT_SLACK),
            ..CreateCall::new(call.to.clone(), call.from.clone(), Answer::Url(urls.voice()))
        }
    }
}

fn agent_named<'b>(book: &'b Book, name: Option<&str>) -> Result<&'b Agent, String> {
    let found = match name {
        Some(name) => book.agents.named(name),
        None => book.agents.default_agent(),
    };
    found.ok_or_else(|| {
        let known = book.agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>().join(", ");
        match name {
            Some(_) => format!("there is no agent of this name; there are {known}"),
            None => format!("no agent is the default, so name one: {known}"),
        }
    })
}

/// The guard is against a number that is one.
pub(crate) fn refused_by_guard(error: &NumberError) -> Problem {
    Problem::forbidden("number-not-allowed", "This number is not called", error.to_string())
}

/// What a refusal of Twilio's means for whoever asked.
fn refused_by_twilio(error: &RestError) -> Problem {
    let (status, what) = match error.code {
        Some(code::AUTHENTICATION_FAILED | code::ACCOUNT_NOT_ACTIVE | code::VOICE_DISABLED) => {
            (StatusCode::BAD_GATEWAY, "the Twilio account's credentials or state do not allow it")
        }
        Some(code::INVALID_TO | code::NOT_A_NUMBER | code::UNREACHABLE_TO | code::NO_TO) => {
            (StatusCode::BAD_REQUEST, "`to` cannot be called")
        }
        Some(code::FROM_NOT_OURS | code::INVALID_FROM | code::NO_FROM) => {
            (StatusCode::BAD_REQUEST, "`from` is not a number of the Twilio account")
        }
        Some(code::COUNTRY_NOT_ALLOWED | code::BLOCKED | code::TO_NOT_VERIFIED) => {
            (StatusCode::FORBIDDEN, "the Twilio account may not call this number")
        }
        Some(code::TOO_MANY_REQUESTS | code::TOO_MANY_CALLS | code::QUEUE_FULL) => {
            (StatusCode::TOO_MANY_REQUESTS, "the Twilio account has too many calls at once")
        }
        Some(_) | None => (StatusCode::BAD_GATEWAY, "Twilio does not place it"),
    };
    let detail = format!("{what}: {} (a new try needs a new Idempotency-Key)", error.message);
    let problem = Problem::new(status, "twilio-refuses", "Twilio refuses the call", detail);
    let problem =
        if status == StatusCode::TOO_MANY_REQUESTS { problem.after(Duration::from_secs(10)) } else { problem };
    problem.because(format!("HTTP {}, Twilio {}", error.status, error.code.unwrap_or_default()))
}
