//! What must be true after every single step of a call, and not only at its end.
//!
//! A step is one input and all that the machine asks for in answer to it. The watch sees each output as it is performed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use call::journal::Kind;
use call::{LinkId, Output};
use wire::twilio::stream::Outbound;

/// One frame.
const FRAME: Duration = Duration::from_millis(20);

/// How far the frames on their way may be ahead of the ear beyond the lead: the frame that is being played, and a clock
/// that was read between two frames.
const LEAD_SLACK: Duration = Duration::from_millis(40);

/// Outputs of one step; the most is an opening of sixty seconds that is sent at once after a stall, and its recording.
const OUTPUTS_MAX: u32 = 20_000;

/// Connections at a time: two engines side by side, each with three links and answers that come to their end.
const LINKS_MAX: usize = 16;

pub(super) struct Watch {
    lead: Duration,
    /// When the last frame that was sent has been played, if nothing delays it.
    plays_until: Option<Instant>,
    closed: bool,
    stepped: bool,
    finished: bool,
    links: BTreeMap<LinkId, bool>,
    outputs: u32,
    cleared: bool,
    /// A turn that was cut off in this step with something of it unheard.
    cut: Option<u32>,
}

impl Watch {
    pub(super) fn new(lead: Duration) -> Self {
        Self {
            lead,
            plays_until: None,
            closed: false,
            stepped: false,
            finished: false,
            links: BTreeMap::new(),
            outputs: 0,
            cleared: false,
            cut: None,
        }
    }

    /// An output is about to be performed: what is wrong with it.
    pub(super) fn sees(&mut self, now: Instant, output: &Output) -> Option<String> {
        self.outputs += 1;
        if self.finished {
            return Some("something was asked for after the end".to_owned());
        }
        match output {
            Output::Phone(_) | Output::ClosePhone if self.closed => {
                Some("the phone was told something after its close".to_owned())
            }
            Output::Phone(Outbound::Media { .. }) => self.frame(now),
            Output::Phone(Outbound::Clear) => {
                self.cleared = true;
                self.plays_until = None;
                None
            }
            Output::Phone(Outbound::Mark { .. }) => None,
            Output::ClosePhone => {
                self.closed = true;
                None
            }
            Output::NextStep(step) if std::mem::replace(&mut self.stepped, true) => {
                Some(format!("a second next step: {step:?}"))
            }
            Output::Open { link, .. } => {
                let known = self.links.insert(*link, true).is_some();
                let open = self.links.values().filter(|open| **open).count();
                if known {
                    Some(format!("link {link:?} was opened twice"))
                } else {
                    (open > LINKS_MAX).then(|| format!("{open} links are open at once"))
                }
            }
            Output::Send { link, .. } | Output::SendBinary { link, .. } if self.links.get(link) != Some(&true) => {
                Some(format!("something was sent on {link:?}, which is not open"))
            }
            Output::Close { link } if self.links.insert(*link, false) != Some(true) => {
                Some(format!("link {link:?} was closed and not open"))
            }
            Output::Journal(entry) => {
                // What was not begun yet can be dropped before the phone has it.
                let plays_on = self.plays_until.is_some_and(|until| until > now + FRAME);
                if let Kind::Interrupted { n, heard_ms: 1.., dropped_ms: 1.. } = entry.kind
                    && plays_on
                {
                    self.cut = Some(n);
                }
                None
            }
            Output::Finished => {
                self.finished = true;
                None
            }
            Output::NextStep(_)
            | Output::Send { .. }
            | Output::SendBinary { .. }
            | Output::Close { .. }
            | Output::Tool(_)
            | Output::Record(_)
            | Output::Wait(_) => None,
        }
    }

    fn frame(&mut self, now: Instant) -> Option<String> {
        let until = self.plays_until.map_or(now, |until| until.max(now)) + FRAME;
        self.plays_until = Some(until);
        let ahead = until - now;
        (ahead > self.lead + LEAD_SLACK).then(|| format!("{ahead:?} of audio are on their way to the phone at once"))
    }

    /// The step is over: what was missing in it.
    pub(super) fn step_over(&mut self) -> Option<String> {
        let outputs = std::mem::take(&mut self.outputs);
        let cleared = std::mem::take(&mut self.cleared);
        match self.cut.take() {
            // Where the line is closed nothing is played on.
            Some(n) if !cleared && !self.closed => Some(format!("turn {n} was cut off, and the phone plays on")),
            _ => (outputs > OUTPUTS_MAX).then(|| format!("{outputs} outputs in answer to one input")),
        }
    }
}
