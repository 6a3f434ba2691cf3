//! `<Record>`: the caller's words on a tape, until silence, a key, the longest time or the end of the call (Twilio:
//! voice/twiml/record). A tape with nothing on it is no recording: the next verb follows.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use wire::twilio::time::format_rfc2822;
use wire::twilio::twiml::read::{Record, RecordingEvent};

use super::callback::recording_event;
use super::document::{Flow, absolute, interrupted};
use super::live::{Interrupt, Live, Source};
use super::record::{ENTRIES_MAX, Recording};

/// How often it is looked whether the tape shall stop.
const TICK: Duration = Duration::from_millis(20);

/// Silence in mu-law.
const SILENCE: u8 = 0xFF;

/// Samples of mu-law in a second.
const RATE: u64 = 8_000;

/// The caller's words as they fall.
#[derive(Debug)]
pub(super) struct Tape {
    began: Instant,
    audio: Vec<u8>,
}

/// Why a recording ended.
enum End {
    Silence,
    Longest,
    Key(char),
    Interrupted(Interrupt),
}

impl Tape {
    fn new(began: Instant) -> Self {
        Self { began, audio: Vec::new() }
    }

    pub(super) fn hear(&mut self, at: Instant, audio: &[u8]) {
        let from = samples(at.saturating_duration_since(self.began)).max(self.audio.len());
        self.audio.resize(from, SILENCE);
        self.audio.extend_from_slice(audio);
    }

    /// When the last word on it ends.
    fn quiet_since(&self) -> Instant {
        self.began + Duration::from_secs(self.audio.len() as u64) / 8_000
    }

    /// What is on it by now.
    fn stop(mut self, now: Instant, trimmed: bool) -> Vec<u8> {
        let end = samples(now.saturating_duration_since(self.began));
        self.audio.truncate(end);
        let Some(first) = self.audio.iter().position(|byte| *byte != SILENCE) else {
            return Vec::new();
        };
        if trimmed {
            self.audio.split_off(first)
        } else {
            self.audio.resize(end, SILENCE);
            self.audio
        }
    }
}

pub(super) async fn perform(live: &mut Live, record: Record) -> Option<Flow> {
    let Some(action) = absolute(live, &record.action) else {
        return Some(Flow::Unserved);
    };
    live.exchange.event(live.sid, "twiml   <Record>".to_owned());
    let (sid, started) = (format!("RE{:032x}", live.exchange.random(|rng| rng.u128(..))), Timestamp::now());
    report(live, &record, &sid, started, RecordingEvent::InProgress, 0);
    live.caller.forget_keys();
    live.tape = Some(Tape::new(Instant::now()));
    live.caller.listen_in(true);
    let end = listen(live, &record).await;
    let tape = live.tape.take()?;
    live.caller.listen_in(!live.forks.is_empty());
    let audio = tape.stop(Instant::now(), record.trimmed);
    if audio.is_empty() {
        report(live, &record, &sid, started, RecordingEvent::Absent, 0);
        return match end {
            End::Interrupted(interrupt) => Some(interrupted(interrupt)),
            End::Silence | End::Longest | End::Key(_) => None,
        };
    }
    let seconds = (audio.len() as u64).div_ceil(RATE);
    live.exchange.event(live.sid, format!("record  {:.1} s", audio.len() as f64 / RATE as f64));
    live.exchange.note(live.sid, |call| {
        if call.recordings.len() < ENTRIES_MAX {
            call.recordings.push(Recording { sid: sid.clone(), audio });
        }
    });
    report(live, &record, &sid, started, RecordingEvent::Completed, seconds);
    let mut keys =
        vec![("RecordingUrl".to_owned(), url(live, &sid)), ("RecordingDuration".to_owned(), seconds.to_string())];
    match end {
        End::Silence | End::Longest => {}
        End::Key(key) => keys.push(("Digits".to_owned(), key.to_string())),
        End::Interrupted(Interrupt::HungUp) => {
            keys.push(("Digits".to_owned(), "hangup".to_owned()));
            return Some(Flow::Gone(Some(Source::Action(action, keys))));
        }
        End::Interrupted(interrupt) => return Some(interrupted(interrupt)),
    }
    Some(Flow::Next(Source::Action(action, keys)))
}

async fn listen(live: &mut Live, record: &Record) -> End {
    let began = Instant::now();
    loop {
        let quiet_since = live.tape.as_ref().map_or(began, Tape::quiet_since);
        let now = Instant::now();
        if now >= began + record.length_max {
            return End::Longest;
        }
        if now >= quiet_since + record.timeout {
            return End::Silence;
        }
        match live.key_within(TICK).await {
            Ok(Some(key)) if record.finish_on.contains(key) => return End::Key(key),
            Ok(_) => {}
            Err(interrupt) => return End::Interrupted(interrupt),
        }
    }
}

fn report(live: &Live, record: &Record, sid: &str, started: Timestamp, event: RecordingEvent, seconds: u64) {
    let Some(webhook) = record.status_callback.as_ref().filter(|_| record.status_events.contains(&event)) else {
        return;
    };
    let Some(webhook) = absolute(live, webhook) else {
        return;
    };
    let mut keys = vec![
        ("RecordingSid", sid.to_owned()),
        ("RecordingStatus", event.as_str().to_owned()),
        ("RecordingSource", "RecordVerb".to_owned()),
        ("RecordingChannels", "1".to_owned()),
        ("RecordingTrack", "inbound".to_owned()),
        ("RecordingStartTime", format_rfc2822(started)),
    ];
    if event == RecordingEvent::Completed {
        keys.push(("RecordingUrl", url(live, sid)));
        keys.push(("RecordingDuration", seconds.to_string()));
    }
    recording_event(&live.exchange, live.sid, webhook, keys);
}

/// Where Twilio would keep it. It cannot be fetched from here.
fn url(live: &Live, sid: &str) -> String {
    format!("https://api.twilio.com/2010-04-01/Accounts/{}/Recordings/{sid}", live.exchange.config.account_sid)
}

fn samples(length: Duration) -> usize {
    usize::try_from(length.as_micros() * u128::from(RATE) / 1_000_000).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_has_words_where_they_fell_and_silence_between() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let spoken = || {
            let mut tape = Tape::new(began);
            tape.hear(at(100), &[1; 800]);
            tape.hear(at(300), &[2; 800]);
            tape
        };
        assert_eq!(spoken().quiet_since(), at(400));
        let trimmed = spoken().stop(at(1_000), true);
        assert_eq!([&trimmed[..800], &trimmed[800..1_600], &trimmed[1_600..]], [&[1; 800], &[SILENCE; 800], &[2; 800]]);
        let whole = spoken().stop(at(1_000), false);
        assert_eq!(
            (whole.len(), whole[0], whole[799], whole[800], whole[7_999]),
            (8_000, SILENCE, SILENCE, 1, SILENCE)
        );
        // What would have been said later is not on it.
        assert_eq!(spoken().stop(at(150), true), [1; 400]);
        assert!(Tape::new(began).stop(at(1_000), false).is_empty());
    }
}
