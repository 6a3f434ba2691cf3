//! What the node counts, as Prometheus reads it. No label ever names a call or a number.
//!
//! Written by hand rather than with a metrics facade: a facade is one recorder per process, and one process may hold
//! several nodes (the local program, tests); this is one per node, and the whole text is a page.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use call::agent::EngineKind;
use call::breaker;
use call::journal::{Kind, Measured};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a value was at most so large.
#[derive(Debug)]
pub(crate) struct Histogram<const N: usize> {
    /// Upper bounds, in microseconds.
    bounds_us: [u64; N],
    counts: [Counter; N],
    over: Counter,
    sum_us: Counter,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds_us: [u64; N]) -> Self {
        Self {
            bounds_us,
            counts: std::array::from_fn(|_| Counter::default()),
            over: Counter::default(),
            sum_us: Counter::default(),
        }
    }

    pub(crate) fn add(&self, value: Duration) {
        let us = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds_us.iter().position(|bound| us <= *bound);
        bucket.map_or(&self.over, |at| &self.counts[at]).one();
        self.sum_us.add(us);
    }

    fn write(&self, name: &str, help: &str, out: &mut String) {
        head(out, name, help, "histogram");
        let mut count = 0;
        for (bound, in_bucket) in self.bounds_us.iter().zip(&self.counts) {
            count += in_bucket.value();
            line(out, format_args!("{name}_bucket{{le=\"{}\"}} {count}", seconds(*bound)));
        }
        count += self.over.value();
        line(out, format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        line(out, format_args!("{name}_sum {}", seconds(self.sum_us.value())));
        line(out, format_args!("{name}_count {count}"));
    }
}

/// All that a node counts.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) calls_prepared: Counter,
    pub(crate) calls_refused: Counter,
    pub(crate) streams_joined: Counter,
    pub(crate) streams_spliced: Counter,
    pub(crate) signatures_refused: Counter,
    pub(crate) tokens_forged: Counter,
    pub(crate) tokens_expired: Counter,
    pub(crate) tokens_used: Counter,
    pub(crate) tokens_misplaced: Counter,
    pub(crate) streams_without_token: Counter,
    pub(crate) streams_disowned: Counter,
    pub(crate) messages_too_big: Counter,
    pub(crate) phones_overflowed: Counter,
    pub(crate) links_overflowed: Counter,
    pub(crate) peers_silent: Counter,
    pub(crate) live_dropped: Counter,
    pub(crate) journal_spooled: Counter,
    pub(crate) journal_dropped: Counter,
    pub(crate) recording_dropped: Counter,
    pub(crate) segments_put: Counter,
    pub(crate) tools_asked: Counter,
    pub(crate) tools_failed: Counter,
    refused: [Counter; EngineKind::ALL.len()],
    lost: [Counter; EngineKind::ALL.len()],
    frames_in: Counter,
    missing_in_ms: Counter,
    filled_ms: Counter,
    frames_out: Counter,
    underruns: Counter,
    malformed: Counter,
    unknown: Counter,
    late_audio_ms: Counter,
    interval_in: Histogram<6>,
    queued: Histogram<6>,
    mark_lag: Histogram<6>,
    pub(crate) lateness: Histogram<8>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            calls_prepared: Counter::default(),
            calls_refused: Counter::default(),
            streams_joined: Counter::default(),
            streams_spliced: Counter::default(),
            signatures_refused: Counter::default(),
            tokens_forged: Counter::default(),
            tokens_expired: Counter::default(),
            tokens_used: Counter::default(),
            tokens_misplaced: Counter::default(),
            streams_without_token: Counter::default(),
            streams_disowned: Counter::default(),
            messages_too_big: Counter::default(),
            phones_overflowed: Counter::default(),
            links_overflowed: Counter::default(),
            peers_silent: Counter::default(),
            live_dropped: Counter::default(),
            journal_spooled: Counter::default(),
            journal_dropped: Counter::default(),
            recording_dropped: Counter::default(),
            segments_put: Counter::default(),
            tools_asked: Counter::default(),
            tools_failed: Counter::default(),
            refused: Default::default(),
            lost: Default::default(),
            frames_in: Counter::default(),
            missing_in_ms: Counter::default(),
            filled_ms: Counter::default(),
            frames_out: Counter::default(),
            underruns: Counter::default(),
            malformed: Counter::default(),
            unknown: Counter::default(),
            late_audio_ms: Counter::default(),
            interval_in: Histogram::new([25_000, 40_000, 60_000, 100_000, 250_000, 1_000_000]),
            queued: Histogram::new([200_000, 1_000_000, 5_000_000, 15_000_000, 60_000_000, 120_000_000]),
            mark_lag: Histogram::new([50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000]),
            lateness: Histogram::new([100, 200, 500, 1_000, 2_000, 5_000, 20_000, 100_000]),
        }
    }
}

/// What is true now, beside what was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now {
    /// The engines that have credentials.
    pub(crate) engines: Vec<(EngineKind, breaker::State)>,
    pub(crate) sessions: u64,
    pub(crate) unused: u64,
    pub(crate) capacity: u64,
    pub(crate) ready: bool,
    pub(crate) spool_bytes: u64,
    pub(crate) live_sockets: u64,
    pub(crate) streams_nameless: u64,
    pub(crate) streams_passing: u64,
    pub(crate) spool_set_aside: u64,
}

impl Figures {
    /// Counts what a call wrote down.
    pub(crate) fn observe(&self, kind: &Kind) {
        if let Kind::Measured(measured) = kind {
            self.measured(measured);
        } else if let Kind::EngineRefused { engine, .. } = kind {
            of(&self.refused, *engine).one();
        } else if let Kind::EngineLost { engine, .. } = kind {
            of(&self.lost, *engine).one();
        }
    }

    fn measured(&self, measured: &Measured) {
        self.frames_in.add(measured.frames_in);
        self.missing_in_ms.add(measured.missing_in_ms);
        self.filled_ms.add(measured.filled_ms);
        self.frames_out.add(measured.frames_out);
        self.underruns.add(measured.underruns);
        self.malformed.add(measured.malformed);
        self.unknown.add(measured.unknown);
        self.late_audio_ms.add(measured.late_audio_ms);
        if measured.frames_in > 0 {
            self.interval_in.add(Duration::from_millis(measured.interval_in_ms_max));
        }
        if measured.frames_out > 0 {
            self.queued.add(Duration::from_millis(measured.queued_ms_max));
        }
        if measured.marks > 0 {
            self.mark_lag.add(Duration::from_millis(measured.mark_lag_ms_max));
        }
    }

    /// The whole page (Prometheus: text exposition format).
    pub(crate) fn page(&self, now: Now) -> String {
        let mut out = String::with_capacity(8_192);
        let gauges = [
            ("calls_live", "Calls on this node, prepared ones included.", now.sessions),
            ("calls_unused", "Prepared calls whose stream has not come.", now.unused),
            ("calls_capacity", "Calls this node takes.", now.capacity),
            ("ready", "Whether new calls are taken.", u64::from(now.ready)),
            ("spool_bytes", "Journal and recording waiting on disk.", now.spool_bytes),
            ("live_sockets", "Dashboards connected.", now.live_sockets),
            ("streams_nameless", "Streams that have not said whose they are.", now.streams_nameless),
            ("streams_passing", "Streams passed through to other nodes now.", now.streams_passing),
            (
                "spool_set_aside",
                "Files in the spool that cannot be stored and are kept for a person.",
                now.spool_set_aside,
            ),
        ];
        for (name, help, value) in gauges {
            head(&mut out, &format!("switchboard_{name}"), help, "gauge");
            line(&mut out, format_args!("switchboard_{name} {value}"));
        }
        head(&mut out, "switchboard_engine_offered", "Whether an engine is offered to calls, by engine.", "gauge");
        for (engine, state) in now.engines {
            let offered = u8::from(state == breaker::State::Closed);
            line(&mut out, format_args!("switchboard_engine_offered{{engine=\"{engine}\"}} {offered}"));
        }
        for (name, help, counter) in self.counters() {
            head(&mut out, &format!("switchboard_{name}_total"), help, "counter");
            line(&mut out, format_args!("switchboard_{name}_total {}", counter.value()));
        }
        for (name, help, counters) in [
            ("engine_refusals", "Engines that could not be used, by engine.", &self.refused),
            ("engine_losses", "Engines lost in a call, by engine.", &self.lost),
        ] {
            head(&mut out, &format!("switchboard_{name}_total"), help, "counter");
            for engine in EngineKind::ALL {
                let value = of(counters, engine).value();
                line(&mut out, format_args!("switchboard_{name}_total{{engine=\"{engine}\"}} {value}"));
            }
        }
        self.interval_in.write(
            "switchboard_phone_jitter_seconds",
            "Longest time between two frames of a call, per 10 s.",
            &mut out,
        );
        self.queued.write(
            "switchboard_playout_queue_seconds",
            "Most audio that waited to be played in a call, per 10 s.",
            &mut out,
        );
        self.mark_lag.write(
            "switchboard_mark_round_trip_seconds",
            "Greatest lag of a mark of a call, per 10 s.",
            &mut out,
        );
        self.lateness.write("switchboard_loop_lateness_seconds", "How late a call's loop woke up.", &mut out);
        out
    }

    fn counters(&self) -> [(&'static str, &'static str, &Counter); 30] {
        [
            ("calls_prepared", "Calls prepared.", &self.calls_prepared),
            ("calls_refused", "Calls refused: full, draining, or without an engine.", &self.calls_refused),
            ("streams_joined", "Streams that joined their call.", &self.streams_joined),
            ("streams_spliced", "Streams passed through to another node.", &self.streams_spliced),
            ("signatures_refused", "Requests with a missing or wrong signature.", &self.signatures_refused),
            ("tokens_forged", "Tokens that nobody here made.", &self.tokens_forged),
            ("tokens_expired", "Tokens whose time was over.", &self.tokens_expired),
            ("tokens_used", "Tokens that were used before.", &self.tokens_used),
            ("tokens_misplaced", "Tokens of another node, call, account or epoch.", &self.tokens_misplaced),
            (
                "streams_without_token",
                "Streams closed because they sent no start in time.",
                &self.streams_without_token,
            ),
            ("streams_disowned", "Streams closed because another one has the call.", &self.streams_disowned),
            ("messages_too_big", "Sockets closed for a message that was too big.", &self.messages_too_big),
            ("phones_overflowed", "Phones lost because they took nothing.", &self.phones_overflowed),
            ("links_overflowed", "Engine links lost because they took nothing.", &self.links_overflowed),
            ("peers_silent", "Sockets given up because they were silent.", &self.peers_silent),
            ("live_dropped", "Dashboards dropped because they read too slowly.", &self.live_dropped),
            ("journal_spooled", "Journal entries kept on disk because the store was away.", &self.journal_spooled),
            ("journal_dropped", "Journal entries that could be kept nowhere.", &self.journal_dropped),
            ("recording_dropped", "Pieces of recordings that could be kept nowhere.", &self.recording_dropped),
            ("tools_asked", "Requests to the user's own tools.", &self.tools_asked),
            ("tools_failed", "Those of them that had no good answer.", &self.tools_failed),
            ("segments_put", "Segments of recordings stored.", &self.segments_put),
            ("phone_frames_in", "Frames from phones.", &self.frames_in),
            ("phone_missing_ms", "Caller audio that never came.", &self.missing_in_ms),
            ("upward_filled_ms", "Silence sent to engines in its place.", &self.filled_ms),
            ("phone_frames_out", "Frames to phones.", &self.frames_out),
            ("playout_underruns", "Times that a phone ran dry inside a turn.", &self.underruns),
            ("malformed", "Messages that could not be read.", &self.malformed),
            ("unknown", "Messages of an unknown kind.", &self.unknown),
            ("late_audio_ms", "Audio dropped because its turn was cut.", &self.late_audio_ms),
        ]
    }
}

fn of(counters: &[Counter; EngineKind::ALL.len()], engine: EngineKind) -> &Counter {
    match engine {
        EngineKind::Hume => &counters[0],
        EngineKind::OpenAi => &counters[1],
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is read by people")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    line(out, format_args!("# HELP {name} {help}"));
    line(out, format_args!("# TYPE {name} {kind}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("invariant: writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::journal::LinkCause;

    #[test]
    fn what_calls_write_down_is_counted() {
        let figures = Figures::default();
        figures.observe(&Kind::EngineRefused { engine: EngineKind::Hume, why: LinkCause::Dns });
        let measured = Measured {
            frames_in: 500,
            underruns: 2,
            malformed: 3,
            interval_in_ms_max: 70,
            marks: 1,
            mark_lag_ms_max: 120,
            ..Measured::default()
        };
        figures.observe(&Kind::Measured(measured));
        figures.lateness.add(Duration::from_micros(150));
        let until = std::time::Instant::now();
        let engines =
            vec![(EngineKind::Hume, breaker::State::Open { until }), (EngineKind::OpenAi, breaker::State::Closed)];
        let page = figures.page(Now { sessions: 7, ready: true, engines, ..Now::default() });
        for expected in [
            "switchboard_calls_live 7",
            "switchboard_ready 1",
            "switchboard_engine_offered{engine=\"hume\"} 0",
            "switchboard_engine_offered{engine=\"openai\"} 1",
            "switchboard_engine_refusals_total{engine=\"hume\"} 1",
            "switchboard_engine_refusals_total{engine=\"openai\"} 0",
            "switchboard_playout_underruns_total 2",
            "switchboard_malformed_total 3",
            "switchboard_phone_jitter_seconds_bucket{le=\"0.06\"} 0",
            "switchboard_phone_jitter_seconds_bucket{le=\"0.1\"} 1",
            "switchboard_mark_round_trip_seconds_count 1",
            "switchboard_loop_lateness_seconds_bucket{le=\"0.0002\"} 1",
        ] {
            assert!(page.lines().any(|line| line == expected), "{expected}\n{page}");
        }
        assert_eq!(page.lines().filter(|line| line.starts_with("# TYPE")).count(), 9 + 1 + 30 + 2 + 4);
    }
}
