//! What a world begins with, and what befalls its node.

use std::time::Duration;

use call::Setup;

use super::planted::Bug;
use super::vendors::Cascade;
use crate::evi::Evi;
use crate::openai::OpenAi;
use crate::phone::{CallerScript, DelaySettings, PhoneConfig};

/// Something the node suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    /// It is gone from one moment to the next.
    Dies,
    /// Not the node: the phone's socket breaks without a word.
    PhoneBreaks,
    /// It is told to hand its calls over within this time.
    Drains(Duration),
    /// An operator asks for something.
    Commanded(Order),
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the call.
    HangUp,
    /// Connect the caller with somebody else.
    Transfer,
    /// Have the agent say something.
    Say,
}

/// What is not as it should be all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rough {
    /// The chance, 0 to 1, that a mark of Twilio's never comes back.
    pub marks_lost: f64,
    /// How long the store takes for the journal beyond what it usually takes: a node that dies takes as much with it.
    pub store_lag: Duration,
}

/// Everything that a world begins with.
pub struct WorldConfig {
    /// The call.
    pub setup: Setup,
    /// The phone of the first stream; later ones are like it.
    pub phone: PhoneConfig,
    /// The person on the phone.
    pub caller: CallerScript,
    /// The account at Hume.
    pub evi: Evi,
    /// The account at OpenAI.
    pub openai: OpenAi,
    /// The accounts at the vendors of the cascade.
    pub cascade: Cascade,
    /// From the phone to the node, and back.
    pub phone_ways: (DelaySettings, DelaySettings),
    /// From the node to an engine, and back.
    pub engine_ways: (DelaySettings, DelaySettings),
    /// From `prepare` to the start of the stream.
    pub ringing: Duration,
    /// What the node suffers, and when after the start of the world.
    pub node: Vec<(Duration, NodeEvent)>,
    /// What is wrong all the time.
    pub rough: Rough,
    /// A bug planted between the call and the world, to prove that it would be found.
    pub bug: Option<Bug>,
    /// When the world ends in any case.
    pub at_most: Duration,
    /// Feeds all chance that is not in the models.
    pub seed: u64,
}
