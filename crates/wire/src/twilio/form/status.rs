//! The state of a call and its direction, as Twilio spells them.
//!
//! Status callbacks are separate requests whose order of arrival is not guaranteed (Twilio: voice/api/call-resource),
//! so a status has a rank, and a call only moves up.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallStatus {
    /// Accepted by the REST API, not dialled yet.
    Queued,
    /// Dialling; in callbacks only.
    Initiated,
    /// The other side rings; also the first request of an inbound call.
    Ringing,
    /// Answered.
    InProgress,
    /// Answered, and over.
    Completed,
    /// The other side was busy.
    Busy,
    /// The other side did not answer.
    NoAnswer,
    /// Could not be placed.
    Failed,
    /// Taken back before it was answered.
    Canceled,
    /// A status this version does not know.
    Other(String),
}

impl CallStatus {
    /// Reads the word on the wire. Never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "initiated" => Self::Initiated,
            "ringing" => Self::Ringing,
            "in-progress" => Self::InProgress,
            "completed" => Self::Completed,
            "busy" => Self::Busy,
            "no-answer" => Self::NoAnswer,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Other(word) => word,
        }
    }

    /// How far along: 0 for queued up to 4 for every final status. An unknown status has no rank.
    pub fn rank(&self) -> Option<u8> {
        match self {
            Self::Queued => Some(0),
            Self::Initiated => Some(1),
            Self::Ringing => Some(2),
            Self::InProgress => Some(3),
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled => Some(4),
            Self::Other(_) => None,
        }
    }

    /// Whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        self.rank() == Some(4)
    }

    /// Whether a call in state `stored` moves to this one. A call never moves back, never leaves a final status, and
    /// never moves because of a status nobody knows.
    pub fn supersedes(&self, stored: &Self) -> bool {
        match (self.rank(), stored.rank()) {
            (Some(new), Some(old)) => new > old,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// Who called whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direction {
    /// Someone called a number of ours.
    Inbound,
    /// We called, by REST.
    OutboundApi,
    /// A leg that `<Dial>` made.
    OutboundDial,
    /// From the public network into a trunk.
    TrunkingTerminating,
    /// From a trunk to the public network.
    TrunkingOriginating,
    /// A direction this version does not know.
    Other(String),
}

impl Direction {
    /// Reads the word on the wire. Never fails.
    pub fn parse(word: &str) -> Self {
        match word {
            "inbound" => Self::Inbound,
            "outbound-api" => Self::OutboundApi,
            "outbound-dial" => Self::OutboundDial,
            "trunking-terminating" => Self::TrunkingTerminating,
            "trunking-originating" => Self::TrunkingOriginating,
            _ => Self::Other(word.to_owned()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
            Self::TrunkingTerminating => "trunking-terminating",
            Self::TrunkingOriginating => "trunking-originating",
            Self::Other(word) => word,
        }
    }
}

macro_rules! word {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::parse(&String::deserialize(deserializer)?))
            }
        }
    };
}

word!(CallStatus);
word!(Direction);

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: [&str; 4] = ["queued", "initiated", "ringing", "in-progress"];
    const FINAL: [&str; 5] = ["completed", "busy", "no-answer", "failed", "canceled"];

    #[test]
    fn every_word_survives_a_round_trip() {
        for word in ORDER.iter().chain(&FINAL).chain(&["paused"]) {
            assert_eq!(CallStatus::parse(word).as_str(), *word);
        }
        for word in
            ["inbound", "outbound-api", "outbound-dial", "trunking-terminating", "trunking-originating", "sideways"]
        {
            assert_eq!(Direction::parse(word).as_str(), word);
        }
        assert_eq!(CallStatus::parse("paused"), CallStatus::Other("paused".into()));
        assert_eq!(serde_json::from_str::<CallStatus>("\"no-answer\"").unwrap(), CallStatus::NoAnswer);
    }

    #[test]
    fn a_call_moves_only_forward() {
        for (at, old) in ORDER.iter().enumerate() {
            for (to, new) in ORDER.iter().enumerate() {
                let moves = CallStatus::parse(new).supersedes(&CallStatus::parse(old));
                assert_eq!(moves, to > at, "{old} to {new}");
            }
            for new in FINAL {
                assert!(CallStatus::parse(new).supersedes(&CallStatus::parse(old)), "{old} to {new}");
            }
        }
    }

    #[test]
    fn a_final_status_is_never_left() {
        for old in FINAL {
            assert!(CallStatus::parse(old).is_final());
            for new in ORDER.iter().chain(&FINAL).chain(&["paused"]) {
                assert!(!CallStatus::parse(new).supersedes(&CallStatus::parse(old)), "{old} to {new}");
            }
        }
    }

    #[test]
    fn an_unknown_status_moves_nothing_and_holds_nothing_up() {
        let unknown = CallStatus::Other("paused".into());
        assert!(!unknown.is_final());
        assert!(!unknown.supersedes(&CallStatus::Queued));
        assert!(CallStatus::Ringing.supersedes(&unknown));
    }
}
