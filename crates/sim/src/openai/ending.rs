//! How responses end: completed, cancelled, failed or cut short, always with every closing event.
//!
//! A client may count on all `done` events, whatever ended the response, and on nothing about their order where none is
//! published.

use std::time::{Duration, Instant};

use wire::openai::error::{ErrorCode, ErrorDetail};
use wire::openai::item::{Item, ItemStatus};
use wire::openai::response::{
    InputTokens, Response, ResponseAudio, ResponseAudioOutput, ResponseStatus, StatusDetails, StatusReason, TokenKinds,
    Usage,
};
use wire::openai::server::{
    ArgumentsDone, AudioDelta, ItemEvent, OutputItem, Part, PartRef, ResponseEvent, ServerEvent, TextDone,
    TranscriptDone,
};
use wire::openai::session::{Modality, ServerVad, TurnDetection};

use super::config::OpenAiConfig;
use super::record::note;
use super::response::{PieceKind, Step, millis, plays};
use super::session::{House, Session};
use super::speaking::{TOKENS_A_SECOND, part};
use crate::evi::fault::Mishap;

impl Session {
    /// Sends what completes the open piece. The last event, about the conversation, is left to the caller, because its
    /// order against `response.done` is open.
    pub(crate) fn close_piece(&mut self, config: &OpenAiConfig, status: ItemStatus) -> Option<ItemEvent> {
        let place = self.place()?;
        let piece = self.response.as_mut()?.pieces.last_mut().filter(|piece| !piece.closed)?;
        piece.closed = true;
        let item = piece.item(status);
        let kind = piece.kind.clone();
        let PartRef { response_id, item_id, output_index, content_index } = place.clone();
        match kind {
            PieceKind::Message { words, written, bytes } => {
                if written {
                    let text = words.clone();
                    let done = TextDone { response_id, item_id: item_id.clone(), output_index, content_index, text };
                    self.send(config, ServerEvent::TextDone(done));
                } else {
                    let transcript = words.clone();
                    let said = TranscriptDone {
                        response_id,
                        item_id: item_id.clone(),
                        output_index,
                        content_index,
                        transcript,
                    };
                    let mut done = [ServerEvent::AudioDone(place.clone()), ServerEvent::TranscriptDone(said)];
                    self.rng.shuffle(&mut done);
                    for event in done {
                        self.send(config, event);
                    }
                }
                let part = part(written, Some(words));
                let done = Part {
                    response_id: place.response_id.clone(),
                    item_id: item_id.clone(),
                    output_index,
                    content_index,
                    part,
                };
                self.send(config, ServerEvent::ContentPartDone(done));
                let format = self.response.as_ref()?.format;
                let audio_ms = (!written).then(|| millis(plays(bytes, format)));
                self.conversation.update(&item_id, item.clone(), audio_ms);
            }
            PieceKind::Call { call_id, name, arguments } => {
                let done =
                    ArgumentsDone { response_id, item_id: item_id.clone(), output_index, call_id, name, arguments };
                self.send(config, ServerEvent::ArgumentsDone(done));
                self.conversation.update(&item_id, item.clone(), None);
            }
        }
        let previous_item_id = self.conversation.before(&place.item_id);
        self.send(
            config,
            ServerEvent::OutputItemDone(OutputItem {
                response_id: place.response_id,
                output_index,
                item: item.clone(),
            }),
        );
        Some(ItemEvent { previous_item_id, item })
    }

    /// Ends the response, with all closing events of what is still open.
    pub(crate) fn finish(
        &mut self,
        house: &mut House<'_>,
        now: Instant,
        status: ResponseStatus,
        reason: Option<StatusReason>,
    ) {
        let config = house.config;
        let piece_status =
            if status == ResponseStatus::Completed { ItemStatus::Completed } else { ItemStatus::Incomplete };
        if !self.response.as_ref().is_some_and(|running| running.created) {
            if let Some(running) = &mut self.response {
                running.created = true;
            }
            let event = self.response_event(ResponseStatus::InProgress, None);
            self.send(config, ServerEvent::ResponseCreated(event));
        }
        let item_done = self.close_piece(config, piece_status);
        let early = self.rng.bool();
        let mut item_done = item_done.map(ServerEvent::ItemDone);
        if let Some(event) = item_done.take_if(|_| early) {
            self.send(config, event);
        }
        let event = self.response_event(status, reason);
        self.send(config, ServerEvent::ResponseDone(event));
        if let Some(event) = item_done {
            self.send(config, event);
        }
        if self.rng.bool() {
            self.send_rate_limits(config);
        }
        note(&mut self.record.responses, status);
        let Some(running) = self.response.take() else { return };
        if let Some(TurnDetection::ServerVad(ServerVad { idle_timeout_ms: Some(ms), .. })) =
            &self.settings.audio.input.turn_detection
        {
            let playing: Duration = running
                .pieces
                .iter()
                .map(|piece| match piece.kind {
                    PieceKind::Message { bytes, written: false, .. } => plays(bytes, running.format),
                    PieceKind::Message { .. } | PieceKind::Call { .. } => Duration::ZERO,
                })
                .sum();
            self.idle_at = Some(now + playing + Duration::from_millis(u64::from(*ms)));
        }
    }

    /// `response.cancel`.
    pub(crate) fn cancel_for_client(
        &mut self,
        house: &mut House<'_>,
        now: Instant,
        id: Option<&str>,
    ) -> Result<(), ErrorDetail> {
        let active =
            self.response.as_ref().is_some_and(|running| running.created && id.is_none_or(|id| id == running.id));
        if !active {
            return Err(ErrorDetail::invalid_request(
                ErrorCode::ResponseCancelNotActive,
                "Cancellation failed: no active response found",
            ));
        }
        self.finish(house, now, ResponseStatus::Cancelled, Some(StatusReason::ClientCancelled));
        Ok(())
    }

    /// The caller speaks: the running response is over.
    pub(crate) fn cancel_for_speech(&mut self, house: &mut House<'_>, now: Instant) {
        let Some(running) = &self.response else { return };
        let late = self.late_audio.take().and_then(|by| {
            let sound = running
                .steps
                .iter()
                .find_map(|step| if let Step::Sound { bytes, .. } = step { Some(bytes.clone()) } else { None })?;
            Some((by, sound, self.place()?))
        });
        if let Some((by, sound, place)) = late {
            self.count(house, &Mishap::LateAudio(by));
            self.scheduled.push((now + by, ServerEvent::AudioDelta(AudioDelta::from_bytes(&place, &sound))));
        }
        self.finish(house, now, ResponseStatus::Cancelled, Some(StatusReason::TurnDetected));
    }

    /// The response as it stands.
    pub(crate) fn response_event(&self, status: ResponseStatus, reason: Option<StatusReason>) -> ResponseEvent {
        let running = self.response.as_ref();
        let failed = status == ResponseStatus::Failed;
        let error = failed
            .then(|| ErrorDetail::invalid_request(ErrorCode::RateLimitExceeded, "rate limit reached; try again later"));
        let ended = status != ResponseStatus::InProgress && status != ResponseStatus::Completed;
        let output = running
            .map(|running| {
                running
                    .pieces
                    .iter()
                    .filter(|_| status != ResponseStatus::InProgress)
                    .map(|piece| {
                        piece.item(if piece.closed && !ended { ItemStatus::Completed } else { ItemStatus::Incomplete })
                    })
                    .collect::<Vec<Item>>()
            })
            .unwrap_or_default();
        let settings = &self.settings;
        let written = running.is_some_and(|running| running.written);
        let sound = ResponseAudioOutput {
            format: running.map(|running| running.format),
            voice: settings.audio.output.voice.clone(),
        };
        let response = Response {
            status,
            status_details: ended.then_some(StatusDetails { kind: Some(status), reason, error }),
            output,
            conversation_id: Some(self.conversation_id.clone()),
            output_modalities: vec![if written { Modality::Text } else { Modality::Audio }],
            max_output_tokens: settings.max_output_tokens,
            audio: Some(ResponseAudio { output: Some(sound) }),
            usage: (status != ResponseStatus::InProgress).then(|| self.usage()),
            metadata: running.and_then(|running| running.metadata.clone()),
            ..Response::begun(running.map_or_else(String::new, |running| running.id.clone()))
        };
        ResponseEvent { response: Box::new(response) }
    }

    fn usage(&self) -> Usage {
        let spoken: u64 = self
            .response
            .iter()
            .flat_map(|running| &running.pieces)
            .map(|piece| match piece.kind {
                PieceKind::Message { bytes, .. } => bytes as u64 * u64::from(TOKENS_A_SECOND) / 8_000,
                PieceKind::Call { .. } => 0,
            })
            .sum();
        let written = 12;
        let (text_tokens, audio_tokens) = (120 + 20 * u64::from(self.responses), millis(self.position()) / 100);
        let input = InputTokens {
            text_tokens,
            audio_tokens,
            cached_tokens_details: Some(TokenKinds::default()),
            ..InputTokens::default()
        };
        Usage {
            total_tokens: text_tokens + audio_tokens + spoken + written,
            input_tokens: text_tokens + audio_tokens,
            output_tokens: spoken + written,
            input_token_details: Some(input),
            output_token_details: Some(TokenKinds { text_tokens: written, audio_tokens: spoken }),
        }
    }
}
