//! `call`: places a call, shows it as it is spoken, and says what became of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use call::journal::{Kind, Speaker};
use functions::place::PlaceCall;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use store::{CallRecord, RecordingState, Status};

use crate::api::{Api, CallPage, Refused, failure};
use crate::cli::Call;
use crate::conversation::{self, Live, field, word};
use crate::environment::Environment;
use crate::events::ending;
use crate::local::{CalleeIs, Calling, Inbound};
use crate::plan::Plan;
use crate::problem::Failure;
use crate::secrets::{LocalSecret, random_text};
use crate::start_table::tunnel;
use crate::terminal::{Screen, Style, spoken};

use super::running::Running;
use super::stop::Stop;

/// The journal is looked at so often: what is spoken is shown within half a second, half of the token's quota at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The status is asked for at every so many looks.
const LOOKS_PER_STATUS: u32 = 2;

/// After the end of a call the rest of its journal comes within this time.
const JOURNAL_SETTLES: Duration = Duration::from_secs(3);

/// A recording is one file this long after the end of a call, or takes longer than anybody wants to wait.
const RECORDING_WITHIN: Duration = Duration::from_secs(10);

/// A simulated call rings within this time.
const COMES_IN_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn run(call: &Call, environment: Environment, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = Plan::data_dir_of(&environment);
    let running = Running::to_call(environment).await?;
    if let Some(machine) = running.machine.as_ref().filter(|machine| !machine.plan.is_reachable()) {
        let port = machine.address.port();
        let problem = Failure::one(
            "PUBLIC_BASE_URL",
            "is missing or on this machine: Twilio could not reach it",
            format!("run {} and set PUBLIC_BASE_URL to the address that it shows", tunnel(port)),
        );
        running.finish().await;
        return Err(problem);
    }
    let stop = Stop::listen()?;
    let done = place_and_follow(call, &running.api, &data_dir, screen, stop).await;
    running.finish().await;
    done
}

async fn place_and_follow(
    call: &Call,
    api: &Api,
    data_dir: &Path,
    screen: &mut Screen,
    stop: Stop,
) -> Result<(), Failure> {
    let placed = if call.inbound { come_in(call, api).await? } else { place(call, api).await? };
    let id = placed.id.to_string();
    let ended = follow(api, &placed, screen, stop).await?;
    summary(api, &ended, data_dir, screen).await?;
    match ended.status {
        Status::Completed => Ok(()),
        Status::Queued | Status::Ringing | Status::InProgress => Err(Failure::Unsuccessful),
        Status::Busy | Status::NoAnswer | Status::Failed | Status::Canceled => {
            tracing::debug!(call.id = id, "the call was not answered");
            Err(Failure::Unsuccessful)
        }
    }
}

async fn place(call: &Call, api: &Api) -> Result<CallRecord, Failure> {
    let callee = CalleeIs { scenario: call.scenario.unwrap_or_default() };
    let path = format!("/local/callees/{}", percent(&call.number));
    match api.ask::<Value>(Method::PUT, &path, &[], &callee).await {
        Ok(_) => {}
        // Twilio is real: whoever is called decides by themselves.
        Err(error) if is_absent(&error) && call.scenario.is_none() => {}
        Err(error) if is_absent(&error) => return Err(no_scenario()),
        Err(error) => return Err(failure(error)),
    }
    let variables: BTreeMap<String, String> = call.variables.iter().cloned().collect();
    let request = PlaceCall {
        to: call.number.clone(),
        agent: call.agent.clone(),
        from: call.from.clone(),
        engine: call.engine.clone(),
        variables,
        instructions: None,
        greeting: None,
    };
    let key = random_text(16)?;
    api.ask(Method::POST, "/v1/calls", &[("Idempotency-Key", &key)], &request).await.map_err(failure)
}

async fn come_in(call: &Call, api: &Api) -> Result<CallRecord, Failure> {
    let scenario = call.scenario.unwrap_or_default();
    let inbound = Inbound { from: call.number.clone(), to: None, scenario };
    let calling: Calling = match api.ask(Method::POST, "/local/inbound", &[], &inbound).await {
        Ok(calling) => calling,
        Err(error) if is_absent(&error) => return Err(no_scenario()),
        Err(error) => return Err(failure(error)),
    };
    let since = Instant::now();
    while since.elapsed() < COMES_IN_WITHIN {
        let page: CallPage = api.get("/v1/calls?limit=20").await?;
        let found = page
            .calls
            .into_iter()
            .find(|call| call.twilio_sid.is_some_and(|sid| sid.to_string() == calling.twilio_sid));
        if let Some(found) = found {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::Broken(anyhow::anyhow!("the call that was to come in did not")))
}

fn is_absent(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::NOT_FOUND)
}

fn no_scenario() -> Failure {
    Failure::one(
        "--scenario and --inbound",
        "need a simulated Twilio, and this one is real",
        "leave them out; or leave the TWILIO_ variables out to have Twilio simulated",
    )
}

/// A plus sign means a space in some places.
fn percent(number: &str) -> String {
    number.replace('%', "%25").replace('+', "%2B").replace('/', "%2F").replace('?', "%3F").replace('#', "%23")
}

/// Shows the call until it is over. Whoever asks to end it ends the call first.
async fn follow(api: &Api, placed: &CallRecord, screen: &mut Screen, mut stop: Stop) -> Result<CallRecord, Failure> {
    let id = placed.id.to_string();
    let mut live = Live::begin(screen, placed);
    let (mut after, mut looks, mut hung_up) = (None, 0_u32, false);
    let (mut call, mut ended_at, mut stream_open) = (placed.clone(), None, false);
    loop {
        let part = api.journal(&id, after.as_deref()).await.map_err(failure)?;
        // What became of the call stands before what is said in it.
        if looks.is_multiple_of(LOOKS_PER_STATUS) || !part.entries.is_empty() {
            call = api.call(&id).await.map_err(failure)?;
            live.status(&call, part.entries.first().map(|entry| entry.at_ms));
        }
        looks = looks.wrapping_add(1);
        for entry in &part.entries {
            stream_open = (stream_open || matches!(entry.kind, Kind::StreamStarted { .. }))
                && !matches!(entry.kind, Kind::StreamEnded { .. });
            live.entry(entry);
        }
        after = part.next_after;
        if call.status.is_final() {
            let ended_at = *ended_at.get_or_insert_with(Instant::now);
            if !part.more && (!stream_open || ended_at.elapsed() > JOURNAL_SETTLES) {
                return Ok(call);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.asked() => {
                if hung_up {
                    return Ok(call);
                }
                hung_up = true;
                let path = format!("/v1/calls/{id}/hangup");
                if let Err(error) = api.ask::<Value>(Method::POST, &path, &[], &Value::Null).await {
                    tracing::warn!(%error, "the call could not be hung up");
                }
            }
        }
    }
}

async fn summary(api: &Api, call: &CallRecord, data_dir: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let id = call.id.to_string();
    let turns = api.turns(&id).await.map_err(failure)?;
    screen.line("");
    let style = if call.status == Status::Completed { Style::Good } else { Style::Warn };
    let ended = screen.paint(style, &word(&call.status));
    field(screen, "Ended", &format!("{ended}, {}", ending(call)));
    if let (Some(answered), Some(ended)) = (call.answered_at, call.ended_at) {
        let lasted = spoken(ended.since(answered));
        let engine = call.engine.map(|engine| format!(", and as long with {engine}")).unwrap_or_default();
        field(screen, "Time", &format!("{lasted} on the line{engine}: what Twilio and the engine count"));
    }
    conversation::figures(screen, &turns);
    let words = turns.iter().filter(|turn| turn.speaker == Speaker::Caller).count();
    let recording = recording(api, call, data_dir, screen).await?;
    field(screen, "Recording", &recording);
    field(
        screen,
        "Transcript",
        &format!("{} turns, {words} of them the caller's:  cargo run -- calls show {id}", turns.len()),
    );
    screen.line("");
    Ok(())
}

/// Where the recording is, once it is one file.
async fn recording(api: &Api, call: &CallRecord, data_dir: &Path, screen: &mut Screen) -> Result<String, Failure> {
    let id = call.id.to_string();
    let since = Instant::now();
    let mut state = call.recording;
    while state == Some(RecordingState::Pending) && since.elapsed() < RECORDING_WITHIN {
        if since.elapsed() < LOOK_EVERY {
            screen.line(&screen.paint(Style::Dim, "  The recording is being put together …"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
        state = api.call(&id).await.map_err(failure)?.recording;
    }
    Ok(match state {
        Some(RecordingState::Ready) => match recording_file(data_dir, &id) {
            Some(file) => format!("{}   (caller left, agent right)", file.display()),
            None => fetching(api, data_dir, &id),
        },
        Some(RecordingState::Pending) => format!("not put together yet; later: {}", fetching(api, data_dir, &id)),
        Some(RecordingState::Empty) => "nothing was recorded".to_owned(),
        None => "not recorded: the agent's file does not ask for it".to_owned(),
    })
}

/// How a program gets the recording. The token stays in its file.
fn fetching(api: &Api, data_dir: &Path, id: &str) -> String {
    let token = data_dir.join(LocalSecret::ApiToken.file());
    format!(
        "curl -H \"Authorization: Bearer $(cat {})\" {}/v1/calls/{id}/recording -o {id}.wav",
        token.display(),
        api.base()
    )
}

/// The recording in the embedded store, which keeps objects as files.
pub(super) fn recording_file(data_dir: &Path, id: &str) -> Option<PathBuf> {
    let file = data_dir.join(format!("store/objects/switchboard/rec/{id}/recording.wav"));
    file.is_file().then_some(file)
}
