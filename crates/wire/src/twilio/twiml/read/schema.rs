//! Which elements and attributes Twilio knows (as its own libraries can write them), and which of them we write.

/// What an element is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// We write it.
    Supported,
    /// Twilio knows it; we do not write it.
    Unsupported,
    /// Nobody knows it.
    Unknown,
}

pub(super) fn kind_of_verb(name: &str) -> Kind {
    match name {
        "Connect" | "Dial" | "Hangup" | "Pause" | "Play" | "Redirect" | "Reject" | "Say" => Kind::Supported,
        "Echo" | "Enqueue" | "Gather" | "Leave" | "Pay" | "Prompt" | "Queue" | "Record" | "Refer" | "Sms" | "Start"
        | "Stop" => Kind::Unsupported,
        _ => Kind::Unknown,
    }
}

pub(super) fn kind_of_noun(verb: &str, name: &str) -> Kind {
    match (verb, name) {
        ("Connect", "Stream") | ("Dial", "Number") => Kind::Supported,
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
        | ("Dial", "Application" | "Client" | "Conference" | "Queue" | "Sim" | "Sip" | "WhatsApp") => Kind::Unsupported,
        _ => Kind::Unknown,
    }
}

pub(super) fn attributes_of(name: &str) -> &'static [&'static str] {
    match name {
        "Connect" => &["action", "method"],
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
        // `Response` and `Hangup` have none, and an unknown element is reported for itself.
        _ => &[],
    }
}
