//! The caller is never left in silence: bundled lines, the comfort tone, and what is owed.

use std::time::Instant;

use super::Call;
use crate::audio::lines::{self, Line};
use crate::audio::tone::ComfortTone;
use crate::journal::{self, Kind, LinkCause};
use crate::limits::{FILLER_AFTER, FILLER_AGAIN, FRAME, LINE_AFTER, LINE_YIELDS_MAX, STALLED_AFTER};
use crate::timer::Timer;
use crate::turn::Purpose;

/// What the engine owes the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Nothing,
    /// An answer; so far nothing covers the wait.
    Reply,
    /// An answer, and the caller was asked for patience.
    ReplyAfterFiller,
}

#[derive(Debug)]
pub(super) struct Cover {
    owed: Owed,
    tone: ComfortTone,
    /// Whether the tone runs whenever nothing else plays.
    tone_on: bool,
    /// Since when.
    owed_since: Option<Instant>,
    /// Whether a line was played since the engine began to falter.
    faltering_covered: bool,
    /// Since when the caller hears nobody, or will, while an engine falters, is lost, or has yet to say its first word.
    quiet_since: Option<Instant>,
    /// Whether an engine that took over has yet to say its first word, and nothing has covered that so far.
    bridges: bool,
    /// What covered the present outage so far.
    by: journal::Cover,
    /// How often an engine was taken for deaf: a noisy line may look like one, so not often.
    deaf: u8,
    /// Whether the caller was asked for patience with a deaf engine.
    deaf_covered: bool,
}

/// A noisy line can look like speech that the engine ignores; after so many fresh links it is taken for noise.
const DEAF_MAX: u8 = 2;

impl Cover {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            owed: Owed::Nothing,
            owed_since: None,
            tone: ComfortTone::new(seed),
            tone_on: false,
            faltering_covered: false,
            quiet_since: None,
            bridges: false,
            by: journal::Cover::Nothing,
            deaf: 0,
            deaf_covered: false,
        }
    }

    pub(super) fn owes_reply(&self) -> bool {
        self.owed != Owed::Nothing
    }
}

impl Call {
    /// The stream has started: if nothing is there to play, the silence is counted from now.
    pub(super) fn cover_start(&mut self, now: Instant) {
        if !self.has_engine() {
            if self.seats.is_exhausted() {
                return self.apologise(now);
            }
            self.timers.set(Timer::Line, now + LINE_AFTER);
        } else if !self.opening.is_over() && self.playout.is_dry(now) {
            self.expect_reply(now);
        }
    }

    /// An engine was lost: count the silence. `missed`: the caller may have said something that nobody has answered.
    pub(super) fn cover_outage(&mut self, now: Instant, missed: bool) {
        // What was faltering before it was lost has kept the caller waiting since then.
        let quiet_since = self.cover.quiet_since.unwrap_or_else(|| self.quiet_from(now, missed));
        self.owed_nothing();
        self.cover.quiet_since = Some(quiet_since);
        self.cover.bridges = false;
        self.cover.by = if self.playout.is_dry(now) { journal::Cover::Nothing } else { journal::Cover::Speech };
        if std::mem::take(&mut self.cover.faltering_covered) {
            // The caller was asked for patience a moment ago.
            self.cover.by = journal::Cover::Line;
            self.cover.tone_on = true;
        } else if self.is_up() {
            self.timers.set_if_unset(Timer::Line, (quiet_since + LINE_AFTER).max(now + FRAME));
        }
    }

    /// The engine falters: count the silence, in case somebody waits for it.
    pub(super) fn cover_faltering(&mut self, now: Instant) {
        self.cover.faltering_covered = false;
        if self.is_up() {
            let quiet_since = self.quiet_from(now, self.caller_unnoticed(now));
            self.cover.quiet_since = Some(quiet_since);
            self.timers.set(Timer::Line, (quiet_since + LINE_AFTER).max(now + FRAME));
        }
    }

    /// An engine took over and owes the next word: the silence is counted on from its beginning.
    pub(super) fn bridge(&mut self, now: Instant, covered_by: journal::Cover) {
        let covered = matches!(covered_by, journal::Cover::Line | journal::Cover::Tone);
        if covered || !self.is_up() {
            return;
        }
        self.cover.bridges = true;
        let since = [self.cover.quiet_since, self.playout.dry_since(), self.caller_voiced_at()];
        let since = since.into_iter().flatten().max().unwrap_or(now);
        self.timers.set(Timer::Line, (since + LINE_AFTER).max(now + FRAME));
    }

    /// The engine that took over says its first word.
    pub(super) fn bridged(&mut self) {
        if std::mem::take(&mut self.cover.bridges) {
            self.timers.clear(Timer::Line);
        }
        self.silence_over();
    }

    /// Somebody was heard, or nobody waits for it: a silence that comes later has a beginning of its own.
    pub(super) fn silence_over(&mut self) {
        if self.seats.faltering.is_none() {
            self.cover.quiet_since = None;
        }
    }

    /// Since when nobody is heard who should be; what still plays is heard out first. `missed`: the caller may have said
    /// something that no engine has noticed.
    fn quiet_from(&self, now: Instant, missed: bool) -> Instant {
        if !self.playout.is_dry(now) {
            return self.playout.heard_out_at(now);
        }
        let dry_since = self.playout.dry_since();
        let voiced_at = self.caller_voiced_at().filter(|at| dry_since.is_none_or(|dry| *at > dry));
        let owed_since = self.cover.owed_since.filter(|_| self.cover.owes_reply());
        match voiced_at.filter(|_| missed || owed_since.is_some()).or(owed_since) {
            Some(since) => since.min(now),
            // Nobody waits for anything.
            None => now,
        }
    }

    fn caller_voiced_at(&self) -> Option<Instant> {
        match &self.phone {
            super::Phone::Up { upward, .. } => upward.voiced_at(),
            super::Phone::Awaited => None,
        }
    }

    /// An engine is back. What covered its absence, and whether the caller was asked to wait.
    pub(super) fn end_cover(&mut self) -> journal::Cover {
        self.timers.clear(Timer::Line);
        self.cover.faltering_covered = false;
        if std::mem::take(&mut self.cover.tone_on) {
            self.playout.end_turn();
        }
        std::mem::replace(&mut self.cover.by, journal::Cover::Nothing)
    }

    pub(super) fn line_due(&mut self, now: Instant) {
        let faltering = self.seats.faltering.is_some();
        let engine_works = self.has_engine() && !faltering && !self.cover.bridges;
        if engine_works || !self.is_up() {
            return;
        }
        if !self.playout.is_dry(now) {
            return self.timers.set(Timer::Line, self.playout.heard_out_at(now).max(now + FRAME) + LINE_AFTER);
        }
        // Nobody is talked over, unless what sounds like speech never ends.
        let latest = self.cover.quiet_since.unwrap_or(now) + LINE_AFTER + LINE_YIELDS_MAX;
        if let Some(at) = self.caller_voiced_at().filter(|at| now < latest && *at + LINE_AFTER > now) {
            return self.timers.set(Timer::Line, (at + LINE_AFTER).min(latest));
        }
        if faltering {
            let awaited = self.cover.owes_reply() || self.turns.arriving().is_some() || self.caller_unnoticed(now);
            if !awaited {
                return self.timers.set(Timer::Line, now + FRAME * 5);
            }
            self.cover.faltering_covered = true;
            return self.play_line(now, Line::Hold);
        }
        self.play_line(now, Line::Hold);
        if !std::mem::take(&mut self.cover.bridges) {
            self.cover.by = journal::Cover::Line;
            self.cover.tone_on = true;
        }
    }

    /// Plays one of the bundled lines, in the agent's language.
    pub(super) fn play_line(&mut self, now: Instant, line: Line) {
        self.turns.complete();
        let n = self.next_turn_number();
        self.turns.open(n, None);
        let id = format!("line-{n}");
        self.turns.text(&id, lines::text(&self.script.language, line), false, Purpose::Line);
        let audio = lines::line(&self.script.language, line);
        let position = self.playout.end();
        let dropped = self.playout.push(audio);
        self.turns.audio(&id, position, (audio.len() - dropped) as u64, Purpose::Line);
        self.turns.complete();
        self.playout.end_turn();
        self.journal(now, Kind::LinePlayed { line: line.name().to_owned() });
    }

    /// Keeps the comfort tone going while it is wanted and nothing else waits to be played.
    pub(super) fn feed_tone(&mut self, now: Instant) {
        if !self.cover.tone_on || !self.is_up() {
            return;
        }
        let line_over = self.turns.is_empty();
        while self.playout.queued() < FRAME * 2 {
            self.playout.push(&self.cover.tone.frame());
        }
        if line_over && self.playout.unplayed(now) > FRAME {
            self.cover.by = journal::Cover::Tone;
        }
    }

    /// The engine owes the caller an answer from now on.
    pub(super) fn expect_reply(&mut self, now: Instant) {
        // What is owed already is not owed later for being asked for twice.
        if self.is_up() && self.has_engine() && self.cover.owed == Owed::Nothing {
            self.cover.owed = Owed::Reply;
            self.cover.owed_since = Some(now);
            self.timers.set(Timer::Reply, self.playout.heard_out_at(now) + FILLER_AFTER);
        }
    }

    /// The engine answers, or the caller goes on speaking.
    pub(super) fn owed_nothing(&mut self) {
        self.cover.owed = Owed::Nothing;
        self.timers.clear(Timer::Reply);
    }

    pub(super) fn reply_overdue(&mut self, now: Instant) {
        match self.cover.owed {
            Owed::Nothing => {}
            Owed::Reply => {
                if self.playout.is_dry(now) {
                    self.play_line(now, Line::Hold);
                }
                self.cover.owed = Owed::ReplyAfterFiller;
                self.timers.set(Timer::Reply, now + (STALLED_AFTER - FILLER_AFTER));
            }
            // A tool that is still allowed to run has its own time limit; the engine only waits for it.
            Owed::ReplyAfterFiller if !self.tools.is_empty() => {
                if self.playout.is_dry(now) {
                    self.play_line(now, Line::Hold);
                }
                self.timers.set(Timer::Reply, now + FILLER_AGAIN);
            }
            Owed::ReplyAfterFiller => self.current_failed(now, LinkCause::Stalled),
        }
    }

    /// The caller spoke, and stopped, and the engine has not taken notice.
    pub(super) fn watch_for_deafness(&mut self, now: Instant) {
        let super::Phone::Up { upward, .. } = &self.phone else { return };
        let Some(spoke_until) = upward.spoke_until(now) else { return };
        let heard_by_engine = self.caller.noticed_since(spoke_until);
        // While the agent is audible, what sounds like speech may be its echo.
        let judged_often = self.cover.deaf >= DEAF_MAX && !self.timers.is_set(Timer::Deaf);
        if heard_by_engine || judged_often || !self.has_engine() || !self.playout.is_dry(now) || self.cover.owes_reply()
        {
            return;
        }
        if self.timers.set_if_unset(Timer::Deaf, spoke_until + FILLER_AFTER) {
            self.cover.deaf_covered = false;
        }
    }

    /// The engine has not said that the caller's turn is over: cover, then give it up.
    pub(super) fn engine_deaf(&mut self, now: Instant) {
        if std::mem::replace(&mut self.cover.deaf_covered, true) {
            return self.current_failed(now, LinkCause::Stalled);
        }
        self.cover.deaf += 1;
        if self.playout.is_dry(now) {
            self.play_line(now, Line::Hold);
        }
        self.timers.set(Timer::Deaf, now + (STALLED_AFTER - FILLER_AFTER));
    }
}
