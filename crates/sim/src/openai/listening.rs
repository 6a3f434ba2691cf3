//! How a session listens: audio into turns, turns into messages of the caller, and speech over speech into cancellation.
//!
//! Times are positions in all audio ever appended. With turn detection the server commits by itself; without it the
//! client does, and nothing is announced. (`OpenAI`: "Voice activity detection")

use std::time::{Duration, Instant};

use wire::openai::error::{ErrorCode, ErrorDetail};
use wire::openai::item::{ContentKind, ContentPart, Item, ItemStatus, Message, Role};
use wire::openai::server::{
    Committed, ServerEvent, SpeechStarted, SpeechStopped, TranscriptionCompleted, TranscriptionDelta,
    TranscriptionFailed, TranscriptionUsage,
};
use wire::openai::session::{AudioFormat, Eagerness, ServerVad, TurnDetection};

use super::config::OpenAiConfig;
use super::conversation::about;
use super::record::note;
use super::response::millis;
use super::session::{House, Session, name};
use crate::evi::fault::Moment;
use crate::evi::mind::{Noticed, Understood};

impl Session {
    /// How much silence ends a turn.
    pub(crate) fn silence(&self, config: &OpenAiConfig) -> Duration {
        match &self.settings.audio.input.turn_detection {
            Some(TurnDetection::ServerVad(ServerVad { silence_duration_ms: Some(ms), .. })) => {
                Duration::from_millis(u64::from(*ms))
            }
            // How semantic turn detection decides is not published; only how long it waits at most.
            Some(TurnDetection::SemanticVad(semantic)) => match semantic.eagerness {
                Some(Eagerness::Low) => Duration::from_millis(1_500),
                Some(Eagerness::Medium | Eagerness::Auto) | None => Duration::from_millis(800),
                Some(Eagerness::High) => Duration::from_millis(400),
            },
            Some(TurnDetection::ServerVad(_)) | None => config.silence_default,
        }
    }

    /// `input_audio_buffer.append`.
    pub(crate) fn append(&mut self, house: &mut House<'_>, now: Instant, bytes: &[u8]) -> Result<(), ErrorDetail> {
        if bytes.len() > wire::openai::MAX_APPEND_BYTES {
            return Err(about("audio", "the audio is longer than 15 MiB"));
        }
        self.record.hear(bytes, house.config.keep_audio);
        self.uncommitted += bytes.len();
        let noticed = match self.settings.audio.input.format {
            Some(AudioFormat::Pcmu | AudioFormat::Pcma) => self.ear.hear(&call::audio::mulaw::decoded(bytes)),
            Some(AudioFormat::Pcm { .. }) | None => {
                let samples = self
                    .pcm
                    .take(bytes)
                    .map_err(|_| about("audio", "the audio is not what the session's input format says"))?;
                self.ear.hear(&samples)
            }
        };
        let position = self.ear.position();
        self.reached(house, now, |moment, _| matches!(moment, Moment::Heard(after) if *after <= position));
        for noticed in noticed {
            if self.closed {
                break;
            }
            match noticed {
                Noticed::Speech(at) => self.speech_started(house, now, at),
                Noticed::Turn(turn) => self.speech_stopped(house, now, turn),
            }
        }
        Ok(())
    }

    fn speech_started(&mut self, house: &mut House<'_>, now: Instant, at: Duration) {
        let (prefix, interrupts) = match &self.settings.audio.input.turn_detection {
            None => return,
            Some(TurnDetection::ServerVad(vad)) => {
                (vad.prefix_padding_ms.unwrap_or(300), vad.interrupt_response.unwrap_or(true))
            }
            Some(TurnDetection::SemanticVad(vad)) => (300, vad.interrupt_response.unwrap_or(true)),
        };
        let item_id = name(&mut self.rng, "item");
        self.speech_item = Some(item_id.clone());
        self.idle_at = None;
        let audio_start_ms = millis(at).saturating_sub(u64::from(prefix));
        self.send(house.config, ServerEvent::SpeechStarted(SpeechStarted { audio_start_ms, item_id }));
        if interrupts {
            self.cancel_for_speech(house, now);
        }
    }

    fn speech_stopped(&mut self, house: &mut House<'_>, now: Instant, turn: Understood) {
        let creates = match &self.settings.audio.input.turn_detection {
            // The client decides what becomes of it.
            None => return note(&mut self.turns, turn),
            Some(TurnDetection::ServerVad(vad)) => vad.create_response.unwrap_or(true),
            Some(TurnDetection::SemanticVad(vad)) => vad.create_response.unwrap_or(true),
        };
        let item_id = self.speech_item.take().unwrap_or_else(|| name(&mut self.rng, "item"));
        let audio_end_ms = millis(self.ear.position());
        self.send(house.config, ServerEvent::SpeechStopped(SpeechStopped { audio_end_ms, item_id: item_id.clone() }));
        let seconds = turn.end.saturating_sub(turn.begin).as_secs_f64();
        self.commit(house.config, now, &item_id, Some(turn.text), seconds);
        self.caller_turns += 1;
        self.reached(
            house,
            now,
            |moment, session| matches!(moment, Moment::CallerTurn(nth) if *nth == session.caller_turns),
        );
        if creates && !self.closed {
            self.respond_to_caller(house, now);
        }
    }

    /// `input_audio_buffer.commit`.
    pub(crate) fn commit_by_client(&mut self, house: &mut House<'_>, now: Instant) -> Result<(), ErrorDetail> {
        if self.uncommitted == 0 {
            return Err(ErrorDetail::invalid_request(
                ErrorCode::CommitEmpty,
                "error committing input audio buffer: the buffer is empty",
            ));
        }
        let mut turns = std::mem::take(&mut self.turns);
        turns.extend(self.ear.finish());
        let item_id = self.speech_item.take().unwrap_or_else(|| name(&mut self.rng, "item"));
        let seconds = turns.iter().map(|turn| turn.end.saturating_sub(turn.begin).as_secs_f64()).sum();
        let text = turns.into_iter().map(|turn| turn.text).collect::<Vec<_>>().join(" ");
        self.commit(house.config, now, &item_id, (!text.is_empty()).then_some(text), seconds);
        self.caller_turns += 1;
        self.reached(
            house,
            now,
            |moment, session| matches!(moment, Moment::CallerTurn(nth) if *nth == session.caller_turns),
        );
        Ok(())
    }

    /// What was appended becomes a message of the caller.
    pub(crate) fn commit(
        &mut self,
        config: &OpenAiConfig,
        now: Instant,
        item_id: &str,
        text: Option<String>,
        seconds: f64,
    ) {
        self.uncommitted = 0;
        let previous_item_id = self.conversation.last_id();
        self.send(config, ServerEvent::Committed(Committed { item_id: item_id.to_owned(), previous_item_id }));
        let item = Item::Message(Message {
            id: Some(item_id.to_owned()),
            object: Some("realtime.item".to_owned()),
            status: Some(ItemStatus::Completed),
            role: Role::User,
            content: vec![ContentPart::audio(ContentKind::InputAudio, None)],
        });
        self.conversation.append(item_id, item.clone());
        self.announce_item(config, item_id, &item);
        if let Some(text) = &text {
            note(&mut self.record.heard, text.clone());
            self.unanswered = Some(text.clone());
        }
        if self.settings.audio.input.transcription.is_some() {
            self.schedule_transcription(config, now, item_id, text.unwrap_or_default(), seconds);
        }
    }

    /// The transcript comes in its own time: before, within or after the answer.
    fn schedule_transcription(
        &mut self,
        config: &OpenAiConfig,
        now: Instant,
        item_id: &str,
        transcript: String,
        seconds: f64,
    ) {
        let (least, most) =
            (config.transcription_delay.start, config.transcription_delay.end.max(config.transcription_delay.start));
        let at = now + least + (most - least).mul_f64(self.rng.f64());
        let (item_id, content_index) = (item_id.to_owned(), 0);
        if self.rng.f64() < config.transcription_failures {
            let error = ErrorDetail {
                kind: "transcription_error".to_owned(),
                code: Some("audio_unintelligible".to_owned()),
                message: "the audio could not be transcribed".to_owned(),
                ..ErrorDetail::default()
            };
            let failed = TranscriptionFailed { item_id, content_index, error };
            return self.scheduled.push((at, ServerEvent::TranscriptionFailed(failed)));
        }
        for delta in transcript.split_inclusive(' ') {
            let event = TranscriptionDelta { item_id: item_id.clone(), content_index, delta: delta.to_owned() };
            self.scheduled.push((at, ServerEvent::TranscriptionDelta(event)));
        }
        let usage = Some(TranscriptionUsage::Duration { seconds });
        let completed = TranscriptionCompleted { item_id, content_index, transcript, usage };
        self.scheduled.push((at, ServerEvent::TranscriptionCompleted(completed)));
    }
}
