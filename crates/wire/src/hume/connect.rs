//! Opening a chat: the address of the socket.
//!
//! Credentials never stand in an address that we make, because addresses end up in the logs of every proxy on the way:
//! the key goes into the [`API_KEY_HEADER`](super::API_KEY_HEADER). The same holds, more mildly, for what is said about
//! a caller: prompt, context and variables can be given here, but are better sent in a `session_settings` message.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::session::{AudioConfiguration, Context, ContextKind, Encoding, SessionSettings, Variable};
use crate::base_url::{BaseUrl, BaseUrlError};

/// The path of the chat socket below the base URL.
pub const CHAT_PATH: &str = "/v0/evi/chat";

/// A longer prompt does not belong in the address; Hume's SDK warns from here on. In characters.
pub const MAX_PROMPT_IN_ADDRESS: usize = 1000;

/// More query parameters than this are not read: the documented ones, and as many variables as a prompt could use.
const MOST_PARAMETERS: usize = 256;

/// How a chat is opened. (Hume: "Chat" reference, handshake)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// Which configuration to run; Hume's default one when left out.
    pub config_id: Option<String>,
    /// Which version of it; the latest when left out.
    pub config_version: Option<u32>,
    /// The chat group whose conversation goes on.
    pub resumed_chat_group_id: Option<String>,
    /// How many events of the earlier conversation are returned at most.
    pub event_limit: Option<u32>,
    /// Whether interim `user_message`s are wanted.
    pub verbose_transcription: bool,
    /// Whether others may attach to this chat.
    pub allow_connection: bool,
    /// Settings that hold from the first byte of audio.
    pub session_settings: ConnectSettings,
}

/// The settings that can be given at connect; tools and metadata can not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectSettings {
    /// The format of the audio that goes up. Given here, it cannot come later than the first chunk.
    pub audio: Option<AudioConfiguration>,
    /// Text appended to the caller's words.
    pub context: Option<Context>,
    /// Our own id for the session.
    pub custom_session_id: Option<String>,
    /// The prompt, of at most [`MAX_PROMPT_IN_ADDRESS`] characters.
    pub system_prompt: Option<String>,
    /// The voice.
    pub voice_id: Option<String>,
    /// Values for the prompt's placeholders.
    pub variables: BTreeMap<String, Variable>,
}

/// Everything but what RFC 3986 leaves unreserved, so brackets become `%5B` and `%5D` as Hume's SDK writes them.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The beginning of the socket's address: scheme, host and any path before [`CHAT_PATH`].
///
/// # Errors
/// If the base URL cannot be used, for example because it is plain HTTP to another machine.
pub fn socket_url(base_url: &str) -> Result<String, BaseUrlError> {
    let base = BaseUrl::parse(base_url)?;
    Ok(base.socket_origin() + base.path)
}

impl Connect {
    /// The whole address of the socket below this base URL.
    ///
    /// # Errors
    /// If the base URL cannot be used.
    pub fn url(&self, base_url: &str) -> Result<String, BaseUrlError> {
        Ok(socket_url(base_url)? + &self.path_and_query())
    }

    /// The path and query; what is not set is left out.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let mut query = Query(CHAT_PATH.to_owned());
        query.text("config_id", self.config_id.as_deref());
        query.number("config_version", self.config_version);
        query.text("resumed_chat_group_id", self.resumed_chat_group_id.as_deref());
        query.number("event_limit", self.event_limit);
        query.flag("verbose_transcription", self.verbose_transcription);
        query.flag("allow_connection", self.allow_connection);
        self.session_settings.write(&mut query);
        query.0
    }

    /// Reads the query of a handshake, for the simulator: brackets raw or encoded, parameters that are no part of
    /// the chat (credentials, telemetry) ignored.
    ///
    /// # Errors
    /// With the parameter that cannot be read.
    pub fn from_query(query: &str) -> Result<Self, QueryError> {
        let mut connect = Self::default();
        let mut settings = Settings::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MOST_PARAMETERS) {
            let (name, value) = (name.as_ref(), value.as_ref());
            match name {
                "config_id" => connect.config_id = present(value),
                "config_version" => connect.config_version = Some(number(name, value)?),
                "resumed_chat_group_id" => connect.resumed_chat_group_id = present(value),
                "event_limit" => connect.event_limit = Some(number(name, value)?),
                "verbose_transcription" => connect.verbose_transcription = flag(name, value)?,
                "allow_connection" => connect.allow_connection = flag(name, value)?,
                // Deprecated by Hume in favour of the nested form, but still sent by older clients.
                "voice_id" => settings.connect.voice_id = present(value),
                _ => {
                    if let Some(path) = name.strip_prefix("session_settings") {
                        settings.read(name, path, value)?;
                    }
                }
            }
        }
        connect.session_settings = settings.finish()?;
        Ok(connect)
    }
}

/// The credential in a handshake's query, for the simulator: browsers cannot set headers, so EVI accepts `api_key` and
/// `access_token` there. We never send either.
#[must_use]
pub fn credential_in_query(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .take(MOST_PARAMETERS)
        .find(|(name, value)| matches!(name.as_ref(), "api_key" | "access_token") && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

impl ConnectSettings {
    fn write(&self, query: &mut Query) {
        if let Some(AudioConfiguration { encoding, sample_rate, channels, codec }) = &self.audio {
            let Encoding::Linear16 = encoding;
            query.text("session_settings[audio][encoding]", Some("linear16"));
            query.number("session_settings[audio][sample_rate]", Some(*sample_rate));
            query.number("session_settings[audio][channels]", Some(u32::from(*channels)));
            query.text("session_settings[audio][codec]", codec.as_deref());
        }
        if let Some(Context { kind, text }) = &self.context {
            query.text("session_settings[context][text]", Some(text));
            query.text("session_settings[context][type]", kind.map(context_kind));
        }
        query.text("session_settings[custom_session_id]", self.custom_session_id.as_deref());
        query.text("session_settings[system_prompt]", self.system_prompt.as_deref());
        query.text("session_settings[voice_id]", self.voice_id.as_deref());
        for (name, value) in &self.variables {
            query.text(&format!("session_settings[variables][{name}]"), Some(&value.to_string()));
        }
    }

    /// The same settings as a message, as the simulator applies them.
    #[must_use]
    pub fn into_settings(self) -> SessionSettings {
        SessionSettings {
            custom_session_id: self.custom_session_id,
            audio: self.audio,
            system_prompt: self.system_prompt,
            context: self.context.map(super::session::ContextChange::Inject),
            variables: self.variables,
            voice_id: self.voice_id,
            ..SessionSettings::default()
        }
    }
}

fn context_kind(kind: ContextKind) -> &'static str {
    match kind {
        ContextKind::Temporary => "temporary",
        ContextKind::Persistent => "persistent",
    }
}

/// A path and query under construction.
struct Query(String);

impl Query {
    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            let separator = if self.0.contains('?') { '&' } else { '?' };
            let (name, value) = (utf8_percent_encode(name, RESERVED), utf8_percent_encode(value, RESERVED));
            write!(self.0, "{separator}{name}={value}").expect("writing to a string cannot fail");
        }
    }

    fn number(&mut self, name: &str, value: Option<u32>) {
        self.text(name, value.map(|value| value.to_string()).as_deref());
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.text(name, value.then_some("true"));
    }
}

/// A query parameter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {name} {problem}")]
pub struct QueryError {
    /// Its name, cut to 100 characters.
    pub name: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn bad(name: &str, problem: &'static str) -> QueryError {
    QueryError { name: name.chars().take(100).collect(), problem }
}

/// Clients send unset parameters as empty strings.
fn present(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, QueryError> {
    value.parse().map_err(|_| bad(name, "must be a whole number"))
}

fn flag(name: &str, value: &str) -> Result<bool, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(bad(name, "must be true or false")),
    }
}

/// Settings as they are gathered from parameters that come one by one and in any order.
#[derive(Default)]
struct Settings {
    connect: ConnectSettings,
    encoding: Option<Encoding>,
    sample_rate: Option<u32>,
    channels: Option<u16>,
    codec: Option<String>,
    context_text: Option<String>,
    context_kind: Option<ContextKind>,
}

impl Settings {
    fn read(&mut self, name: &str, path: &str, value: &str) -> Result<(), QueryError> {
        let keys: Vec<&str> = (path.strip_prefix('[').and_then(|path| path.strip_suffix(']')))
            .ok_or_else(|| bad(name, "is not in bracket notation"))?
            .splitn(2, "][")
            .collect();
        match keys.as_slice() {
            ["audio", "encoding"] => {
                let linear16 = (value == "linear16").then_some(Encoding::Linear16);
                self.encoding = Some(linear16.ok_or_else(|| bad(name, "must be linear16"))?);
            }
            ["audio", "sample_rate"] => self.sample_rate = Some(number(name, value)?),
            ["audio", "channels"] => self.channels = Some(number(name, value)?),
            ["audio", "codec"] => self.codec = present(value),
            ["context", "text"] => self.context_text = Some(value.to_owned()),
            ["context", "type"] => {
                self.context_kind = Some(match value {
                    "temporary" => ContextKind::Temporary,
                    "persistent" => ContextKind::Persistent,
                    _ => return Err(bad(name, "must be temporary or persistent")),
                });
            }
            ["custom_session_id"] => self.connect.custom_session_id = present(value),
            ["system_prompt"] => self.connect.system_prompt = present(value),
            ["voice_id"] => self.connect.voice_id = present(value),
            ["variables", variable] => {
                self.connect.variables.insert((*variable).to_owned(), Variable::from(value));
            }
            // Hume's own telephone example passes the whole map as JSON.
            ["variables"] => {
                let map: BTreeMap<String, Variable> =
                    serde_json::from_str(value).map_err(|_| bad(name, "must be a JSON object of plain values"))?;
                self.connect.variables.extend(map);
            }
            // Accepted by EVI; of no use to a simulator, and not kept because it may be a secret.
            ["event_limit" | "language_model_api_key"] => {}
            _ => return Err(bad(name, "cannot be set at connect")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ConnectSettings, QueryError> {
        self.connect.audio = match (self.encoding, self.sample_rate, self.channels) {
            (None, None, None) => None,
            (encoding, Some(sample_rate), Some(channels)) => {
                // Hume's SDK fills in the only encoding there is.
                let encoding = encoding.unwrap_or(Encoding::Linear16);
                Some(AudioConfiguration { encoding, sample_rate, channels, codec: self.codec })
            }
            _ => return Err(bad("session_settings[audio]", "needs both sample_rate and channels")),
        };
        self.connect.context = match (self.context_text, self.context_kind) {
            (Some(text), kind) => Some(Context { kind, text }),
            (None, None) => None,
            (None, Some(_)) => return Err(bad("session_settings[context]", "needs a text")),
        };
        Ok(self.connect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_minimal_and_written_as_humes_sdk_writes_it() {
        assert_eq!(Connect::default().url("https://api.hume.ai").unwrap(), "wss://api.hume.ai/v0/evi/chat");
        let connect = Connect {
            config_id: Some("c-1".into()),
            config_version: Some(0),
            resumed_chat_group_id: Some("g-1".into()),
            event_limit: Some(100),
            verbose_transcription: true,
            allow_connection: true,
            session_settings: ConnectSettings {
                audio: Some(AudioConfiguration::telephone()),
                context: Some(Context { kind: Some(ContextKind::Persistent), text: "hello world".into() }),
                variables: [
                    ("name".to_owned(), Variable::from("Ann")),
                    ("age".to_owned(), Variable::Number(30.into())),
                ]
                .into(),
                ..ConnectSettings::default()
            },
        };
        insta::assert_snapshot!(connect.path_and_query(), @"/v0/evi/chat?config_id=c-1&config_version=0&resumed_chat_group_id=g-1&event_limit=100&verbose_transcription=true&allow_connection=true&session_settings%5Baudio%5D%5Bencoding%5D=linear16&session_settings%5Baudio%5D%5Bsample_rate%5D=8000&session_settings%5Baudio%5D%5Bchannels%5D=1&session_settings%5Bcontext%5D%5Btext%5D=hello%20world&session_settings%5Bcontext%5D%5Btype%5D=persistent&session_settings%5Bvariables%5D%5Bage%5D=30&session_settings%5Bvariables%5D%5Bname%5D=Ann");
    }

    #[test]
    fn brackets_may_be_raw_or_encoded_and_variables_may_be_one_json() {
        let expected = Connect {
            session_settings: ConnectSettings {
                audio: Some(AudioConfiguration::telephone()),
                variables: [("a".to_owned(), Variable::from("1"))].into(),
                ..ConnectSettings::default()
            },
            ..Connect::default()
        };
        for query in [
            "session_settings[audio][encoding]=linear16&session_settings[audio][sample_rate]=8000&session_settings[audio][channels]=1&session_settings[variables][a]=1",
            "session_settings%5Baudio%5D%5Bsample_rate%5D=8000&session_settings%5Baudio%5D%5Bchannels%5D=1&session_settings%5Bvariables%5D%5Ba%5D=1",
            "session_settings[audio][sample_rate]=8000&session_settings[audio][channels]=1&session_settings[variables]=%7B%22a%22%3A%221%22%7D&fernSdkVersion=1&api_key=k",
        ] {
            assert_eq!(Connect::from_query(query), Ok(expected.clone()), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, name) in [
            ("config_version=latest", "config_version"),
            ("verbose_transcription=maybe", "verbose_transcription"),
            ("session_settings[audio][encoding]=mulaw", "session_settings[audio][encoding]"),
            ("session_settings[audio][sample_rate]=8000", "session_settings[audio]"),
            ("session_settings[tools]=[]", "session_settings[tools]"),
            ("session_settings[metadata][a]=1", "session_settings[metadata][a]"),
            ("session_settings[context][type]=persistent", "session_settings[context]"),
            ("session_settings=1", "session_settings"),
            ("session_settings[variables]=1", "session_settings[variables]"),
        ] {
            assert_eq!(Connect::from_query(query).map_err(|error| error.name), Err(name.to_owned()), "{query}");
        }
    }

    #[test]
    fn booleans_are_read_in_any_case_and_unset_parameters_may_be_empty() {
        let connect =
            Connect::from_query("verbose_transcription=True&allow_connection=false&config_id=&access_token=").unwrap();
        assert!(connect.verbose_transcription && !connect.allow_connection);
        assert_eq!(connect.config_id, None);
    }

    #[test]
    fn a_credential_is_found_in_the_query_but_never_written_there() {
        assert_eq!(credential_in_query("config_id=c&api_key=k1").as_deref(), Some("k1"));
        assert_eq!(credential_in_query("access_token=t1").as_deref(), Some("t1"));
        assert_eq!(credential_in_query("access_token=&config_id=c"), None);
    }
}
