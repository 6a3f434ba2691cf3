//! What the assistant can say, in each of its languages. Every phrase is recorded; a test looks.

/// One sentence, by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phrase {
    DentalGreeting,
    RideGreeting,
    SurveyGreeting,
    HowHelp,
    Where,
    Reminder,
    CanYouCome,
    Instead,
    HaveAMinute,
    HowHappy,
    NumberPlease,
    WouldRecommend,
    ThatHelps,
    Slots,
    Which,
    DayIsFull,
    YourName,
    SoTuesday,
    SoThursday,
    ToClinic,
    ToStation,
    IsThatRight,
    BookedTuesday,
    BookedThursday,
    NotSaved,
    Cancelled,
    SeeYou,
    Hours,
    AnythingElse,
    CallBack,
    Machine,
    Again,
    StillThere,
    CannotHear,
    CallLater,
    NoProblem,
    SorryForTrouble,
    NoMoreCalls,
    ThanksForCalling,
    Goodbye,
}

/// The languages of the assistant. Where one has no sentence of its own, it says the English one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Language {
    #[default]
    English,
    Spanish,
    German,
}

impl Language {
    /// The language of a tag such as `es-MX`; English if it is another.
    pub(super) fn of(tag: &str) -> Self {
        match tag.split(['-', '_']).next().unwrap_or(tag).to_ascii_lowercase().as_str() {
            "es" => Self::Spanish,
            "de" => Self::German,
            _ => Self::English,
        }
    }
}

impl Phrase {
    /// Its words.
    pub(super) fn text(self, language: Language) -> &'static str {
        let own = match language {
            Language::English => None,
            Language::Spanish => self.spanish(),
            Language::German => self.german(),
        };
        own.unwrap_or_else(|| self.english())
    }

    fn english(self) -> &'static str {
        match self {
            Self::DentalGreeting => "Hello, this is Maple Street Dental.",
            Self::RideGreeting => "Hello, this is City Ride.",
            Self::SurveyGreeting => "Hello, this is a short survey about your last visit.",
            Self::HowHelp => "How can I help you today?",
            Self::Where => "Where would you like to go?",
            Self::Reminder => "You have an appointment on Tuesday at ten.",
            Self::CanYouCome => "Can you make it?",
            Self::Instead => "Would Thursday at three be better?",
            Self::HaveAMinute => "Do you have a minute for two questions?",
            Self::HowHappy => "From one to five, how happy were you with your visit?",
            Self::NumberPlease => "A number from one to five, please.",
            Self::WouldRecommend => "Would you recommend us to a friend?",
            Self::ThatHelps => "Thank you, that helps us a lot.",
            Self::Slots => "I have Tuesday at ten, or Thursday at three.",
            Self::Which => "Which one would you like?",
            Self::DayIsFull => "I am sorry, that day is full.",
            Self::YourName => "What name shall I put it under?",
            Self::SoTuesday => "So that is Tuesday at ten.",
            Self::SoThursday => "So that is Thursday at three.",
            Self::ToClinic => "A ride to the clinic.",
            Self::ToStation => "A ride to the train station.",
            Self::IsThatRight => "Is that right?",
            Self::BookedTuesday => "You are booked for Tuesday at ten.",
            Self::BookedThursday => "You are booked for Thursday at three.",
            Self::NotSaved => "I am sorry, I could not save that.",
            Self::Cancelled => "Your appointment is cancelled.",
            Self::SeeYou => "Great, we will see you then.",
            Self::Hours => "We are open Monday to Friday, from nine to five.",
            Self::AnythingElse => "Is there anything else?",
            Self::CallBack => "I will ask someone to call you back.",
            Self::Machine => "I am an AI assistant.",
            Self::Again => "Sorry, could you say that again?",
            Self::StillThere => "Are you still there?",
            Self::CannotHear => "I am sorry, I cannot hear you well.",
            Self::CallLater => "Please call again later.",
            Self::NoProblem => "No problem.",
            Self::SorryForTrouble => "I am sorry to have troubled you.",
            Self::NoMoreCalls => "I understand, we will not call you again.",
            Self::ThanksForCalling => "Thank you for calling.",
            Self::Goodbye => "Goodbye.",
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what has no recording in this language is said in English")]
    fn spanish(self) -> Option<&'static str> {
        Some(match self {
            Self::DentalGreeting => "Hola, le atiende la clínica dental.",
            Self::HowHelp => "¿En qué puedo ayudarle?",
            Self::Slots => "Tengo el martes a las diez o el jueves a las tres.",
            Self::YourName => "¿A qué nombre?",
            Self::SoTuesday => "Entonces, el martes a las diez.",
            Self::SoThursday => "Entonces, el jueves a las tres.",
            Self::IsThatRight => "¿Es correcto?",
            Self::BookedTuesday | Self::BookedThursday => "Su cita está reservada.",
            Self::AnythingElse => "¿Desea algo más?",
            Self::Again => "Perdone, ¿puede repetirlo?",
            Self::Goodbye => "Gracias por llamar, adiós.",
            _ => return None,
        })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what has no recording in this language is said in English")]
    fn german(self) -> Option<&'static str> {
        Some(match self {
            Self::DentalGreeting => "Guten Tag, hier ist die Zahnarztpraxis.",
            Self::HowHelp => "Wie kann ich Ihnen helfen?",
            Self::Slots => "Ich habe Dienstag um zehn oder Donnerstag um drei.",
            Self::YourName => "Auf welchen Namen?",
            Self::SoTuesday => "Also Dienstag um zehn.",
            Self::SoThursday => "Also Donnerstag um drei.",
            Self::IsThatRight => "Ist das richtig?",
            Self::BookedTuesday | Self::BookedThursday => "Ihr Termin ist eingetragen.",
            Self::AnythingElse => "Kann ich sonst noch etwas tun?",
            Self::Again => "Entschuldigung, können Sie das wiederholen?",
            Self::Goodbye => "Danke für Ihren Anruf, auf Wiederhören.",
            _ => return None,
        })
    }
}
