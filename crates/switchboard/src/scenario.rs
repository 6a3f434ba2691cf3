//! Who is on the phone when Twilio is simulated: people who speak with recorded voices, and react to what they hear.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sim::phone::{Act, CallerScript, Cue};
use sim::speech::bank::utterance;
use sim::twilio::{Callee, Pickup};

/// How long somebody's phone rings before they take it.
const RINGS: Duration = Duration::from_millis(900);

/// How somebody behaves on the phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Books an appointment, and cuts in once to change the day.
    #[default]
    Interrupting,
    /// Books an appointment without any fuss.
    Booking,
    /// Asks whether it is a person, and for the opening hours.
    Curious,
    /// Has the wrong number.
    WrongNumber,
    /// Hangs up in the middle of the agent's second sentence.
    HangsUp,
    /// Takes the call and says nothing.
    Silent,
    /// Is on the phone already.
    Busy,
    /// Does not take the call.
    NoAnswer,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Interrupting,
        Self::Booking,
        Self::Curious,
        Self::WrongNumber,
        Self::HangsUp,
        Self::Silent,
        Self::Busy,
        Self::NoAnswer,
    ];

    /// Somebody who is called.
    #[must_use]
    pub fn callee(self) -> Callee {
        match self {
            Self::Busy => Callee::other(Duration::from_millis(300), Pickup::Busy),
            Self::NoAnswer => Callee::other(RINGS, Pickup::NeverAnswers),
            Self::Interrupting | Self::Booking | Self::Curious | Self::WrongNumber | Self::HangsUp | Self::Silent => {
                Callee::answers(RINGS, self.script())
            }
        }
    }

    /// What they say and do, once they are on the line.
    #[must_use]
    pub fn script(self) -> CallerScript {
        let caller = CallerScript::new();
        match self {
            Self::Interrupting => caller
                .answers(say("caller-book"))
                .answers(say("caller-tuesday"))
                .answers(say("caller-name-alex"))
                // The agent repeats day and time: before it is through, they think better of it.
                .then(answered(Duration::from_millis(400)), Act::Say(say("caller-not-tuesday")))
                .answers(say("caller-thursday"))
                .answers(say("caller-right"))
                .answers(say("caller-thanks-bye"))
                .hangs_up_after_goodbye(),
            Self::Booking => caller
                .answers(say("caller-book"))
                .answers(say("caller-tuesday"))
                .answers(say("caller-name-jamie"))
                .answers(say("caller-right"))
                .answers(say("caller-thanks-bye"))
                .hangs_up_after_goodbye(),
            Self::Curious => caller
                .answers(say("caller-robot"))
                .answers(say("caller-hours"))
                .answers(say("caller-thanks-bye"))
                .hangs_up_after_goodbye(),
            Self::WrongNumber => caller.answers(say("caller-wrong-number")).hangs_up_after_goodbye(),
            Self::HangsUp => caller.answers(say("caller-book")).then(answered(Duration::from_millis(900)), Act::HangUp),
            Self::Silent | Self::Busy | Self::NoAnswer => caller,
        }
    }
}

/// The agent has been speaking this long.
const fn answered(speaking: Duration) -> Cue {
    Cue::AgentSpeaking(speaking)
}

fn say(id: &str) -> Vec<u8> {
    utterance(id).expect("invariant: a test looks up every sentence of every scenario").mulaw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_is_recorded_and_everybody_hangs_up_in_the_end() {
        for scenario in Scenario::ALL {
            let steps = scenario.script().steps;
            let hangs_up = steps.last().is_some_and(|step| step.act == Act::HangUp);
            let speechless = matches!(scenario, Scenario::Silent | Scenario::Busy | Scenario::NoAnswer);
            assert_eq!(hangs_up, !speechless, "{scenario:?}");
        }
    }

    #[test]
    fn the_default_is_a_booking_with_one_interruption() {
        let steps = Scenario::default().script().steps;
        assert_eq!(steps.iter().filter(|step| matches!(step.cue, Cue::AgentSpeaking(_))).count(), 1);
        assert!(steps.len() > 6);
    }
}
