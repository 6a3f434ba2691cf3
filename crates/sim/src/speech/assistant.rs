//! What a simulated engine says: a small booking assistant.
//!
//! A policy, not a model: the state of the dialogue and what was understood give the next sentences and perhaps a tool
//! call. It is deterministic, so a resumed conversation is brought back by letting it hear again what the caller said.
//! Every sentence it can say is recorded. Turn-taking, voices and tool transport belong to the engines.

mod reply;

pub use reply::{Heard, Reply, Speaker, ToolCall};

use super::phrases::{Language, Phrase};
use super::understanding::{Meaning, Place, Slot, meaning};
use serde_json::json;

/// After so many turns in a row that were not understood, the assistant gives up.
const MISHEARD_MAX: u8 = 3;

/// One conversation.
#[derive(Debug, Clone, Default)]
pub struct Assistant {
    role: Role,
    language: Language,
    /// The tools that may be called; `None` allows all.
    tools: Option<Vec<String>>,
    step: Step,
    booking: Booking,
    /// The last question or answer, for "can you repeat that".
    last: Vec<Phrase>,
    misheard: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Role {
    #[default]
    Receptionist,
    Transit,
    Reminder,
    Survey,
}

/// What the assistant waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    /// The first words that matter: a wish, a place, a yes or no, by role.
    #[default]
    Opening,
    Slot,
    Name,
    Confirm,
    /// The answer of `record_booking`.
    Saving,
    AnythingElse,
    /// Whether the other slot is better (reminder).
    Instead,
    /// A number from one to five (survey).
    Happy,
    Recommend,
    Ended,
}

#[derive(Debug, Clone, Default)]
struct Booking {
    slot: Option<Slot>,
    place: Option<Place>,
    name: Option<String>,
}

impl Assistant {
    /// An assistant for the agent of this name, in the language of this tag. Unknown agents are receptionists.
    #[must_use]
    pub fn new(agent: &str, language: &str) -> Self {
        let role = match agent {
            "transit-booking" => Role::Transit,
            "appointment-reminder" => Role::Reminder,
            "survey" => Role::Survey,
            _ => Role::Receptionist,
        };
        Self { role, language: Language::of(language), ..Self::default() }
    }

    /// An assistant that does not know its agent's name, but what the agent says or is told: the role is recognised
    /// by words such as "survey", "ride" or "remind".
    #[must_use]
    pub fn by_instructions(instructions: &str, language: &str) -> Self {
        let instructions = instructions.to_lowercase();
        let agent = [("survey", "survey"), ("remind", "appointment-reminder"), ("ride", "transit-booking")]
            .iter()
            .find(|(word, _)| {
                instructions.split(|letter: char| !letter.is_alphabetic()).any(|said| said.starts_with(word))
            })
            .map_or("receptionist", |(_, agent)| *agent);
        Self::new(agent, language)
    }

    /// Only these tools may be called. Without `record_booking`, a booking counts as made once it is confirmed.
    #[must_use]
    pub fn with_tools(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tools = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Goes on with an earlier conversation, given what was said in it. Nothing is said or done again.
    #[must_use]
    pub fn resumed<'a>(mut self, transcript: impl IntoIterator<Item = (Speaker, &'a str)>) -> Self {
        for (speaker, text) in transcript {
            match speaker {
                Speaker::Agent => {}
                Speaker::Caller => {
                    self.reply(Heard::Said(text));
                    if self.step == Step::Saving {
                        self.tool_result(true);
                    }
                }
            }
        }
        self
    }

    /// The agent's own greeting, for engines whose configuration greets.
    pub fn greet(&mut self) -> Reply {
        match self.role {
            Role::Receptionist => self.say([Phrase::DentalGreeting, Phrase::HowHelp]),
            Role::Transit => self.say([Phrase::RideGreeting, Phrase::Where]),
            Role::Reminder => self.say([Phrase::DentalGreeting, Phrase::Reminder, Phrase::CanYouCome]),
            Role::Survey => self.say([Phrase::SurveyGreeting, Phrase::HaveAMinute]),
        }
    }

    /// The answer to what was heard. Empty once the conversation has ended, and while a tool is awaited.
    pub fn reply(&mut self, heard: Heard<'_>) -> Reply {
        match (self.step, heard) {
            // Whoever is asked to go on says something, whatever was the matter.
            (Step::Ended, Heard::LineGone) => self.end([], "said_goodbye"),
            (Step::Saving, Heard::LineGone) => self.tool_result(true),
            (_, Heard::LineGone) => self.first_then_last([]),
            (Step::Ended | Step::Saving, _) => Reply::default(),
            (_, Heard::Silence) => self.text([Phrase::StillThere]),
            (_, Heard::Unrecognised) => self.misheard(),
            (_, Heard::Said(text)) => self.answer(&meaning(text), text),
        }
    }

    /// What to say when a tool has answered; `done` is false for a tool error.
    pub fn tool_result(&mut self, done: bool) -> Reply {
        if self.step != Step::Saving {
            return Reply::default();
        }
        self.step = Step::AnythingElse;
        match (done, self.booking.slot) {
            (true, Some(Slot::ThursdayThree)) => self.say([Phrase::BookedThursday, Phrase::AnythingElse]),
            (true, Some(Slot::TuesdayTen) | None) => self.say([Phrase::BookedTuesday, Phrase::AnythingElse]),
            (false, _) => self.say([Phrase::NotSaved, Phrase::CallBack, Phrase::AnythingElse]),
        }
    }

    /// Whether goodbye has been said.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.step == Step::Ended
    }

    fn misheard(&mut self) -> Reply {
        self.misheard += 1;
        if self.misheard < MISHEARD_MAX {
            return self.text([Phrase::Again]);
        }
        self.end([Phrase::CannotHear, Phrase::CallLater], "not_understood")
    }

    fn answer(&mut self, meaning: &Meaning, text: &str) -> Reply {
        let understood = self.at_any_time(meaning).unwrap_or_else(|| self.in_turn(meaning, text));
        match understood {
            Some(reply) => {
                self.misheard = 0;
                reply
            }
            None => self.misheard(),
        }
    }

    /// Wishes that are heard wherever the dialogue stands. The outer `None` leaves the turn to the dialogue.
    fn at_any_time(&mut self, meaning: &Meaning) -> Option<Option<Reply>> {
        let reply = if meaning.stop {
            self.end([Phrase::NoMoreCalls], "do_not_call")
        } else if meaning.wrong_number {
            match self.role {
                Role::Reminder | Role::Survey => self.end([Phrase::SorryForTrouble], "wrong_number"),
                Role::Receptionist | Role::Transit => self.end([Phrase::NoProblem], "wrong_number"),
            }
        } else if meaning.machine {
            self.first_then_last([Phrase::Machine])
        } else if meaning.repeat {
            self.first_then_last([])
        } else if meaning.person {
            self.step = Step::AnythingElse;
            self.say([Phrase::CallBack, Phrase::AnythingElse])
        } else if meaning.hours {
            self.first_then_last([Phrase::Hours])
        } else if meaning.cancel {
            self.step = Step::AnythingElse;
            self.say([Phrase::Cancelled, Phrase::AnythingElse])
        } else if meaning.bye {
            self.end_politely()
        } else {
            return None;
        };
        Some(Some(reply))
    }

    /// What the dialogue makes of a turn; `None` if it makes no sense here.
    fn in_turn(&mut self, meaning: &Meaning, text: &str) -> Option<Reply> {
        match (self.step, self.role) {
            (Step::Opening, Role::Receptionist) => Some(self.ask_slot(meaning)),
            (Step::Opening, Role::Transit) => {
                let Some(place) = meaning.place else { return Some(self.say([Phrase::Where])) };
                self.booking.place = Some(place);
                Some(self.ask_slot(meaning))
            }
            (Step::Opening, Role::Reminder) => Some(self.reminded(meaning)),
            (Step::Opening, Role::Survey) if meaning.no || meaning.busy => {
                Some(self.end([Phrase::NoProblem], "said_goodbye"))
            }
            (Step::Opening, Role::Survey) if meaning.yes => {
                self.step = Step::Happy;
                Some(self.say([Phrase::HowHappy]))
            }
            (Step::Opening, Role::Survey) => Some(self.say([Phrase::SurveyGreeting, Phrase::HaveAMinute])),
            (Step::Slot, _) => Some(self.ask_slot(meaning)),
            (Step::Name, _) => self.named(meaning, text),
            (Step::Confirm, _) => self.confirmed(meaning),
            (Step::AnythingElse, _) => Some(self.anything_else(meaning)),
            (Step::Instead, _) => self.moved(meaning),
            (Step::Happy, _) if meaning.rating.is_none() => Some(self.text([Phrase::NumberPlease])),
            (Step::Happy, _) => {
                self.step = Step::Recommend;
                Some(self.say([Phrase::WouldRecommend]))
            }
            (Step::Recommend, _) => (meaning.yes || meaning.no).then(|| self.end([Phrase::ThatHelps], "said_goodbye")),
            (Step::Saving | Step::Ended, _) => Some(Reply::default()),
        }
    }

    fn ask_slot(&mut self, meaning: &Meaning) -> Reply {
        if let Some(slot) = meaning.slot {
            self.booking.slot = Some(slot);
            if self.booking.name.is_some() {
                return self.ask_confirmation();
            }
            self.step = Step::Name;
            return self.say([Phrase::YourName]);
        }
        let asked = self.step == Step::Slot;
        self.step = Step::Slot;
        if meaning.other_time && !asked {
            self.say([Phrase::DayIsFull, Phrase::Slots])
        } else if asked {
            self.say([Phrase::Slots, Phrase::Which])
        } else {
            self.say([Phrase::Slots])
        }
    }

    fn named(&mut self, meaning: &Meaning, text: &str) -> Option<Reply> {
        if meaning.slot.is_some() || meaning.other_time {
            self.booking.slot = None;
            self.step = Step::Opening;
            return Some(self.ask_slot(meaning));
        }
        // Whoever is asked for a name and says a few words has most likely said it.
        let plain = (!meaning.yes && !meaning.no && text.split_whitespace().count() <= 3)
            .then(|| text.trim().trim_end_matches('.').to_owned())
            .filter(|name| !name.is_empty());
        self.booking.name = Some(meaning.name.clone().or(plain)?);
        Some(self.ask_confirmation())
    }

    fn ask_confirmation(&mut self) -> Reply {
        self.step = Step::Confirm;
        let when = match self.booking.slot {
            Some(Slot::ThursdayThree) => Phrase::SoThursday,
            Some(Slot::TuesdayTen) | None => Phrase::SoTuesday,
        };
        match self.booking.place {
            None => self.say([when, Phrase::IsThatRight]),
            Some(Place::Clinic) => self.say([Phrase::ToClinic, when, Phrase::IsThatRight]),
            Some(Place::Station) => self.say([Phrase::ToStation, when, Phrase::IsThatRight]),
        }
    }

    fn confirmed(&mut self, meaning: &Meaning) -> Option<Reply> {
        if meaning.no || meaning.other_time || (meaning.slot.is_some() && meaning.slot != self.booking.slot) {
            self.booking.slot = None;
            self.step = Step::Opening;
            return Some(self.ask_slot(meaning));
        }
        (meaning.yes || meaning.slot.is_some()).then(|| self.save())
    }

    /// The appointment that the caller is reminded of: kept, moved, or unclear.
    fn reminded(&mut self, meaning: &Meaning) -> Reply {
        if meaning.slot == Some(Slot::ThursdayThree) {
            self.booking.slot = meaning.slot;
            return self.save();
        }
        if meaning.no || meaning.other_time || meaning.busy {
            self.step = Step::Instead;
            return self.say([Phrase::Instead]);
        }
        if meaning.yes || meaning.slot.is_some() {
            return self.end([Phrase::SeeYou], "said_goodbye");
        }
        self.say([Phrase::Reminder, Phrase::CanYouCome])
    }

    fn moved(&mut self, meaning: &Meaning) -> Option<Reply> {
        if meaning.no || meaning.other_time {
            self.step = Step::AnythingElse;
            return Some(self.say([Phrase::Cancelled, Phrase::AnythingElse]));
        }
        (meaning.yes || meaning.slot.is_some()).then(|| {
            self.booking.slot = Some(Slot::ThursdayThree);
            self.save()
        })
    }

    fn anything_else(&mut self, meaning: &Meaning) -> Reply {
        if meaning.no {
            return self.end_politely();
        }
        if meaning.slot.is_some() || meaning.other_time {
            return self.ask_slot(meaning);
        }
        self.say([Phrase::HowHelp])
    }

    fn save(&mut self) -> Reply {
        self.step = Step::Saving;
        if !self.may_call("record_booking") {
            return self.tool_result(true);
        }
        let (day, time) = match self.booking.slot {
            Some(Slot::ThursdayThree) => ("Thursday", "15:00"),
            Some(Slot::TuesdayTen) | None => ("Tuesday", "10:00"),
        };
        let service = match self.booking.place {
            None => "appointment",
            Some(Place::Clinic) => "ride to the clinic",
            Some(Place::Station) => "ride to the train station",
        };
        let arguments = json!({ "name": self.booking.name, "what": service, "when": format!("{day} {time}") });
        Reply { sentences: Vec::new(), tool: Some(ToolCall { name: "record_booking", arguments }) }
    }

    fn end_politely(&mut self) -> Reply {
        match (self.role, self.language) {
            // These goodbyes say thanks themselves.
            (_, Language::Spanish | Language::German) | (Role::Reminder | Role::Survey, Language::English) => {
                self.end([], "said_goodbye")
            }
            (Role::Receptionist | Role::Transit, Language::English) => {
                self.end([Phrase::ThanksForCalling], "said_goodbye")
            }
        }
    }

    fn end<const N: usize>(&mut self, last_words: [Phrase; N], reason: &str) -> Reply {
        self.step = Step::Ended;
        let mut reply = self.text(last_words);
        reply.sentences.push(Phrase::Goodbye.text(self.language));
        if self.may_call("hang_up") {
            reply.tool = Some(ToolCall { name: "hang_up", arguments: json!({ "reason": reason }) });
        }
        reply
    }

    /// Says something that goes on with the dialogue, and remembers it.
    fn say<const N: usize>(&mut self, phrases: [Phrase; N]) -> Reply {
        self.last = phrases.to_vec();
        self.text(phrases)
    }

    /// Says something, then what was said last.
    fn first_then_last<const N: usize>(&mut self, phrases: [Phrase; N]) -> Reply {
        if self.last.is_empty() {
            self.last = self.opening_question().to_vec();
        }
        let mut reply = self.text(phrases);
        reply.sentences.extend(self.last.iter().map(|phrase| phrase.text(self.language)));
        reply
    }

    /// What the greeting asked, if somebody else spoke it.
    fn opening_question(&self) -> &'static [Phrase] {
        match self.role {
            Role::Receptionist => &[Phrase::HowHelp],
            Role::Transit => &[Phrase::Where],
            Role::Reminder => &[Phrase::Reminder, Phrase::CanYouCome],
            Role::Survey => &[Phrase::HaveAMinute],
        }
    }

    fn text<const N: usize>(&self, phrases: [Phrase; N]) -> Reply {
        Reply { sentences: phrases.iter().map(|phrase| phrase.text(self.language)).collect(), tool: None }
    }

    fn may_call(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.iter().any(|name| name == tool))
    }
}

#[cfg(test)]
mod tests;
