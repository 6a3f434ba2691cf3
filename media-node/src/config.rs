//! What a node is told by its environment: one pure function, which reports every problem at once.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use call::agent::PRIVATE_TOOLS_SETTING;
use wire::signed::{SECRET_BYTES_MIN, Secrets};
use wire::twilio::signature::Verifier;

use crate::engines::{CascadeAccess, Engines, HumeAccess, OpenAiAccess, VendorAccess};
use crate::tools::ToolAccess;

/// Calls that a node takes unless it is told otherwise: what one core bridges with room to spare.
const CAPACITY: u32 = 500;

/// How long a node that goes down lets its calls go on: a platform kills it two minutes after asking.
const DRAIN_SECONDS: u64 = 110;

/// The longest drain that can be asked for.
const DRAIN_SECONDS_MAX: u64 = 24 * 3_600;

/// OpenAI's current speech model for new work.
const OPENAI_MODEL: &str = "gpt-realtime-2.1";

/// What a node needs to know. Secrets in it do not print.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name, as in the stream's address: letters, digits and `-`, at most 64.
    pub node: String,
    /// Where it runs, if it was told.
    pub region: Option<String>,
    /// Where peers and the control plane reach it, such as `http://10.0.0.7:8080`.
    pub address: String,
    /// Where it listens, when it listens by itself.
    pub listen: SocketAddr,
    /// The control plane's public address: the dashboard's origin.
    pub public_base_url: String,
    /// More pages that may follow calls, such as `http://127.0.0.1:8080`: filled in by the program for one machine.
    pub local_origins: Vec<String>,
    /// Where Twilio opens streams, without the node's name: what the signature of an upgrade is made over.
    pub media_stream_url: String,
    /// Checks the signature of a stream's upgrade. None: the stream's token alone guards it.
    pub twilio: Option<Verifier>,
    /// Signs and checks tokens and requests.
    pub secrets: Secrets,
    /// The engines that can be dialled, with their credentials.
    pub engines: Engines,
    /// How the user's own tools are asked.
    pub tools: ToolAccess,
    /// Where what cannot be stored waits.
    pub data_dir: PathBuf,
    /// How long a node that goes down lets its calls go on.
    pub drain_within: Duration,
    /// Calls it takes at once.
    pub capacity: u32,
    /// What somebody who starts the node should know, and what does not keep it from starting.
    pub notes: Vec<String>,
}

/// Everything that is wrong with the environment, each with its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Config {
    /// Reads the environment through `lookup`. An empty value counts as none.
    ///
    /// # Errors
    /// With every problem there is.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup, problems: Vec::new(), notes: Vec::new() };
        let port = read.number("PORT", 8080, 1, u64::from(u16::MAX));
        let listen = read.listen(u16::try_from(port).unwrap_or(8080));
        let public_base_url = read.public_base_url();
        let config = Self {
            node: read.node(),
            region: read.first(&["REGION", "FLY_REGION", "AWS_REGION"]),
            address: read.address(listen),
            listen,
            media_stream_url: read.media_stream_url(&public_base_url),
            public_base_url,
            local_origins: Vec::new(),
            twilio: read
                .text("TWILIO_AUTH_TOKEN")
                .map(|list| Verifier::new(&list.split(',').map(str::trim).collect::<Vec<_>>())),
            secrets: read.secrets(),
            engines: read.engines(),
            tools: read.tools(),
            data_dir: read.text("DATA_DIR").unwrap_or_else(|| ".switchboard".to_owned()).into(),
            drain_within: Duration::from_secs(read.number("DRAIN_SECONDS", DRAIN_SECONDS, 0, DRAIN_SECONDS_MAX)),
            capacity: u32::try_from(read.number("CAPACITY", u64::from(CAPACITY), 1, 100_000)).unwrap_or(CAPACITY),
            notes: read.notes,
        };
        if read.problems.is_empty() { Ok(config) } else { Err(ConfigError(read.problems)) }
    }
}

/// Whether a node may have this name.
pub(crate) fn is_node_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn number(&mut self, name: &str, default: u64, min: u64, max: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        match text.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => number,
            Ok(_) | Err(_) => {
                self.problem(format!("{name} is not a whole number from {min} to {max}; leave it out for {default}"));
                default
            }
        }
    }

    fn listen(&mut self, port: u16) -> SocketAddr {
        let local = IpAddr::from([127, 0, 0, 1]);
        let host = match self.text("HOST").as_deref() {
            None | Some("localhost") => local,
            Some(text) => text.parse().unwrap_or_else(|_| {
                self.problem(
                    "HOST is not an IP address; use 127.0.0.1 for this machine only, 0.0.0.0 or :: for all networks",
                );
                local
            }),
        };
        SocketAddr::new(host, port)
    }

    fn node(&mut self) -> String {
        let name = self.first(&["NODE_NAME", "FLY_MACHINE_ID"]).unwrap_or_else(|| "node-1".to_owned());
        if !is_node_name(&name) {
            self.problem("NODE_NAME is not a node's name; use up to 64 letters, digits and `-`");
        }
        name
    }

    fn address(&mut self, listen: SocketAddr) -> String {
        if let Some(address) = self.text("NODE_ADDRESS") {
            if !address.starts_with("http://") || address.parse::<http::Uri>().is_err() {
                self.problem("NODE_ADDRESS is not an http:// address; set it to where peers reach this node, such as http://10.0.0.7:8080");
            }
            return address.trim_end_matches('/').to_owned();
        }
        if let Some(ip) = self.text("FLY_PRIVATE_IP").and_then(|ip| ip.parse::<IpAddr>().ok()) {
            return format!("http://{}", SocketAddr::new(ip, listen.port()));
        }
        if listen.ip().is_unspecified() {
            self.problem("NODE_ADDRESS is missing; HOST is all networks, so say where peers reach this node, such as http://10.0.0.7:8080");
        }
        format!("http://{listen}")
    }

    fn public_base_url(&mut self) -> String {
        let Some(url) = self.text("PUBLIC_BASE_URL") else {
            self.problem("PUBLIC_BASE_URL is missing; set it to the address at which Twilio reaches the control plane, such as https://calls.example.com");
            return String::new();
        };
        if !url.starts_with("http") {
            self.problem("PUBLIC_BASE_URL does not begin with https:// (http:// on this machine only)");
        } else if let Err(error) = wire::hume::connect::socket_url(&url) {
            self.problem(format!("PUBLIC_BASE_URL cannot be used: {error}"));
        }
        url.trim_end_matches('/').to_owned()
    }

    fn media_stream_url(&mut self, public_base_url: &str) -> String {
        let url = match self.text("MEDIA_STREAM_URL") {
            Some(url) => url,
            None if public_base_url.is_empty() => return String::new(),
            None => format!("{}/media-stream", public_base_url.replacen("http", "ws", 1)),
        };
        if !url.starts_with("ws") {
            self.problem("MEDIA_STREAM_URL does not begin with wss:// (ws:// on this machine only); it is the address that Twilio opens streams at, without the node's name");
        } else if let Err(error) = wire::hume::connect::socket_url(&url) {
            self.problem(format!("MEDIA_STREAM_URL cannot be used: {error}"));
        }
        url.trim_end_matches('/').to_owned()
    }

    fn secrets(&mut self) -> Secrets {
        let list = self.text("STREAM_SECRET");
        match list.as_deref().map(Secrets::parse) {
            Some(Ok(secrets)) => return secrets,
            Some(Err(_)) => self.problem(format!("STREAM_SECRET is too short; a secret has at least {SECRET_BYTES_MIN} bytes, such as the output of `openssl rand -hex 32`")),
            None => self.problem("STREAM_SECRET is missing; set it to the control plane's, such as the output of `openssl rand -hex 32`"),
        }
        Secrets::parse("this one is never used").expect("invariant: longer than the shortest secret")
    }

    fn tools(&mut self) -> ToolAccess {
        let private_addresses = match self.text(PRIVATE_TOOLS_SETTING).as_deref() {
            None => false,
            Some("allowed") => true,
            Some(_) => {
                self.problem(format!(
                    "{PRIVATE_TOOLS_SETTING} is not `allowed`; leave it out to ask tools at public https addresses only"
                ));
                false
            }
        };
        let secret = self.text("TOOL_SECRET").and_then(|text| {
            let secret = wire::standard_webhooks::secret(&text).ok();
            if secret.is_none() {
                self.problem(format!("TOOL_SECRET cannot be used; a secret has at least {SECRET_BYTES_MIN} bytes, as text or as whsec_ and Base64"));
            }
            secret
        });
        ToolAccess { secret, private_addresses }
    }

    fn engines(&mut self) -> Engines {
        let hume = self.text("HUME_API_KEY").map(|key| HumeAccess {
            api_key: key.into(),
            config_id: self.text("HUME_CONFIG_ID"),
            base_url: self.text("HUME_BASE_URL").unwrap_or_else(|| "https://api.hume.ai".to_owned()),
        });
        if let Some(hume) = &hume
            && let Err(error) = wire::hume::connect::socket_url(&hume.base_url)
        {
            self.problem(format!("HUME_BASE_URL cannot be used: {error}"));
        }
        let openai = self.text("OPENAI_API_KEY").map(|key| OpenAiAccess {
            api_key: key.into(),
            model: self.text("OPENAI_REALTIME_MODEL").unwrap_or_else(|| OPENAI_MODEL.to_owned()),
            base_url: self
                .text("OPENAI_BASE_URL")
                .unwrap_or_else(|| wire::openai::connect::DEFAULT_BASE_URL.to_owned()),
        });
        if let Some(openai) = &openai
            && let Err(error) = wire::openai::connect::socket_url(&openai.base_url, &openai.model)
        {
            self.problem(format!("OPENAI_BASE_URL cannot be used: {error}"));
        }
        let cascade = self.cascade();
        if hume.is_none() && openai.is_none() && cascade.is_none() {
            self.problem(
                "there are credentials for no engine; set HUME_API_KEY, or OPENAI_API_KEY, or DEEPGRAM_API_KEY with \
                 GROQ_API_KEY and CARTESIA_API_KEY, or several of them",
            );
        }
        Engines { hume, openai, cascade }
    }

    /// All three of the cascade's vendors, or none: with one key missing it could never take a call.
    fn cascade(&mut self) -> Option<CascadeAccess> {
        use wire::{cartesia, deepgram, groq};
        let names = ["DEEPGRAM_API_KEY", "GROQ_API_KEY", "CARTESIA_API_KEY"];
        let keys = names.map(|name| self.text(name));
        let missing: Vec<&str> =
            names.iter().zip(&keys).filter(|(_, key)| key.is_none()).map(|(name, _)| *name).collect();
        let [Some(hears), Some(answers), Some(speaks)] = keys else {
            // A key that lies about in somebody's shell is no reason to answer no calls.
            if missing.len() < names.len() {
                let (all, missing) = (names.join(", "), missing.join(" and "));
                self.notes.push(format!("the engine `cascade` is left out: it needs all of {all}; missing: {missing}"));
            }
            return None;
        };
        let mut vendor = |key: String, name: &str, default: &str| {
            let base_url = self.text(name).unwrap_or_else(|| default.to_owned());
            if let Err(error) = groq::connect::chat_url(&base_url) {
                self.problem(format!("{name} cannot be used: {error}"));
            }
            VendorAccess { api_key: key.into(), base_url }
        };
        Some(CascadeAccess {
            deepgram: vendor(hears, "DEEPGRAM_BASE_URL", deepgram::connect::DEFAULT_BASE_URL),
            groq: vendor(answers, "GROQ_BASE_URL", groq::connect::DEFAULT_BASE_URL),
            cartesia: vendor(speaks, "CARTESIA_BASE_URL", cartesia::connect::DEFAULT_BASE_URL),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: [(&str, &str); 5] = [
        ("PUBLIC_BASE_URL", "https://calls.example.com/"),
        ("STREAM_SECRET", "0123456789abcdef"),
        ("HUME_API_KEY", "hume-key-value"),
        ("TWILIO_AUTH_TOKEN", "auth-token-value, the-former-one"),
        ("NODE_NAME", "node-a"),
    ];

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(&|name| {
            pairs.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn with(more: &[(&'static str, &'static str)]) -> Result<Config, ConfigError> {
        read(&[&COMPLETE, more].concat())
    }

    #[test]
    fn credentials_and_an_address_are_enough() {
        let config = read(&COMPLETE).unwrap();
        assert_eq!(config.node, "node-a");
        assert_eq!(config.public_base_url, "https://calls.example.com");
        assert_eq!(config.media_stream_url, "wss://calls.example.com/media-stream");
        assert_eq!(config.address, "http://127.0.0.1:8080");
        assert_eq!((config.capacity, config.drain_within), (500, Duration::from_secs(110)));
        assert!(config.twilio.is_some() && config.engines.openai.is_none());
        assert_eq!(config.engines.hume.unwrap().base_url, "https://api.hume.ai");
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_remedy() {
        let ConfigError(problems) = read(&[
            ("PORT", "http"),
            ("HOST", "example.com"),
            ("NODE_NAME", "a b"),
            ("STREAM_SECRET", "short"),
            ("OPENAI_API_KEY", "k"),
            ("OPENAI_BASE_URL", "http://api.example.org"),
            ("MEDIA_STREAM_URL", "ws://media.example.com"),
            ("CAPACITY", "0"),
            ("TOOL_SECRET", "short"),
            ("TOOL_PRIVATE_ADDRESSES", "yes"),
        ])
        .unwrap_err();
        for name in [
            "PORT",
            "HOST",
            "NODE_NAME",
            "STREAM_SECRET",
            "OPENAI_BASE_URL",
            "MEDIA_STREAM_URL",
            "CAPACITY",
            "TOOL_SECRET",
            "TOOL_PRIVATE_ADDRESSES",
            "PUBLIC_BASE_URL",
        ] {
            assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:#?}");
        }
        assert_eq!(problems.len(), 10, "{problems:#?}");
        let ConfigError(problems) = read(&[("PUBLIC_BASE_URL", "https://a.example")]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("HUME_API_KEY")), "{problems:?}");
    }

    #[test]
    fn plain_addresses_are_for_this_machine_only() {
        assert!(with(&[("PUBLIC_BASE_URL", "http://localhost:8080")]).is_ok());
        assert!(with(&[("PUBLIC_BASE_URL", "http://calls.example.com")]).is_err());
        assert!(with(&[("HUME_BASE_URL", "http://127.0.0.1:9000")]).is_ok());
        assert!(with(&[("HUME_BASE_URL", "ws://10.0.0.1")]).is_err());
    }

    #[test]
    fn a_node_on_all_networks_must_say_where_it_is_reached() {
        let ConfigError(problems) = with(&[("HOST", "0.0.0.0")]).unwrap_err();
        assert!(problems[0].starts_with("NODE_ADDRESS"), "{problems:?}");
        let fly = with(&[("HOST", "::"), ("FLY_PRIVATE_IP", "fdaa::3")]).unwrap();
        assert_eq!(fly.address, "http://[fdaa::3]:8080");
    }

    #[test]
    fn secrets_do_not_print() {
        let more = [("OPENAI_API_KEY", "openai-key-value"), ("TOOL_SECRET", "tool-secret-value")];
        let printed = format!("{:#?}", with(&more).unwrap());
        for secret in [
            "tool-secret-value",
            "hume-key-value",
            "openai-key-value",
            "auth-token-value",
            "the-former-one",
            "0123456789abcdef",
        ] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
