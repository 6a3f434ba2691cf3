//! What the other party hears when there is nobody to speak for us: short, true, and in the agent's language where we have
//! it. Whom we have called is not told to call again.

use store::CallRecord;
use wire::twilio::form::{Direction, VoiceRequest};
use wire::twilio::twiml::{Response, Say, Verb};

/// Something that has to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// Nobody can take the call, or go on with it.
    Unavailable,
    /// The call broke off too often.
    Broken,
    /// The person who was to take over could not be reached.
    NotReached,
    /// The call has lasted as long as it may.
    TimeIsUp,
    /// A short wait.
    Moment,
}

/// Whose ear it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ear {
    /// They have called us.
    Caller,
    /// We have called them.
    Called,
}

impl Ear {
    /// Whom a request of Twilio's is about.
    pub(crate) const fn of(request: &VoiceRequest) -> Self {
        match &request.direction {
            Some(Direction::OutboundApi | Direction::OutboundDial) => Self::Called,
            Some(
                Direction::Inbound
                | Direction::TrunkingTerminating
                | Direction::TrunkingOriginating
                | Direction::Other(_),
            )
            | None => Self::Caller,
        }
    }

    /// Who is at the other end of a call.
    pub(crate) const fn at(call: &CallRecord) -> Self {
        match call.direction {
            store::Direction::Inbound => Self::Caller,
            store::Direction::Outbound => Self::Called,
        }
    }
}

/// The languages we have, with the tag that Twilio's voices know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    English,
    German,
    Spanish,
    French,
}

impl Language {
    fn of(tag: &str) -> Self {
        match tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "de" => Self::German,
            "es" => Self::Spanish,
            "fr" => Self::French,
            _ => Self::English,
        }
    }

    const fn tag(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::German => "de-DE",
            Self::Spanish => "es-ES",
            Self::French => "fr-FR",
        }
    }
}

impl Sentence {
    const fn text(self, ear: Ear, language: Language) -> &'static str {
        match ear {
            Ear::Caller => self.to_caller(language),
            Ear::Called => self.to_called(language),
        }
    }

    const fn to_called(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Unavailable, Language::English) => "I'm sorry, we cannot go on with this call right now. Goodbye.",
            (Self::Unavailable, Language::German) => {
                "Es tut mir leid, wir können dieses Gespräch gerade nicht fortsetzen. Auf Wiederhören."
            }
            (Self::Unavailable, Language::Spanish) => {
                "Lo siento, en este momento no podemos continuar con esta llamada. Adiós."
            }
            (Self::Unavailable, Language::French) => {
                "Je suis désolé, nous ne pouvons pas poursuivre cet appel pour le moment. Au revoir."
            }
            (Self::Broken, Language::English) => "I'm sorry, the connection keeps breaking. Goodbye.",
            (Self::Broken, Language::German) => {
                "Es tut mir leid, die Verbindung bricht immer wieder ab. Auf Wiederhören."
            }
            (Self::Broken, Language::Spanish) => "Lo siento, la conexión se corta una y otra vez. Adiós.",
            (Self::Broken, Language::French) => "Je suis désolé, la connexion est sans cesse coupée. Au revoir.",
            (Self::NotReached, Language::English) => "I'm sorry, nobody could be reached. Goodbye.",
            (Self::NotReached, Language::German) => "Es tut mir leid, es war niemand zu erreichen. Auf Wiederhören.",
            (Self::NotReached, Language::Spanish) => "Lo siento, no se ha podido localizar a nadie. Adiós.",
            (Self::NotReached, Language::French) => "Je suis désolé, personne n'a pu être joint. Au revoir.",
            (Self::TimeIsUp | Self::Moment, language) => self.to_caller(language),
        }
    }

    const fn to_caller(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Unavailable, Language::English) => {
                "I'm sorry, we cannot take your call right now. Please try again later. Goodbye."
            }
            (Self::Unavailable, Language::German) => {
                "Es tut mir leid, wir können Ihren Anruf gerade nicht annehmen. Bitte versuchen Sie es später noch einmal. Auf Wiederhören."
            }
            (Self::Unavailable, Language::Spanish) => {
                "Lo siento, en este momento no podemos atender su llamada. Por favor, inténtelo más tarde. Adiós."
            }
            (Self::Unavailable, Language::French) => {
                "Je suis désolé, nous ne pouvons pas prendre votre appel pour le moment. Veuillez réessayer plus tard. Au revoir."
            }
            (Self::Broken, Language::English) => {
                "I'm sorry, the connection keeps breaking. Please call again later. Goodbye."
            }
            (Self::Broken, Language::German) => {
                "Es tut mir leid, die Verbindung bricht immer wieder ab. Bitte rufen Sie später noch einmal an. Auf Wiederhören."
            }
            (Self::Broken, Language::Spanish) => {
                "Lo siento, la conexión se corta una y otra vez. Por favor, llame más tarde. Adiós."
            }
            (Self::Broken, Language::French) => {
                "Je suis désolé, la connexion est sans cesse coupée. Veuillez rappeler plus tard. Au revoir."
            }
            (Self::NotReached, Language::English) => {
                "I'm sorry, nobody could be reached. Please call again later. Goodbye."
            }
            (Self::NotReached, Language::German) => {
                "Es tut mir leid, es war niemand zu erreichen. Bitte rufen Sie später noch einmal an. Auf Wiederhören."
            }
            (Self::NotReached, Language::Spanish) => {
                "Lo siento, no se ha podido localizar a nadie. Por favor, llame más tarde. Adiós."
            }
            (Self::NotReached, Language::French) => {
                "Je suis désolé, personne n'a pu être joint. Veuillez rappeler plus tard. Au revoir."
            }
            (Self::TimeIsUp, Language::English) => {
                "I'm sorry, this call has lasted as long as it may, and ends now. Goodbye."
            }
            (Self::TimeIsUp, Language::German) => {
                "Es tut mir leid, dieses Gespräch hat seine längste Dauer erreicht und endet jetzt. Auf Wiederhören."
            }
            (Self::TimeIsUp, Language::Spanish) => {
                "Lo siento, esta llamada ha alcanzado su duración máxima y termina ahora. Adiós."
            }
            (Self::TimeIsUp, Language::French) => {
                "Je suis désolé, cet appel a atteint sa durée maximale et se termine maintenant. Au revoir."
            }
            (Self::Moment, Language::English) => "I'm sorry, one moment please.",
            (Self::Moment, Language::German) => "Es tut mir leid, einen Moment bitte.",
            (Self::Moment, Language::Spanish) => "Lo siento, un momento por favor.",
            (Self::Moment, Language::French) => "Je suis désolé, un instant s'il vous plaît.",
        }
    }

    /// As a verb, in the language of a BCP 47 tag.
    pub(crate) fn say(self, tag: &str, ear: Ear) -> Verb {
        let language = Language::of(tag);
        let text = self.text(ear, language).to_owned();
        Verb::Say(Say { text, voice: None, language: Some(language.tag().to_owned()) })
    }

    /// Says it and ends the call.
    pub(crate) fn and_goodbye(self, tag: &str, ear: Ear) -> Response {
        Response::from([self.say(tag, ear), Verb::Hangup])
    }
}

/// Says somebody else's words and ends the call. Twilio knows voices by full tags only; for a language that we have no
/// tag for, its default voice reads.
pub(crate) fn words_and_goodbye(text: String, tag: &str) -> Response {
    let known = Language::of(tag);
    let is_known = known != Language::English || tag.to_ascii_lowercase().starts_with("en");
    let language = if tag.contains('-') { Some(tag.to_owned()) } else { is_known.then(|| known.tag().to_owned()) };
    Response::from([Verb::Say(Say { text, voice: None, language }), Verb::Hangup])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_in_the_agents_language_or_in_english() {
        for (tag, expected) in
            [("de", "de-DE"), ("es-MX", "es-ES"), ("fr-CA", "fr-FR"), ("en", "en-US"), ("ja", "en-US")]
        {
            let Verb::Say(say) = Sentence::Unavailable.say(tag, Ear::Caller) else { panic!("it is said") };
            assert_eq!(say.language.as_deref(), Some(expected));
        }
    }

    #[test]
    fn whom_we_have_called_is_not_told_to_call_again() {
        let again = ["again later", "try again", "noch einmal", "llame", "inténtelo", "rappeler", "réessayer"];
        let call = ["your call", "Ihren Anruf", "su llamada", "votre appel"];
        for language in [Language::English, Language::German, Language::Spanish, Language::French] {
            for sentence in [Sentence::Unavailable, Sentence::Broken, Sentence::NotReached, Sentence::TimeIsUp] {
                let text = sentence.text(Ear::Called, language);
                assert!(!again.iter().chain(&call).any(|words| text.contains(words)), "{text}");
            }
            let text = Sentence::Unavailable.text(Ear::Caller, language);
            assert!(again.iter().any(|words| text.contains(words)), "{text}");
        }
    }
}
