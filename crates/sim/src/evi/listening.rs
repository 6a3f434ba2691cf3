//! How a chat listens: audio into turns, turns into messages, and speech over speech into interruptions.
//!
//! Times are positions in the audio received. An utterance becomes a `user_message` when enough silence has arrived after
//! it, and counts as an interruption as soon as it has lasted long enough while a turn is being sent. (Hume: "Turn
//! detection", "Interruption")

use std::time::{Duration, Instant};

use wire::hume::error::ErrorCode;
use wire::hume::rest::{ChatStatus, EventKind};
use wire::hume::scores::{EMOTIONS, Scores};

use super::config::EviConfig;
use super::fault::Moment;
use super::input::Unusable;
use super::mind::Noticed;
use super::record::note;
use super::session::{House, Prompt, Session, ms};

/// Interim transcripts are at least this far apart.
const INTERIM_GAP: Duration = Duration::from_millis(200);

impl Session {
    /// Takes the caller's audio.
    pub(crate) fn hear(&mut self, house: &mut House<'_>, now: Instant, bytes: &[u8]) {
        self.record.hear(bytes, house.config.keep_audio);
        let samples = match self.input.take(bytes) {
            Ok(samples) => samples,
            Err(Unusable::File) => {
                return self.report(house.config, ErrorCode::WholeFile, "audio must be streamed in small pieces");
            }
            Err(unusable) => {
                let why = match unusable {
                    Unusable::NoSettings => "the audio has no container and no settings were given",
                    Unusable::Implausible => "the audio settings are not those of speech",
                    Unusable::MuLaw | Unusable::File => "the audio is not linear16; check its encoding",
                };
                self.report(house.config, ErrorCode::TranscriptionFailure, why);
                return self.close(house, now, 1000, ErrorCode::TranscriptionFailure.code(), ChatStatus::Error);
            }
        };
        let noticed = self.ear.hear(&samples);
        self.note_heard(house, now);
        for noticed in noticed {
            let Noticed::Turn(heard) = noticed else { continue };
            self.interrupted = false;
            self.interim = None;
            if !self.closed {
                self.understood(house, now, heard.begin, heard.end, heard.text, false);
            }
        }
        if self.closed {
            return;
        }
        let position = self.input.position();
        let Some(since) = self.ear.speaking_since() else {
            self.interrupted = false;
            return;
        };
        if self.verbose {
            self.say_interim(house.config, since, position);
        }
        let talking = self.turn.as_ref().is_some_and(|turn| turn.tool.is_none());
        let spoken = self.ear.speaking_for().unwrap_or_default();
        if talking && !self.interrupted && spoken >= house.config.min_interruption {
            self.interrupted = true;
            self.interrupt(house, now, position);
        }
    }

    /// The caller's words, or text in their place.
    pub(crate) fn understood(
        &mut self,
        house: &mut House<'_>,
        now: Instant,
        begin: Duration,
        end: Duration,
        text: String,
        from_text: bool,
    ) {
        let scores = (!from_text).then(|| self.scores());
        self.announce_user(house.config, &text, begin, end, scores.as_ref(), from_text, false);
        let json = scores.and_then(|scores| serde_json::to_string(&scores).ok());
        let metadata =
            serde_json::json!({"segments": [{"content": text, "time": {"begin_ms": ms(begin), "end_ms": ms(end)}}]});
        let mut entry = self.entry(house, now, EventKind::UserMessage);
        (entry.text, entry.scores, entry.metadata) = (Some(text.clone()), json, Some(metadata.to_string()));
        house.history.add(&self.record.chat_id, entry);
        if !from_text {
            note(&mut self.record.heard, text.clone());
            self.caller_turns += 1;
        }
        (self.last_user, self.grace) = (now, None);
        if !from_text {
            self.reached(
                house,
                now,
                |moment, session| matches!(moment, Moment::CallerTurn(nth) if *nth == session.caller_turns),
            );
        }
        if self.paused {
            self.unanswered = Some(text);
        } else {
            self.prompt(house, now, Prompt::Said(text));
        }
    }

    fn say_interim(&mut self, config: &EviConfig, since: Duration, position: Duration) {
        let Some(text) = self.ear.so_far() else { return };
        let due =
            self.interim.as_ref().is_none_or(|(last, at)| *last != text && position.saturating_sub(*at) >= INTERIM_GAP);
        if due {
            self.announce_user(config, &text, since, position, None, false, true);
            self.interim = Some((text, position));
        }
    }

    /// Scores of a calm and interested voice, a little different each time.
    pub(crate) fn scores(&mut self) -> Scores {
        let mut score = |name: &&'static str| {
            let most = if matches!(*name, "Calmness" | "Interest" | "Concentration") { 0.4 } else { 0.1 };
            (*name, (self.rng.f64() * most * 10_000.0).round() / 10_000.0)
        };
        EMOTIONS.iter().map(&mut score).collect()
    }
}
