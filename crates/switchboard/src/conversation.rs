//! A call as people read it: live, as it is spoken, and afterwards from its record.

use std::collections::BTreeSet;
use std::time::Duration;

use call::journal::{Entry, Kind, Speaker, Turn};
use store::{CallRecord, Status};

use crate::events::{cause, covered, ending};
use crate::terminal::{Screen, Style, short_number, spoken, wrapped};

/// Width of the column of times, and of what happens.
const TIME: usize = 8;
const WHAT: usize = 9;

/// Letters of a line of speech.
const SPEECH: usize = 72;

/// How fast the agent answered, turn by turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses(Vec<Duration>);

impl Responses {
    /// From the turns of a call: the caller's last word to the first sound of the agent's answer. An agent that talks
    /// over the caller does not count.
    #[must_use]
    pub fn of(turns: &[Turn]) -> Self {
        let mut ordered: Vec<&Turn> = turns.iter().collect();
        ordered.sort_by_key(|turn| turn.n);
        Self(ordered.windows(2).filter_map(|pair| response(pair[0], pair[1])).collect())
    }

    /// The middle one and the slowest; none without any.
    #[must_use]
    pub fn median_and_slowest(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }
}

fn response(before: &Turn, turn: &Turn) -> Option<Duration> {
    let answers = before.speaker == Speaker::Caller && turn.speaker == Speaker::Agent;
    (answers && turn.start_ms >= before.end_ms).then(|| Duration::from_millis(turn.start_ms - before.end_ms))
}

/// Shows a call while it goes on.
#[derive(Debug)]
pub struct Live<'s> {
    screen: &'s mut Screen,
    began_ms: u64,
    status: Option<Status>,
    /// When the phone's audio began.
    stream_ms: Option<u64>,
    /// Turns of the agent that are on the screen already: an engine sends the next one before the last is heard.
    announced: BTreeSet<u32>,
    caller_turn: Option<Turn>,
}

impl<'s> Live<'s> {
    /// Begins with the call as it was placed.
    pub fn begin(screen: &'s mut Screen, call: &CallRecord) -> Self {
        let began_ms = call.created_at.as_ms();
        let mut live =
            Self { screen, began_ms, status: None, stream_ms: None, announced: BTreeSet::new(), caller_turn: None };
        let who = match call.direction {
            store::Direction::Outbound => format!("{} is called by {}", short_number(&call.to), call.agent),
            store::Direction::Inbound => format!("{} calls, {} answers", short_number(&call.from), call.agent),
        };
        live.screen.line("");
        live.line(
            began_ms,
            Style::Strong,
            "call",
            &format!("{who}   {}", live.screen.paint(Style::Dim, &call.id.to_string())),
        );
        live
    }

    /// Shows what became of the call. `before_ms`: an entry of the journal that comes after it, Unix milliseconds.
    pub fn status(&mut self, call: &CallRecord, before_ms: Option<u64>) {
        if self.status == Some(call.status) {
            return;
        }
        self.status = Some(call.status);
        let now_ms = before_ms.map_or_else(unix_ms, |before_ms| before_ms.min(unix_ms()));
        match call.status {
            Status::Ringing => self.line(now_ms, Style::Dim, "ringing", ""),
            // Twilio's own times are whole seconds: too coarse between two lines.
            Status::InProgress => self.line(now_ms, Style::Good, "answered", ""),
            Status::Queued
            | Status::Completed
            | Status::Busy
            | Status::NoAnswer
            | Status::Failed
            | Status::Canceled => {}
        }
    }

    /// Shows an entry of its journal.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.kind {
            Kind::StreamStarted { .. } => {
                self.stream_ms.get_or_insert(entry.at_ms);
            }
            Kind::EngineReady { engine, resumed, took_ms, .. } => {
                let how = if *resumed { "goes on" } else { "is ready" };
                self.aside(entry.at_ms, Style::Good, "engine", &format!("{engine} {how} after {}", ms(*took_ms)));
            }
            Kind::EngineRefused { engine, why } => {
                self.aside(entry.at_ms, Style::Warn, "engine", &format!("{engine} refused: {}", cause(why)));
            }
            Kind::EngineLost { engine, why } => {
                self.aside(entry.at_ms, Style::Warn, "engine", &format!("{engine} lost: {}", cause(why)));
            }
            Kind::EngineResumed { engine, gap_ms, covered_by } => {
                let what = format!("{engine} goes on after {}; {}", ms(*gap_ms), covered(*covered_by));
                self.aside(entry.at_ms, Style::Good, "engine", &what);
            }
            Kind::Speaking { n, text } => self.says(entry.at_ms, *n, text),
            Kind::Turn(turn) => self.turn(entry.at_ms, turn),
            // How the call ends is said at its end.
            Kind::ToolCalled { name, .. } if name == "hang_up" => {}
            Kind::ToolCalled { name, arguments, .. } => {
                self.aside(entry.at_ms, Style::Agent, "tool", &format!("{name} {arguments}"));
            }
            Kind::BookingRecorded { what, when, name } => {
                self.aside(entry.at_ms, Style::Good, "booked", &format!("{what}, {when}, for {name}"));
            }
            Kind::LinePlayed { line } => {
                self.aside(
                    entry.at_ms,
                    Style::Warn,
                    "line",
                    &format!("the caller hears our own \u{201c}{line}\u{201d}"),
                );
            }
            Kind::Gap { what, lost_ms } => {
                self.aside(entry.at_ms, Style::Warn, "gap", &format!("{what}, {}", ms(*lost_ms)))
            }
            Kind::Dtmf { digit } => self.aside(entry.at_ms, Style::Caller, "key", digit),
            Kind::LanguageChanged { language } => self.aside(entry.at_ms, Style::Caller, "language", language),
            Kind::Prepared { .. }
            | Kind::EngineDialled { .. }
            | Kind::EngineError { .. }
            | Kind::DisclosureHeard { .. }
            | Kind::Interrupted { .. }
            | Kind::FirstSound { .. }
            | Kind::ToolAnswered { .. }
            | Kind::Instructed { .. }
            | Kind::Commanded { .. }
            | Kind::NextStep { .. }
            | Kind::Measured(_)
            | Kind::StreamEnded { .. } => {}
        }
    }

    /// A sentence of the agent, as soon as it is known.
    fn says(&mut self, at_ms: u64, n: u32, text: &str) {
        let fresh = self.announced.insert(n);
        let (at, what) = if fresh { (Some(at_ms), "agent") } else { (None, "") };
        self.speech(at, Style::Agent, what, text);
    }

    fn turn(&mut self, at_ms: u64, turn: &Turn) {
        match turn.speaker {
            Speaker::Caller => {
                let at = self.stream_ms.map_or(at_ms, |stream| stream + turn.start_ms);
                self.speech(Some(at), Style::Caller, "caller", &turn.text);
                self.caller_turn = Some(turn.clone());
            }
            Speaker::Agent => {
                if self.announced.insert(turn.n) {
                    // It was cut, or resumed, before any sentence of it was announced.
                    let at = self.stream_ms.map_or(at_ms, |stream| stream + turn.start_ms);
                    self.speech(Some(at), Style::Agent, "agent", &turn.heard_text);
                }
                let answered = self.caller_turn.take().and_then(|caller| response(&caller, turn));
                let mut notes: Vec<String> = answered
                    .map(|after| format!("{} after the caller's last word", spoken(after)))
                    .into_iter()
                    .collect();
                if turn.interrupted {
                    notes.push(format!("cut off after {}: \u{201c}{}\u{201d}", ms(turn.heard_ms), turn.heard_text));
                }
                if !notes.is_empty() {
                    let notes =
                        self.screen.paint(if turn.interrupted { Style::Warn } else { Style::Dim }, &notes.join(" · "));
                    self.screen.line(&format!("  {:TIME$}  {:WHAT$} {notes}", "", ""));
                }
            }
        }
    }

    fn speech(&mut self, at_ms: Option<u64>, style: Style, what: &str, text: &str) {
        let mut lines = wrapped(text, SPEECH).into_iter();
        let first = lines.next().unwrap_or_default();
        match at_ms {
            Some(at_ms) => self.line(at_ms, style, what, &first),
            None => self.screen.line(&format!("  {:TIME$}  {:WHAT$} {first}", "", "")),
        }
        for line in lines {
            self.screen.line(&format!("  {:TIME$}  {:WHAT$} {line}", "", ""));
        }
    }

    /// Something that is no speech. It does not end the turn on the screen.
    fn aside(&mut self, at_ms: u64, style: Style, what: &str, detail: &str) {
        self.line(at_ms, style, what, &self.screen.paint(Style::Dim, detail));
    }

    fn line(&mut self, at_ms: u64, style: Style, what: &str, detail: &str) {
        let time = clock(at_ms.saturating_sub(self.began_ms));
        let line =
            format!("  {}  {} {detail}", self.screen.paint(Style::Dim, &time), self.screen.cell(style, what, WHAT));
        self.screen.line(line.trim_end());
    }
}

/// Shows a call that is over, or as far as it has come.
pub fn show(screen: &mut Screen, call: &CallRecord, turns: &[Turn], journal: &[Entry]) {
    let title = screen.paint(Style::Strong, &call.id.to_string());
    screen.line(&format!("\n  {title}\n"));
    let parties = format!("{} → {}", short_number(&call.from), short_number(&call.to));
    let direction = match call.direction {
        store::Direction::Inbound => "inbound",
        store::Direction::Outbound => "outbound",
    };
    let simulated = if call.simulated { ", simulated" } else { "" };
    field(screen, "Call", &format!("{parties}, {direction}{simulated}"));
    field(screen, "When", &call.created_at.to_string());
    let status = word(&call.status);
    let state = if call.status.is_final() { format!("{status}: {}", ending(call)) } else { status };
    field(screen, "Status", &state);
    let engines: Vec<&str> = call.engines_tried.iter().map(|engine| engine.as_str()).collect();
    field(
        screen,
        "Agent",
        &format!("{}, tried: {}", call.agent, if engines.is_empty() { "none".to_owned() } else { engines.join(", ") }),
    );
    figures(screen, turns);
    screen.line("");
    let events = journal.iter().filter_map(|entry| event(entry).map(|text| (entry.at_ms, text)));
    let began =
        journal.iter().find(|entry| matches!(entry.kind, Kind::StreamStarted { .. })).map_or(0, |entry| entry.at_ms);
    let mut lines: Vec<(u64, u32, Line<'_>)> =
        turns.iter().map(|turn| (turn.start_ms, turn.n, Line::Turn(turn))).collect();
    lines.extend(events.map(|(at, text)| (at.saturating_sub(began), 0, Line::Event(text))));
    lines.sort_by_key(|(at, n, _)| (*at, *n));
    let mut before: Option<&Turn> = None;
    for (at_ms, _, line) in &lines {
        match line {
            Line::Event(text) => screen.line(&screen.paint(Style::Dim, &format!("  {}  {text}", clock(*at_ms)))),
            Line::Turn(turn) => {
                show_turn(screen, before, turn);
                before = Some(turn);
            }
        }
    }
    if turns.is_empty() {
        screen.line(&screen.paint(Style::Dim, "  Nothing was said."));
    }
    screen.line("");
}

enum Line<'t> {
    Turn(&'t Turn),
    Event(String),
}

fn show_turn(screen: &mut Screen, before: Option<&Turn>, turn: &Turn) {
    let (style, who, said) = match turn.speaker {
        Speaker::Caller => (Style::Caller, "caller", &turn.text),
        Speaker::Agent => (Style::Agent, "agent", &turn.heard_text),
    };
    let after = before
        .and_then(|before| response(before, turn))
        .map(|after| format!("  +{}", spoken(after)))
        .unwrap_or_default();
    let cut = if turn.interrupted { " \u{2014} (cut off)" } else { "" };
    let lines = wrapped(&format!("{said}{cut}"), SPEECH);
    for (n, line) in lines.iter().enumerate() {
        let last = n + 1 == lines.len();
        let note = if last { screen.paint(Style::Dim, &after) } else { String::new() };
        if n == 0 {
            let time = screen.paint(Style::Dim, &clock(turn.start_ms));
            screen.line(&format!("  {time}  {} {line}{note}", screen.cell(style, who, WHAT)));
        } else {
            screen.line(&format!("  {:TIME$}  {:WHAT$} {line}{note}", "", ""));
        }
    }
}

/// How long each side spoke, and how fast the agent answered.
pub fn figures(screen: &mut Screen, turns: &[Turn]) {
    if turns.is_empty() {
        return;
    }
    let heard = |speaker| ms(turns.iter().filter(|turn| turn.speaker == speaker).map(|turn| turn.heard_ms).sum());
    let cut = turns.iter().filter(|turn| turn.interrupted).count();
    let interruptions = match cut {
        0 => "no interruption".to_owned(),
        1 => "1 interruption".to_owned(),
        n => format!("{n} interruptions"),
    };
    let spoke = format!("agent {}, caller {}; {interruptions}", heard(Speaker::Agent), heard(Speaker::Caller));
    field(screen, "Spoken", &spoke);
    let responses = Responses::of(turns);
    if let Some((median, slowest)) = responses.median_and_slowest() {
        let answers =
            format!("{} in the middle, {} at the slowest, of {}", spoken(median), spoken(slowest), responses.count());
        field(screen, "Answers", &format!("{answers} (the caller's last word to the first sound heard)"));
    }
}

/// A name and what it is.
pub fn field(screen: &mut Screen, name: &str, text: &str) {
    screen.line(&format!("  {} {text}", screen.cell(Style::Strong, name, 11)));
}

/// What happened besides speech.
fn event(entry: &Entry) -> Option<String> {
    match &entry.kind {
        Kind::EngineReady { engine, resumed: false, took_ms, .. } => {
            Some(format!("{engine} is ready after {}", ms(*took_ms)))
        }
        Kind::EngineReady { engine, resumed: true, took_ms, .. } => {
            Some(format!("{engine} goes on after {}", ms(*took_ms)))
        }
        Kind::EngineRefused { engine, why } => Some(format!("{engine} refused: {}", cause(why))),
        Kind::EngineLost { engine, why } => Some(format!("{engine} lost: {}", cause(why))),
        Kind::EngineResumed { gap_ms, covered_by, .. } => {
            Some(format!("a gap of {}; {}", ms(*gap_ms), covered(*covered_by)))
        }
        Kind::Interrupted { heard_ms, dropped_ms, .. } => {
            Some(format!("the caller cuts in: {} was heard, {} dropped", ms(*heard_ms), ms(*dropped_ms)))
        }
        Kind::ToolCalled { name, arguments, .. } => Some(format!("tool {name} {arguments}")),
        Kind::ToolAnswered { ok: false, content, .. } => Some(format!("the tool failed: {content}")),
        Kind::BookingRecorded { what, when, name } => Some(format!("booked: {what}, {when}, for {name}")),
        Kind::Instructed { .. } => Some("a person gives the agent other instructions".to_owned()),
        Kind::LinePlayed { line } => Some(format!("our own line \u{201c}{line}\u{201d}")),
        Kind::Dtmf { digit } => Some(format!("key {digit}")),
        Kind::LanguageChanged { language } => Some(format!("language {language}")),
        Kind::Gap { what, lost_ms } => Some(format!("missing from the record: {what}, {}", ms(*lost_ms))),
        Kind::StreamStarted { .. } if entry.epoch > 1 => Some("another stream takes the call up".to_owned()),
        Kind::StreamStarted { .. }
        | Kind::ToolAnswered { .. }
        | Kind::Prepared { .. }
        | Kind::EngineDialled { .. }
        | Kind::EngineError { .. }
        | Kind::DisclosureHeard { .. }
        | Kind::Speaking { .. }
        | Kind::FirstSound { .. }
        | Kind::Turn(_)
        | Kind::Commanded { .. }
        | Kind::NextStep { .. }
        | Kind::Measured(_)
        | Kind::StreamEnded { .. } => None,
    }
}

/// A word of the API, as people write it.
#[must_use]
pub fn word(value: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned));
    word.unwrap_or_default().replace('_', " ")
}

fn clock(ms: u64) -> String {
    let time = format!("{}:{:04.1}", ms / 60_000, f64::from(u32::try_from(ms % 60_000).unwrap_or(0)) / 1_000.0);
    format!("{time:>TIME$}")
}

fn ms(ms: u64) -> String {
    spoken(Duration::from_millis(ms))
}

fn unix_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(n: u32, speaker: Speaker, start_ms: u64, end_ms: u64) -> Turn {
        Turn {
            n,
            speaker,
            text: "One two three.".into(),
            heard_text: "One two".into(),
            approximate: false,
            start_ms,
            end_ms,
            heard_ms: end_ms - start_ms,
            interrupted: false,
            engine: None,
            expressions: Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_timed_from_the_callers_last_word() {
        let turns = [
            turn(1, Speaker::Agent, 0, 2_000),
            turn(2, Speaker::Caller, 3_000, 4_000),
            turn(3, Speaker::Agent, 4_900, 6_000),
            turn(4, Speaker::Caller, 5_800, 7_000),
            turn(5, Speaker::Agent, 7_400, 8_000),
            // Talking over the caller is no answer.
            turn(6, Speaker::Caller, 8_500, 9_500),
            turn(7, Speaker::Agent, 9_000, 9_900),
        ];
        let responses = Responses::of(&turns);
        assert_eq!(responses.count(), 2);
        assert_eq!(responses.median_and_slowest(), Some((Duration::from_millis(900), Duration::from_millis(900))));
        assert_eq!(Responses::of(&[]).median_and_slowest(), None);
    }

    #[test]
    fn times_are_minutes_and_tenths() {
        assert_eq!(clock(0).trim(), "0:00.0");
        assert_eq!(clock(61_250).trim(), "1:01.2");
    }
}
