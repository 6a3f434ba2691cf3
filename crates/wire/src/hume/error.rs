//! EVI's error codes, as far as they are known.
//!
//! The full list is not published. An unknown code is logged, and the socket decides: an `error` message alone does not
//! mean that the chat is over. (Hume: "Errors")

/// A known error code of the chat socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// `E0100`: the frame was not JSON.
    NotJson,
    /// `E0101`: JSON, but a field is missing or of the wrong type. Right after our settings it means that none of
    /// them, the audio format included, were applied.
    PayloadParse,
    /// `E0200`: the format of the media was not recognised.
    MediaFormat,
    /// `E0201`: the audio was not Base64.
    NotBase64,
    /// `E0202`: no audio signal was found.
    NoAudioSignal,
    /// `E0300`: the account is out of credits.
    OutOfCredits,
    /// `E0705`: the custom language model's socket dropped.
    CustomModelDisconnected,
    /// `E0712`: the custom language model did not answer.
    CustomModelTimedOut,
    /// `E0714`: no user message for too long.
    InactivityTimeout,
    /// `E0715`: the chat reached its longest duration.
    MaxDurationTimeout,
    /// `E0723`: whole audio files were sent instead of a stream.
    WholeFile,
    /// `I0116`: the audio could not be transcribed; its encoding is probably not the declared one.
    TranscriptionFailure,
    /// `I0118`: the transcription was lost, usually through malformed audio.
    TranscriptionDisconnected,
}

/// Whether an error ends the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closes {
    /// The socket is closed next, normally with code 1000.
    Yes,
    /// The chat goes on.
    No,
    /// Not known: keep the socket, act on its close.
    Unknown,
}

impl ErrorCode {
    /// All known codes.
    pub const ALL: [Self; 13] = [
        Self::NotJson,
        Self::PayloadParse,
        Self::MediaFormat,
        Self::NotBase64,
        Self::NoAudioSignal,
        Self::OutOfCredits,
        Self::CustomModelDisconnected,
        Self::CustomModelTimedOut,
        Self::InactivityTimeout,
        Self::MaxDurationTimeout,
        Self::WholeFile,
        Self::TranscriptionFailure,
        Self::TranscriptionDisconnected,
    ];

    /// Reads a code such as `E0714`.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// The code as it is sent.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotJson => "E0100",
            Self::PayloadParse => "E0101",
            Self::MediaFormat => "E0200",
            Self::NotBase64 => "E0201",
            Self::NoAudioSignal => "E0202",
            Self::OutOfCredits => "E0300",
            Self::CustomModelDisconnected => "E0705",
            Self::CustomModelTimedOut => "E0712",
            Self::InactivityTimeout => "E0714",
            Self::MaxDurationTimeout => "E0715",
            Self::WholeFile => "E0723",
            Self::TranscriptionFailure => "I0116",
            Self::TranscriptionDisconnected => "I0118",
        }
    }

    /// The name that EVI sends beside the code, where it is known.
    #[must_use]
    pub fn slug(self) -> Option<&'static str> {
        match self {
            Self::PayloadParse => Some("payload_parse"),
            Self::CustomModelDisconnected => Some("custom_language_model_disconnected"),
            Self::CustomModelTimedOut => Some("custom_language_model_timed_out"),
            Self::InactivityTimeout => Some("inactivity_timeout"),
            Self::MaxDurationTimeout => Some("max_duration_timeout"),
            Self::TranscriptionFailure => Some("transcription_failure"),
            Self::TranscriptionDisconnected => Some("transcription_disconnected"),
            Self::NotJson
            | Self::MediaFormat
            | Self::NotBase64
            | Self::NoAudioSignal
            | Self::OutOfCredits
            | Self::WholeFile => None,
        }
    }

    /// Whether it ends the chat.
    #[must_use]
    pub fn closes(self) -> Closes {
        match self {
            Self::PayloadParse | Self::CustomModelTimedOut => Closes::No,
            Self::InactivityTimeout
            | Self::MaxDurationTimeout
            | Self::TranscriptionFailure
            | Self::TranscriptionDisconnected => Closes::Yes,
            Self::NotJson
            | Self::MediaFormat
            | Self::NotBase64
            | Self::NoAudioSignal
            | Self::OutOfCredits
            | Self::CustomModelDisconnected
            | Self::WholeFile => Closes::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_as_itself_and_others_are_unknown() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.code()), Some(code));
        }
        assert_eq!(ErrorCode::parse("E9999"), None);
    }

    #[test]
    fn a_refused_message_does_not_end_the_chat_but_a_timeout_does() {
        assert_eq!(ErrorCode::PayloadParse.closes(), Closes::No);
        assert_eq!(ErrorCode::InactivityTimeout.closes(), Closes::Yes);
        assert_eq!(ErrorCode::OutOfCredits.closes(), Closes::Unknown);
    }
}
