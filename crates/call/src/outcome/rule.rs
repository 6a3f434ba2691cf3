//! A judge without a model: phrases that confirm, take back and turn down, in four languages, and the last one decides.
//!
//! It is for demonstrations and for comparison, and is labelled as what it is ([`NAME`]). It knows English, German,
//! Spanish and French. A sentence is looked at alone: a question confirms nothing, nor does one with a "not", an "if" or
//! an "as soon as" in it. When both sides were about to agree and the transcript ends before anybody said so, it does not
//! guess.

use crate::journal::Speaker;
use crate::words::normal;

use super::{Outcome, Question, Said, Verdict};

/// What stands where a model's name stands.
pub const NAME: &str = "local-rule";

/// How sure the rule says to be. It has no measure; people should not take it for one.
const SURE: f64 = 0.7;

/// The same of a verdict for lack of any sign.
const UNSURE: f64 = 0.4;

/// The rule has an opinion on goals with one of these words only.
const KNOWN_GOALS: [&str; 4] = ["book", "appointment", "reserv", "schedul"];

/// The agent says that it is booked. In the spelling of [`normal`]: lower case, no punctuation.
const CONFIRMED: [&str; 62] = [
    "you are booked",
    "youre booked",
    "is booked",
    "have booked",
    "ive booked",
    "booked you",
    "youre all set",
    "you are all set",
    "is confirmed",
    "youre confirmed",
    "you are confirmed",
    "have you down",
    "put you down",
    "is reserved",
    "have reserved",
    "ive reserved",
    "is scheduled",
    "have scheduled",
    "ive scheduled",
    "youre scheduled",
    "you are scheduled",
    "got you in",
    "have put you in",
    "ive put you in",
    "we will see you then",
    "well see you then",
    "ist gebucht",
    "gebucht ist",
    "habe sie eingetragen",
    "sind eingetragen",
    "ist eingetragen",
    "habe ich eingetragen",
    "ist bestätigt",
    "ist reserviert",
    "habe ich gebucht",
    "habe ich reserviert",
    "ist notiert",
    "habe ich notiert",
    "termin steht",
    "ist fest",
    "queda reservad",
    "queda confirmad",
    "queda agendad",
    "está reservad",
    "está confirmad",
    "está agendad",
    "he apuntado",
    "he reservado",
    "le he agendado",
    "queda apuntad",
    "ya tiene cita",
    "est réservé",
    "est confirmé",
    "est pris",
    "est bien noté",
    "est noté",
    "est enregistré",
    "je vous ai inscrit",
    "jai réservé",
    "vous ai noté",
    "est fixé",
    "jai bien noté votre rendez vous",
];

/// Either side says that it is off.
const TAKEN_BACK: [&str; 36] = [
    "is cancelled",
    "is canceled",
    "have cancelled",
    "have canceled",
    "ive cancelled",
    "ive canceled",
    "been cancelled",
    "been canceled",
    "cancel it",
    "cancel that",
    "cancel the appointment",
    "cancel the booking",
    "cancel my",
    "forget it",
    "ist storniert",
    "habe ich storniert",
    "habe storniert",
    "storniert",
    "ist abgesagt",
    "doch absagen",
    "gelöscht",
    "doch stornieren",
    "bitte stornieren",
    "streichen sie",
    "queda cancelad",
    "queda anulad",
    "está cancelad",
    "he cancelado",
    "he anulado",
    "cancélel",
    "anúlel",
    "est annulé",
    "jai annulé",
    "annulez",
    "je préfère annuler",
    "mieux annuler",
];

/// Either side says that nothing comes of it, or a machine answers.
const TURNED_DOWN: [&str; 66] = [
    "not interested",
    "no interest",
    "wrong number",
    "stop calling",
    "dont call",
    "do not call",
    "will not call you again",
    "call me later",
    "call me back",
    "call back later",
    "call you back",
    "call again later",
    "call you later",
    "not right now",
    "dont have time",
    "leave a message",
    "leave your message",
    "leave your name",
    "after the tone",
    "after the beep",
    "voicemail",
    "not available to take",
    "cant take your call",
    "could not save",
    "couldnt save",
    "fully booked",
    "dont want",
    "ill think about it",
    "kein interesse",
    "falsch verbunden",
    "falsche nummer",
    "rufen sie nicht",
    "später noch mal",
    "später nochmal",
    "später zurück",
    "später noch einmal",
    "keine zeit",
    "nach dem signalton",
    "nach dem ton",
    "hinterlassen sie",
    "mailbox",
    "nicht erreichbar",
    "möchte ich nicht",
    "will ich nicht",
    "überlege es mir",
    "no me interesa",
    "número equivocado",
    "se ha equivocado",
    "llámeme más tarde",
    "llame más tarde",
    "más tarde",
    "no tengo tiempo",
    "deje su mensaje",
    "deje un mensaje",
    "buzón de voz",
    "después de la señal",
    "no quiero",
    "pas intéressé",
    "mauvais numéro",
    "faux numéro",
    "plus tard",
    "pas le temps",
    "laissez un message",
    "après le bip",
    "messagerie",
    "veux pas",
];

/// In the same sentence these turn a confirmation into none.
const NOT_YET: [&str; 34] = [
    " not ",
    " cant ",
    " couldnt ",
    " isnt ",
    " if ",
    " once ",
    " when ",
    " until ",
    " unless ",
    " before ",
    " already ",
    " could ",
    " nicht ",
    " kein ",
    " wenn ",
    " sobald ",
    " falls ",
    " bevor ",
    " bereits ",
    " ob ",
    " sonst ",
    " cuando ",
    " si ",
    " aún no ",
    " todavía no ",
    " hasta ",
    " ya estaba ",
    " pas ",
    " quand ",
    " dès que ",
    " déjà ",
    " sil ",
    " avant ",
    " no ",
];

/// In the same sentence these show that somebody speaks of what could be, not of what is.
const MERELY_POSSIBLE: [&str; 26] = [
    " policy ",
    " up to ",
    " free ",
    " you can ",
    " can be ",
    " may ",
    " anytime ",
    " any time ",
    " can i ",
    " how do i ",
    " if ",
    " bis zu ",
    " kostenlos ",
    " können sie ",
    " falls ",
    " wenn ",
    " kann man ",
    " puede ",
    " hasta ",
    " gratis ",
    " si ",
    " pouvez ",
    " jusquà ",
    " gratuitement ",
    " peut ",
    " could ",
];

/// The agent offers, or asks whether it shall.
const OFFERED: [&str; 34] = [
    "shall i",
    "should i",
    "would you like",
    "is that right",
    "is that correct",
    "does that work",
    "which one",
    "what name",
    "book you in",
    "under",
    "soll ich",
    "möchten sie",
    "ist das richtig",
    "stimmt das",
    "passt das",
    "passt ihnen",
    "welchen namen",
    "auf welchen",
    "le reservo",
    "quiere que",
    "le viene bien",
    "es correcto",
    "le va bien",
    "qué nombre",
    "de quién",
    "prefiere",
    "je vous réserve",
    "voulez vous",
    "cest bien ça",
    "cela vous convient",
    "ça vous convient",
    "à quel nom",
    "quel nom",
    "préférez",
];

/// The caller agrees.
const AGREED: [&str; 26] = [
    "yes",
    "yeah",
    "yep",
    "sure",
    "right",
    "correct",
    "perfect",
    "ok",
    "okay",
    "sounds good",
    "please",
    "fine",
    "ja",
    "genau",
    "gern",
    "gerne",
    "passt",
    "bitte",
    "sí",
    "si",
    "vale",
    "claro",
    "por favor",
    "oui",
    "daccord",
    "parfait",
];

/// Judges by the rule. It answers always, and says that it is a rule.
#[must_use]
pub fn judge(question: &Question) -> Verdict {
    let goal = question.settings.goal.to_lowercase();
    if !KNOWN_GOALS.iter().any(|word| goal.contains(word)) {
        return Verdict::unclear(
            "The rule for demonstrations knows bookings only; set GEMINI_API_KEY for other goals.",
        );
    }
    let mut last: Option<(Outcome, &Said, String, &'static str)> = None;
    let (mut offered, mut agreed) = (false, false);
    for said in question.said() {
        for sentence in sentences(&said.words) {
            let plain = format!(" {} ", normal(&sentence));
            let has = |phrases: &[&str]| phrases.iter().any(|phrase| plain.contains(&format!(" {phrase}")));
            let has_part = |phrases: &[&str]| phrases.iter().any(|phrase| plain.contains(phrase));
            let asks = sentence.ends_with('?');
            let found = if has(&TAKEN_BACK) && !has_part(&MERELY_POSSIBLE) && (!asks || said.speaker == Speaker::Caller)
            {
                Some((Outcome::No, "It was taken back."))
            } else if said.speaker == Speaker::Agent && !asks && has(&CONFIRMED) && !has_part(&NOT_YET) {
                Some((Outcome::Yes, "The agent confirmed it."))
            } else if has(&TURNED_DOWN) && !asks && !matches!(last, Some((Outcome::Yes, ..))) {
                Some((Outcome::No, "It was turned down, or nobody was there to agree."))
            } else {
                None
            };
            if let Some((outcome, why)) = found {
                last = Some((outcome, said, sentence, why));
            } else if said.speaker == Speaker::Agent && has(&OFFERED) {
                (offered, agreed) = (true, false);
            } else if said.speaker == Speaker::Caller && offered && has(&AGREED) && !plain.starts_with(" no ") {
                agreed = true;
            }
        }
    }
    let (outcome, confidence, shown, why) = match last {
        Some((outcome, said, sentence, why)) => (outcome, SURE, Some((said.n, sentence)), why),
        None if agreed => {
            (Outcome::Unclear, UNSURE, None, "The caller agreed to an offer, and nobody confirmed it before the end.")
        }
        None => (Outcome::No, UNSURE, None, "Nothing in the call confirms it."),
    };
    let fields = if outcome == Outcome::Yes { name_of_caller(question.said()) } else { None };
    let asked = |name: &str| question.settings.fields.contains_key(name);
    Verdict {
        outcome,
        confidence,
        evidence_found: shown.is_some(),
        evidence_turn: shown.as_ref().map(|(n, _)| *n),
        evidence: shown.map(|(_, sentence)| sentence),
        fields: fields.filter(|_| asked("name")).map(|name| ("name".to_owned(), name)).into_iter().collect(),
        reason: format!("{why} (Judged by a rule for demonstrations, not by a model.)"),
    }
}

/// The sentences of a turn, each with its mark.
fn sentences(words: &str) -> Vec<String> {
    let sentences = words.split_inclusive(['.', '?', '!', '…']).map(str::trim);
    sentences.filter(|sentence| !sentence.is_empty()).map(str::to_owned).collect()
}

/// What the caller said after "my name is".
fn name_of_caller(said: &[Said]) -> Option<String> {
    const BEFORE: [&str; 8] = [
        "my name is ",
        "name's ",
        "mein name ist ",
        "ich heiße ",
        "me llamo ",
        "mi nombre es ",
        "je m'appelle ",
        "mon nom est ",
    ];
    let caller = said.iter().filter(|said| said.speaker == Speaker::Caller);
    let after = |words: &str| {
        // Positions in a text are kept only where lower case has as many bytes.
        let lower = words.to_lowercase();
        let (at, before) = BEFORE.iter().find_map(|before| Some((lower.find(before)?, before)))?;
        let rest = if lower.len() == words.len() { words.get(at + before.len()..)? } else { return None };
        let name: Vec<&str> = rest.split([',', '.', '!', '?', ';']).next()?.split_whitespace().take(3).collect();
        let is_name = |word: &&str| word.chars().next().is_some_and(char::is_uppercase);
        let name: Vec<&str> = name.into_iter().take_while(is_name).collect();
        (!name.is_empty()).then(|| name.join(" "))
    };
    caller.filter_map(|said| after(&said.words.replace('’', "'"))).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::OutcomeSettings;

    fn judged(lines: &[&str]) -> Verdict {
        let said = (1..).zip(lines).map(|(n, line)| {
            let (who, words) = line.split_once(": ").unwrap();
            let speaker = if who == "A" { Speaker::Agent } else { Speaker::Caller };
            Said::new(n, speaker, words).unwrap()
        });
        judge(&Question::about(said.collect(), OutcomeSettings::default()).unwrap())
    }

    #[test]
    fn the_last_word_decides() {
        let booked = ["C: My name is Alex Morgan.", "A: Great. You're booked for Tuesday at ten. Anything else?"];
        let verdict = judged(&booked);
        assert_eq!((verdict.outcome, verdict.evidence_turn), (Outcome::Yes, Some(2)));
        assert_eq!(verdict.evidence.as_deref(), Some("You're booked for Tuesday at ten."));
        assert_eq!(verdict.fields["name"], "Alex Morgan");
        let cancelled = [booked[0], booked[1], "C: Oh wait, cancel that, sorry.", "A: Your appointment is cancelled."];
        assert_eq!(judged(&cancelled).outcome, Outcome::No);
        let again = [&cancelled[..], &["C: Or Thursday?", "A: You are booked for Thursday."]].concat();
        assert_eq!(judged(&again).outcome, Outcome::Yes);
    }

    #[test]
    fn what_is_asked_or_could_be_confirms_nothing() {
        for line in [
            "A: Is Tuesday at ten booked for you?",
            "A: You are not booked yet.",
            "A: Once you are booked, we send a message.",
            "A: I am sorry, I could not save that.",
            "C: I am booked on Tuesday anyway.",
        ] {
            assert_ne!(judged(&[line]).outcome, Outcome::Yes, "{line}");
        }
        let kept =
            ["A: You are booked for Tuesday. You can cancel it up to a day before, free of charge.", "C: Thanks."];
        assert_eq!(judged(&kept).outcome, Outcome::Yes);
    }

    #[test]
    fn it_does_not_guess_when_the_call_breaks_off() {
        let broken = ["A: So Tuesday at ten, is that right?", "C: Yes, that's right."];
        let verdict = judged(&broken);
        assert_eq!((verdict.outcome, verdict.evidence), (Outcome::Unclear, None));
        assert!(verdict.reason.contains("not by a model"));
    }
}
