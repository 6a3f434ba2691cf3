//! Which elements and attributes Twilio knows (as its own libraries can write them), and which of them are read.

/// What an element is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is read into a type.
    Supported,
    /// Twilio knows it; it is only named.
    Unsupported,
    /// Nobody knows it.
    Unknown,
}

pub(super) fn kind_of_verb(name: &str) -> Kind {
    match name {
        "Connect" | "Dial" | "Gather" | "Hangup" | "Pause" | "Play" | "Record" | "Redirect" | "Reject" | "Say"
        | "Start" | "Stop" => Kind::Supported,
        "Echo" | "Enqueue" | "Leave" | "Pay" | "Prompt" | "Queue" | "Refer" | "Sms" => Kind::Unsupported,
        _ => Kind::Unknown,
    }
}

pub(super) fn kind_of_noun(verb: &str, name: &str) -> Kind {
    match (verb, name) {
        ("Connect" | "Start" | "Stop", "Stream") | ("Dial", "Number") => Kind::Supported,
        (
            "Connect",
            "AiSession"
            | "Autopilot"
            | "Conversation"
            | "ConversationRelay"
            | "ConversationRelaySession"
            | "Room"
            | "VirtualAgent",
        )
        | ("Start" | "Stop", "Recording" | "Siprec" | "Transcription")
        | ("Dial", "Application" | "Client" | "Conference" | "Queue" | "Sim" | "Sip" | "WhatsApp") => Kind::Unsupported,
        _ => Kind::Unknown,
    }
}

pub(super) fn attributes_of(name: &str) -> &'static [&'static str] {
    match name {
        "Connect" | "Start" => &["action", "method"],
        "Stream" => &[
            "url",
            "name",
            "track",
            "statusCallback",
            "statusCallbackMethod",
            "connectorName",
            "audioFormat",
            "sampleRate",
        ],
        "Parameter" => &["name", "value"],
        "Say" => &["voice", "language", "loop"],
        "Play" => &["loop", "digits"],
        "Pause" => &["length"],
        "Redirect" => &["method"],
        "Reject" => &["reason"],
        "Gather" => &[
            "input",
            "action",
            "method",
            "timeout",
            "speechTimeout",
            "maxSpeechTime",
            "profanityFilter",
            "finishOnKey",
            "numDigits",
            "partialResultCallback",
            "partialResultCallbackMethod",
            "language",
            "hints",
            "bargeIn",
            "debug",
            "actionOnEmptyResult",
            "speechModel",
            "enhanced",
        ],
        "Record" => &[
            "action",
            "method",
            "timeout",
            "finishOnKey",
            "maxLength",
            "playBeep",
            "trim",
            "recordingStatusCallback",
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
            "transcribe",
            "transcribeCallback",
            "recordingConfigurationId",
        ],
        "Dial" => &[
            "action",
            "method",
            "timeout",
            "hangupOnStar",
            "timeLimit",
            "callerId",
            "record",
            "trim",
            "recordingStatusCallback",
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
            "recordingTrack",
            "recordingConfigurationId",
            "answerOnBridge",
            "ringTone",
            "sequential",
            "referUrl",
            "referMethod",
            "events",
            "passports",
        ],
        "Number" => &[
            "sendDigits",
            "url",
            "method",
            "statusCallback",
            "statusCallbackMethod",
            "statusCallbackEvent",
            "byoc",
            "machineDetection",
            "machineDetectionTimeout",
            "machineDetectionSpeechThreshold",
            "machineDetectionSpeechEndThreshold",
            "machineDetectionSilenceTimeout",
            "amdStatusCallback",
            "amdStatusCallbackMethod",
        ],
        // `Response`, `Stop` and `Hangup` have none, and an unknown element is reported for itself.
        _ => &[],
    }
}
