//! What is said on the wires in whole calls, in virtual time, as lines for the judges.
//!
//! A story is a call, or a conversation with a simulated engine alone, that brings some of the messages there are. A judge
//! checks that all stories together bring all of them, so that nothing goes unjudged because it never happened.

mod calls;
mod hume;
mod openai;

use call::agent::EngineKind;
use serde::Serialize;
use sim::world::{Overheard, Wire, World};

pub use hume::hume;
pub use openai::openai;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The story it is from.
    pub story: String,
    /// `from_phone`, `to_phone`, `handshake`, `to_engine`, `from_engine`.
    pub wire: &'static str,
    /// The message itself.
    pub text: String,
    /// Keys that no schema lists and this story's switches add.
    pub excused_keys: Vec<&'static str>,
    /// Types that no schema lists and this story's switches add.
    pub excused_types: Vec<&'static str>,
}

/// What the switches of a story add that no schema lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Excused {
    keys: Vec<&'static str>,
    types: Vec<&'static str>,
}

impl Excused {
    fn nothing() -> Self {
        Self::default()
    }

    fn line(&self, story: &str, wire: &'static str, text: String) -> Line {
        Line { story: story.to_owned(), wire, text, excused_keys: self.keys.clone(), excused_types: self.types.clone() }
    }
}

/// What phone and call say to each other while a caller talks over the agent, with either engine.
#[must_use]
pub fn phone() -> Vec<Line> {
    let call = |engine| {
        lines_of("talking over the agent", &Excused::nothing(), calls::run(calls::config(engine, calls::impatient())))
    };
    let lines = [EngineKind::Hume, EngineKind::OpenAi].into_iter().flat_map(call);
    lines.filter(|line| matches!(line.wire, "from_phone" | "to_phone")).collect()
}

/// A call's messages.
fn lines_of(story: &str, excused: &Excused, world: World) -> Vec<Line> {
    let name = |wire| match wire {
        Wire::FromPhone => "from_phone",
        Wire::ToPhone => "to_phone",
        Wire::Handshake(_) => "handshake",
        Wire::ToEngine(_) => "to_engine",
        Wire::FromEngine(_) => "from_engine",
    };
    let line = |Overheard { wire, text }: Overheard| excused.line(story, name(wire), text);
    world.overheard.into_iter().map(line).collect()
}
