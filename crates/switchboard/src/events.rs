//! One line for each event in the life of each call, while the program runs.
//!
//! What a node does comes from its live journal; what Twilio says is read from the store, when a request has passed that
//! may have changed it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call::CallId;
use call::journal::{Cover, EndReason, EndedBy, Entry, Kind, LinkCause, Speaker, Turn};
use functions::state::Bell;
use store::{CallRecord, Direction, ListQuery, Moment, RecordingState, Status, Store};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use wire::signed::Secrets;

use crate::live::{Live, Written};
use crate::machine::Machine;
use crate::terminal::{Screen, Style, short_id, short_number, spoken};

/// So many of the newest calls are looked at after a request.
const LOOKED_AT: usize = 50;

/// When nothing passes, the store is looked at all the same: the worker changes calls, too.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Calls that are remembered, so that none is announced twice; the oldest are forgotten.
const KNOWN_MAX: usize = 500;

/// A recording's last part is stored within this time after the end of the call.
const RECORDING_SETTLES: Duration = Duration::from_millis(1_500);

/// Writes lines for ever.
pub(crate) struct Events {
    store: Store,
    secrets: Secrets,
    url: String,
    changed: Arc<Notify>,
    bell: Bell,
    /// Whether what is said is shown.
    words: bool,
    /// None shows nothing, and still takes care of recordings.
    screen: Option<Screen>,
    known: BTreeMap<CallId, Status>,
    since: Moment,
}

impl Events {
    pub(crate) fn of(machine: &Machine, words: bool, screen: Option<Screen>) -> Self {
        Self {
            store: machine.store.clone(),
            secrets: machine.secrets.clone(),
            url: machine.url(),
            changed: Arc::clone(&machine.changed),
            bell: machine.bell(),
            words,
            screen,
            known: BTreeMap::new(),
            since: machine.store.now(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut live = Live::follow(&self.url, &self.secrets).await.ok();
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                written = next(&mut live) => match written {
                    Some(written) => {
                        // The stream is what answers a call that comes in.
                        if matches!(written.entry.kind, Kind::StreamStarted { .. }) {
                            self.look().await;
                        }
                        self.wrote(&written);
                    }
                    None => {
                        // Too slow, or going down. Without the journal the rest goes on.
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        live = Live::follow(&self.url, &self.secrets).await.ok();
                    }
                },
                () = self.changed.notified() => self.look().await,
                _ = every.tick() => self.look().await,
            }
        }
    }

    /// Says what became of calls since the last look.
    async fn look(&mut self) {
        let query = ListQuery { from: Some(self.since), limit: LOOKED_AT, ..ListQuery::default() };
        let page = match self.store.list_calls(&query, |_| true).await {
            Ok(page) => page,
            Err(error) => return tracing::debug!(%error, "the calls could not be looked at"),
        };
        for call in page.calls.iter().rev() {
            let before = self.known.insert(call.id, call.status);
            if before != Some(call.status) {
                self.status(call, before);
            }
        }
        while self.known.len() > KNOWN_MAX {
            // By id, which is by age.
            self.known.pop_first();
        }
    }

    fn status(&mut self, call: &CallRecord, before: Option<Status>) {
        if before.is_none() {
            let what = match call.direction {
                Direction::Inbound => format!("comes in from {}, for {}", short_number(&call.from), call.agent),
                Direction::Outbound => format!("to {}, by {}", short_number(&call.to), call.agent),
            };
            self.line(call.id, Style::Strong, "call", &what);
        }
        match call.status {
            Status::Queued => {}
            Status::Ringing => self.line(call.id, Style::Dim, "ringing", ""),
            Status::InProgress => {
                let waited = call.answered_at.map(|at| at.since(call.created_at)).unwrap_or_default();
                self.line(call.id, Style::Good, "answered", &format!("after {}", spoken(waited)));
            }
            Status::Completed | Status::Busy | Status::NoAnswer | Status::Failed | Status::Canceled => {
                self.line(call.id, Style::Strong, "ended", &ending(call));
                self.keep_recording(call);
            }
        }
    }

    fn keep_recording(&self, call: &CallRecord) {
        if call.recording == Some(RecordingState::Pending) {
            let (store, bell, id) = (self.store.clone(), self.bell.clone(), call.id);
            tokio::spawn(async move {
                tokio::time::sleep(RECORDING_SETTLES).await;
                Machine::join_recording(&store, &bell, id).await;
            });
        }
    }

    fn wrote(&mut self, written: &Written) {
        if let Some((style, what, detail)) = told(&written.entry, self.words) {
            self.line(written.call, style, what, &detail);
        }
    }

    fn line(&mut self, call: CallId, style: Style, what: &str, detail: &str) {
        let Some(screen) = &mut self.screen else { return };
        let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        let id = call.to_string();
        let line = format!(
            "  {}  {}  {}  {detail}",
            screen.paint(Style::Dim, &time),
            screen.paint(Style::Dim, short_id(&id)),
            screen.cell(style, what, 11),
        );
        screen.line(line.trim_end());
    }
}

/// The next entry of the journal; waits for ever when there is no socket, so that the looks go on.
async fn next(live: &mut Option<Live>) -> Option<Written> {
    match live {
        Some(socket) => socket.next().await,
        None => None,
    }
}

/// An entry as a line; none for what only the record needs.
fn told(entry: &Entry, words: bool) -> Option<(Style, &'static str, String)> {
    match &entry.kind {
        Kind::EngineReady { engine, resumed, took_ms, .. } => {
            let again = if *resumed { ", goes on with the conversation" } else { "" };
            Some((Style::Good, "engine", format!("{engine} is ready after {}{again}", ms(*took_ms))))
        }
        Kind::EngineRefused { engine, why } => {
            Some((Style::Warn, "engine", format!("{engine} refused: {}", cause(why))))
        }
        Kind::EngineLost { engine, why } => Some((Style::Warn, "engine", format!("{engine} lost: {}", cause(why)))),
        Kind::EngineResumed { engine, gap_ms, covered_by } => {
            Some((Style::Good, "engine", format!("{engine} goes on after {}; {}", ms(*gap_ms), covered(*covered_by))))
        }
        Kind::EngineError { engine, code, .. } => Some((Style::Warn, "engine", format!("{engine} reports {code}"))),
        Kind::Turn(turn) => Some(spoken_turn(turn, words)),
        Kind::Interrupted { heard_ms, dropped_ms, .. } => Some((
            Style::Caller,
            "interrupts",
            format!("after {} heard; {} dropped unheard", ms(*heard_ms), ms(*dropped_ms)),
        )),
        Kind::LinePlayed { line } => Some((Style::Warn, "line", format!("\u{201c}{line}\u{201d} was played"))),
        Kind::Dtmf { .. } => Some((Style::Caller, "key", "pressed".to_owned())),
        Kind::LanguageChanged { language } => Some((Style::Caller, "language", language.clone())),
        Kind::ToolCalled { name, .. } => Some((Style::Agent, "tool", format!("{name} is called"))),
        Kind::ToolAnswered { ok, took_ms, .. } => {
            let how = if *ok { "done" } else { "failed" };
            Some((if *ok { Style::Agent } else { Style::Warn }, "tool", format!("{how} after {}", ms(*took_ms))))
        }
        Kind::BookingRecorded { .. } => Some((Style::Good, "booked", "a booking was recorded".to_owned())),
        Kind::Instructed { .. } => Some((Style::Agent, "steered", "with other instructions".to_owned())),
        Kind::Gap { what, lost_ms } => Some((Style::Warn, "gap", format!("{what}, {}", ms(*lost_ms)))),
        Kind::Prepared { .. }
        | Kind::StreamStarted { .. }
        | Kind::EngineDialled { .. }
        | Kind::DisclosureHeard { .. }
        | Kind::Speaking { .. }
        | Kind::FirstSound { .. }
        | Kind::Commanded { .. }
        | Kind::NextStep { .. }
        | Kind::Measured(_)
        | Kind::StreamEnded { .. } => None,
    }
}

fn spoken_turn(turn: &Turn, words: bool) -> (Style, &'static str, String) {
    let (style, who, said) = match turn.speaker {
        Speaker::Caller => (Style::Caller, "caller", &turn.text),
        Speaker::Agent => (Style::Agent, "agent", &turn.heard_text),
    };
    let cut = if turn.interrupted { " \u{2014}" } else { "" };
    let detail = if words { format!("{said}{cut}") } else { format!("speaks for {}{cut}", ms(turn.heard_ms)) };
    (style, who, detail)
}

/// Who ended a call, why, and after how long.
pub(crate) fn ending(call: &CallRecord) -> String {
    let lasted =
        call.duration_s.map(|s| format!(" after {}", spoken(Duration::from_secs(u64::from(s))))).unwrap_or_default();
    let by = match call.ended_by {
        Some(EndedBy::Caller) => "the caller",
        Some(EndedBy::Agent) => "the agent",
        Some(EndedBy::Operator) => "an operator",
        Some(EndedBy::System) | None => "us",
    };
    match (call.status, call.end_reason) {
        (Status::Busy, _) => "the line was busy".to_owned(),
        (Status::NoAnswer, _) => "nobody answered".to_owned(),
        (Status::Failed, _) => "it could not be placed".to_owned(),
        (Status::Canceled, _) => format!("called off by {by}"),
        (_, Some(EndReason::SaidGoodbye)) => format!("by {by}, with a goodbye{lasted}"),
        (_, Some(EndReason::Transferred)) => format!("by {by}: transferred{lasted}"),
        (_, Some(EndReason::Limit)) => format!("by {by}: a limit was reached{lasted}"),
        (_, Some(EndReason::NoEngine)) => format!("by {by}: no engine was left{lasted}"),
        (_, Some(EndReason::Error)) => format!("by {by}: something failed{lasted}"),
        (_, Some(EndReason::HungUp | EndReason::NoAnswer | EndReason::Busy | EndReason::Canceled) | None) => {
            format!("by {by}{lasted}")
        }
    }
}

/// Why an engine could not be used, in words.
pub(crate) fn cause(why: &LinkCause) -> String {
    match why {
        LinkCause::Status { status } => format!("HTTP {status}"),
        LinkCause::Dns => "its name is unknown".to_owned(),
        LinkCause::Tls => "no secure connection".to_owned(),
        LinkCause::Timeout => "no answer in time".to_owned(),
        LinkCause::Unreachable => "no connection".to_owned(),
        LinkCause::Closed { code: Some(code) } => format!("it closed the socket ({code})"),
        LinkCause::Closed { code: None } => "the socket broke".to_owned(),
        LinkCause::Stalled => "it fell silent".to_owned(),
        LinkCause::Failed { code } => format!("it reports {code}"),
        LinkCause::RolledOver => "a fresh session before its limit".to_owned(),
    }
}

/// What the caller heard meanwhile.
pub(crate) const fn covered(by: Cover) -> &'static str {
    match by {
        Cover::Speech => "the agent's sentence covered it",
        Cover::Line => "a short line covered it",
        Cover::Tone => "a short line and a tone covered it",
        Cover::Nothing => "too short to be covered",
    }
}

fn ms(ms: u64) -> String {
    spoken(Duration::from_millis(ms))
}
