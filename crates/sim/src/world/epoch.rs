//! From one stream of a call to the next: Twilio's and the control plane's part.

use std::time::Duration;

use call::journal::NextStep;
use call::resume::Conversation;
use call::{Call, Setup};

use super::planted::Planted;
use super::tape::Tape;
use super::watch::Watch;
use super::{Stream, World};
use crate::phone::{DelayLine, Phone};

/// From the end of a stream to Twilio's request for the next step having been answered.
const NEXT_STEP_TAKES: Duration = Duration::from_millis(300);

/// From the TwiML to the stream's start.
const STREAM_TAKES: Duration = Duration::from_millis(400);

/// Epochs after which the control plane gives up; more would need a call longer than any here.
const EPOCHS_MAX: u32 = 10;

impl World {
    /// Twilio sees the stream end, and asks what is next.
    pub(super) fn stream_over(&mut self, by_death: bool) {
        if let Some(stream) = self.streams.last_mut() {
            if by_death {
                stream.phone.server_closed(self.now, None);
                stream.ended.get_or_insert(self.now);
            }
            stream.finished.get_or_insert(self.now);
        }
        self.next_epoch_at = Some(self.now + NEXT_STEP_TAKES);
    }

    pub(super) fn next_step(&mut self) {
        match self.step.take() {
            Some(NextStep::Continue) | None if self.setup.epoch < EPOCHS_MAX => {
                let conversation = Conversation::read(&self.journal);
                self.setup = Setup {
                    epoch: self.setup.epoch + 1,
                    offset_ms: conversation.offset_ms(self.wall_ms(self.now + STREAM_TAKES)),
                    greeted: conversation.greeted,
                    disclosed: conversation.disclosed,
                    history: conversation.history,
                    chat: conversation.chat,
                    ..self.setup.clone()
                };
                self.stream_at = Some(self.now + STREAM_TAKES);
                self.note("twilio", &format!("epoch {}", self.setup.epoch));
                self.begin_epoch();
            }
            step => {
                self.ended_with = step;
                self.over = true;
            }
        }
    }

    pub(super) fn begin_epoch(&mut self) {
        self.phone_closed = false;
        let (up, down) = self.phone_ways.clone();
        self.streams.push(Stream {
            phone: Phone::new(self.phone_config.clone(), self.rng.u64(..)),
            started: None,
            finished: None,
            ended: None,
            up: DelayLine::new(up, self.rng.u64(..)),
            down: DelayLine::new(down, self.rng.u64(..)),
        });
        let seed = self.rng.u64(..);
        let wall_ms = self.wall_ms(self.now);
        let call = Call::new(self.now, wall_ms, self.setup.clone(), seed);
        self.watch = Watch::new(self.setup.script.lead);
        let tape = self.keeps.tape.then(|| (self.now, Tape::begin(self.setup.clone(), wall_ms, seed)));
        self.call = Some(Planted::new(call, self.bug, tape));
        self.tell(|_| {});
    }
}
