//! Who is on the phone, and the agents they talk to beside those that come with the project.

use std::time::Duration;

use sim::phone::{Act, CallerScript, Cue};
use sim::speech::utterance;

/// What a caller says, by the recording's name.
///
/// # Panics
/// There is no such recording.
#[must_use]
pub fn say(id: &str) -> Vec<u8> {
    utterance(id).unwrap_or_else(|| panic!("there is no recording {id}")).mulaw()
}

/// Says these, each when it is their turn, and stays on the line.
#[must_use]
pub fn says(ids: &[&str]) -> CallerScript {
    ids.iter().fold(CallerScript::new(), |script, id| script.answers(say(id)))
}

/// Asks for the opening hours and says goodbye: the shortest conversation that has all there is to one.
#[must_use]
pub fn asks_for_the_hours() -> CallerScript {
    says(&["caller-hours", "caller-thanks-bye"])
}

/// Books an appointment.
pub const BOOKING: [&str; 5] =
    ["caller-book", "caller-tuesday", "caller-name-alex", "caller-right", "caller-that-is-all"];

/// Waits until the agent has spoken for so long, and hangs up.
#[must_use]
pub fn hangs_up_into_speech(speaking: Duration) -> CallerScript {
    CallerScript::new().then(Cue::AgentSpeaking(speaking), Act::HangUp)
}

/// Agents for calls that shall be short: no disclosure, no recording, one sentence of greeting.
pub(crate) fn quick_agent(numbers: &str, engines: &str, extra: &str) -> String {
    format!(
        r#"
numbers = [{numbers}]
engines = [{engines}]
greeting = "How can I help you today?"
instructions = "You are the receptionist of a dental clinic. Book appointments."
{extra}

[[tools]]
name = "record_booking"

[[tools]]
name = "hang_up"
"#
    )
}
