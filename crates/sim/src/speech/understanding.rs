//! What a caller means, by the words that matter. Works on recognised and on typed text alike.

use super::bank::normalised;

/// What was found in one turn; several may be true at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) slot: Option<Slot>,
    /// A day or a time that is not offered, or one that is turned down.
    pub(super) other_time: bool,
    pub(super) place: Option<Place>,
    pub(super) rating: Option<u8>,
    pub(super) name: Option<String>,
    pub(super) yes: bool,
    pub(super) no: bool,
    pub(super) cancel: bool,
    pub(super) hours: bool,
    pub(super) repeat: bool,
    pub(super) person: bool,
    pub(super) machine: bool,
    pub(super) wrong_number: bool,
    pub(super) stop: bool,
    pub(super) busy: bool,
    pub(super) bye: bool,
}

/// The two appointments there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    TuesdayTen,
    ThursdayThree,
}

/// Where a ride can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Clinic,
    Station,
}

/// Reads a turn.
pub(super) fn meaning(text: &str) -> Meaning {
    let text = format!(" {} ", normalised(text));
    let says = |words: &[&str]| words.iter().any(|word| text.contains(&format!(" {word} ")));
    let tuesday = says(&["tuesday", "martes", "dienstag", "morning"]) && !says(&["good morning"]);
    let thursday = says(&["thursday", "jueves", "donnerstag", "afternoon"]);
    let refused = says(&["not tuesday", "not thursday", "cant make it", "cannot make it", "cant", "cannot"]);
    let slot = match (tuesday && !refused, thursday && !refused) {
        (true, false) => Some(Slot::TuesdayTen),
        (false, true) => Some(Slot::ThursdayThree),
        (true, true) | (false, false) => None,
    };
    let other_day =
        says(&["monday", "wednesday", "friday", "saturday", "sunday", "lunes", "viernes", "montag", "freitag"]);
    Meaning {
        slot,
        other_time: refused || (other_day && slot.is_none()),
        place: if says(&["station"]) {
            Some(Place::Station)
        } else {
            says(&["clinic", "doctor", "hospital", "dentist"]).then_some(Place::Clinic)
        },
        rating: ["one", "two", "three", "four", "five"]
            .iter()
            .zip(1..)
            .find(|(word, number)| says(&[word, &number.to_string()]))
            .map(|(_, number)| number),
        name: name(&text),
        yes: says(&[
            "yes", "yeah", "sure", "okay", "ok", "correct", "sí", "si", "correcto", "ja", "genau", "richtig", "i can",
        ]),
        no: says(&["no", "nope", "not right", "nein", "thats all"]),
        cancel: says(&["cancel", "cancelar", "absagen"]),
        hours: says(&["opening hours", "open"]),
        repeat: says(&["repeat", "say that again", "repetir", "wiederholen"]),
        person: says(&["to a person", "human", "to someone"]),
        machine: says(&["real person", "robot", "machine"]),
        wrong_number: says(&["wrong number"]),
        stop: says(&["stop calling", "dont call", "do not call", "take me off"]),
        busy: says(&["dont have time", "no time", "busy"]),
        bye: says(&["goodbye", "bye", "adiós", "adios", "wiederhören", "tschüss"]),
    }
}

/// The words after "my name is" and its like, as names are written.
fn name(text: &str) -> Option<String> {
    let said = ["my name is", "this is", "its", "me llamo", "mi nombre es", "mein name ist", "ich heiße"];
    let after = said.iter().find_map(|before| text.split_once(&format!(" {before} ")))?.1;
    let words: Vec<String> = after.split_whitespace().take(3).map(capitalised).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_slots_unless_they_are_turned_down() {
        assert_eq!(meaning("Tuesday at ten, please.").slot, Some(Slot::TuesdayTen));
        assert_eq!(meaning("El jueves a las tres").slot, Some(Slot::ThursdayThree));
        assert_eq!(meaning("Am Dienstag um zehn, bitte.").slot, Some(Slot::TuesdayTen));
        assert_eq!(meaning("Hi, good morning.").slot, None);
        let refused = meaning("Wait, wait, not Tuesday.");
        assert_eq!((refused.slot, refused.other_time), (None, true));
        assert!(meaning("Do you have anything on Friday?").other_time);
    }

    #[test]
    fn names_are_what_follows_the_usual_words() {
        assert_eq!(meaning("My name is Alex Morgan.").name.as_deref(), Some("Alex Morgan"));
        assert_eq!(meaning("It's Jamie Rivera.").name.as_deref(), Some("Jamie Rivera"));
        assert_eq!(meaning("Me llamo Ana García.").name.as_deref(), Some("Ana García"));
        assert_eq!(meaning("I'd like to book an appointment.").name, None);
    }

    #[test]
    fn only_whole_words_count() {
        let none = meaning("Know nobody yesterday, byelaw, often");
        assert_eq!(none, Meaning::default());
    }

    #[test]
    fn ratings_are_numbers_in_words_or_digits() {
        assert_eq!(meaning("Four, I think.").rating, Some(4));
        assert_eq!(meaning("5 out of 5").rating, Some(5));
        assert_eq!(meaning("Very.").rating, None);
    }
}
