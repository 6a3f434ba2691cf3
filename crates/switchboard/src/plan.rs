//! What is real, what is simulated, and everything that is wrong with that: one pure function of the environment.
//!
//! A service without credentials is simulated. For engines there is one more rule: as soon as one engine has credentials
//! the others are left out instead, because a simulated engine that stands in for a real one would leave a person
//! talking to a recording.
//!
//! Twilio with credentials and without a public address still starts: the log can be read, the doctor asked and the
//! API used. What cannot be done then (calls) is said in the start table, with the way out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use functions::PublicUrl;
use functions::config::{
    ApiConfig, ConfigError, FallbackConfig, Lookup, StatusConfig, StoreConfig, TellConfig, TwilioConfig, VoiceConfig,
};
use functions::judge::Judge;

use crate::environment::Environment;
use crate::problem::Problem;
use crate::start_table;

/// The number that a simulated Twilio owns. It is set aside for fiction.
pub const SIMULATED_NUMBER: &str = "+12025550100";

/// The variables that are Twilio credentials, all or in part.
const TWILIO: [&str; 7] = [
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_PHONE_NUMBER",
    "TWILIO_API_KEY",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_API_SECRET",
    "TWILIO_BASE_URL",
];

/// The vendors that are the cascade together, as their variables begin. It has all of them or is none.
pub const CASCADE: [&str; 3] = ["DEEPGRAM", "GROQ", "CARTESIA"];

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The variables.
    pub environment: Environment,
    /// Where to listen; port 0 for any.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where the agents' files are.
    pub agents_dir: PathBuf,
    /// Twilio.
    pub twilio: Service,
    /// Hume EVI.
    pub hume: Service,
    /// OpenAI Realtime.
    pub openai: Service,
    /// The cascade: each of its [three vendors](CASCADE).
    pub cascade: Service,
    /// The keys that keep it from being real, where others of its vendors' variables are set.
    pub cascade_lacks: Vec<String>,
    /// Calls and recordings.
    pub storage: Storage,
}

/// How a service is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// With credentials.
    Real,
    /// By us.
    Simulated,
    /// Not at all.
    LeftOut,
}

/// Where calls and recordings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the data directory.
    Embedded,
    /// In a table and a bucket at AWS, or wherever the AWS settings point.
    Aws {
        /// The table.
        table: String,
        /// The bucket.
        bucket: String,
    },
}

/// The settings of all parts, read from a complete environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `/twilio/voice`.
    pub voice: VoiceConfig,
    /// `/twilio/voice/fallback`.
    pub fallback: FallbackConfig,
    /// `/twilio/status`.
    pub status: StatusConfig,
    /// `/v1`.
    pub api: ApiConfig,
    /// Twilio's REST interface.
    pub twilio: TwilioConfig,
    /// Who judges calls.
    pub judge: Judge,
    /// Whose history fills transcripts.
    pub hume_history: Option<clients::Hume>,
    /// Whom to tell what becomes of calls.
    pub tell: Option<TellConfig>,
    /// The media node.
    pub node: media_node::Config,
    /// The store.
    pub store: StoreConfig,
}

impl Plan {
    /// Decides, and finds everything that is wrong.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with its remedy.
    pub fn read(environment: Environment) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let twilio = if TWILIO.iter().any(|name| environment.given(name).is_some()) {
            Service::Real
        } else {
            Service::Simulated
        };
        let cascade_lacks = cascade_lacks(&environment);
        let [hume, openai, cascade] = engines(&environment, &mut problems);
        if twilio == Service::Real {
            twilio_is_whole(&environment, &mut problems);
        }
        let port = port(&environment, &mut problems);
        let host = host(&environment, &mut problems);
        let plan = Self {
            listen: SocketAddr::new(host, port),
            data_dir: environment.given("DATA_DIR").unwrap_or(".switchboard").into(),
            agents_dir: environment.given("AGENTS_DIR").unwrap_or("agents").into(),
            twilio,
            hume,
            openai,
            cascade,
            cascade_lacks,
            storage: storage(&environment),
            environment,
        };
        // The same reading as at the start, with something in the place of what is not known before: what is found
        // wrong now would be found wrong then.
        if let Err(found) = plan.provisional().settings() {
            for problem in found {
                if !problems.iter().any(|known| known.name == problem.name) {
                    problems.push(problem);
                }
            }
        }
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }

    /// The data directory, whatever else may be wrong: for a command that only looks for a running process.
    #[must_use]
    pub fn data_dir_of(environment: &Environment) -> PathBuf {
        environment.given("DATA_DIR").unwrap_or(".switchboard").into()
    }

    /// Whether Twilio could reach us at the address it is given.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        let is_local = |url: &str| {
            let host = url.split("://").nth(1).unwrap_or_default();
            ["localhost", "127.", "[::1]"].iter().any(|local| host.starts_with(local))
        };
        match self.twilio {
            Service::Simulated => true,
            // Whoever answers for Twilio on this machine reaches this machine.
            Service::Real if self.environment.given("TWILIO_BASE_URL").is_some_and(is_local) => true,
            Service::Real | Service::LeftOut => {
                self.environment.given("PUBLIC_BASE_URL").is_some_and(|url| !is_local(url))
            }
        }
    }

    /// How long running calls are given at the end.
    #[must_use]
    pub fn drain_within(&self) -> Duration {
        Duration::from_secs(self.environment.get("DRAIN_SECONDS").and_then(|text| text.parse().ok()).unwrap_or(110))
    }

    /// The settings of all parts.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn settings(&self) -> Result<Settings, Vec<Problem>> {
        let source = |name: &str| self.environment.lookup(name);
        let mut lookup = Lookup::new(&source);
        // A store without a name is reported by whoever reads next.
        let store = StoreConfig::read(&mut lookup);
        let voice = VoiceConfig::read(&mut lookup);
        let fallback = FallbackConfig::read(&mut lookup);
        let status = StatusConfig::read(&mut lookup);
        let api = ApiConfig::read(&mut lookup);
        let twilio = TwilioConfig::read(&mut lookup);
        let judge = Judge::read(&mut lookup);
        let hume = functions::config::hume(&mut lookup);
        let tell = TellConfig::read(&mut lookup);
        let node = media_node::Config::from_lookup(&source);
        let mut problems = Vec::new();
        let mut note = |problem: Problem| {
            if !problems.iter().any(|known: &Problem| known.name == problem.name) {
                problems.push(problem);
            }
        };
        let errors: [Option<&ConfigError>; 8] = [
            voice.as_ref().err(),
            fallback.as_ref().err(),
            status.as_ref().err(),
            api.as_ref().err(),
            twilio.as_ref().err(),
            judge.as_ref().err(),
            hume.as_ref().err(),
            tell.as_ref().err(),
        ];
        for problem in errors.into_iter().flatten().flat_map(|error| &error.0) {
            note(Problem::new(&problem.name, &problem.what, &problem.remedy));
        }
        for text in node.as_ref().err().into_iter().flat_map(|error| &error.0) {
            note(from_sentence(text));
        }
        match (voice, fallback, status, api, twilio, judge, hume, tell, node) {
            (
                Ok(mut voice),
                Ok(fallback),
                Ok(status),
                Ok(mut api),
                Ok(twilio),
                Ok(judge),
                Ok(hume_history),
                Ok(tell),
                Ok(mut node),
            ) => {
                voice.simulated = self.twilio == Service::Simulated;
                api.simulated = voice.simulated;
                api.installation.engines = Some(node.engines.credentialed().collect());
                let port = node.listen.port();
                api.local_origins = vec![format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}")];
                node.local_origins = api.local_origins.clone();
                api.services = start_table::services(self).into_iter().map(Into::into).collect();
                Ok(Settings { voice, fallback, status, api, twilio, judge, hume_history, tell, node, store })
            }
            _ => Err(problems),
        }
    }

    /// The settings with something in the place of what is only known once the program runs: for the doctor, who looks
    /// at what lies outside.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn provisional_settings(&self) -> Result<Settings, Vec<Problem>> {
        self.provisional().settings()
    }

    /// Fills in what is known once the program listens at this address.
    pub fn fill_address(&mut self, address: SocketAddr) {
        let local = local_url(address);
        self.environment.set("PORT", address.port().to_string());
        self.environment.fill("NODE_ADDRESS", &local);
        self.environment.fill("PUBLIC_BASE_URL", &local);
        if self.storage == Storage::Embedded {
            self.environment.fill("TABLE_NAME", "switchboard");
            self.environment.fill("BUCKET_NAME", "switchboard");
        }
    }

    /// Fills in the way to the simulated Twilio.
    pub fn fill_twilio(&mut self, account_sid: &str, auth_token: &str, base_url: &str) {
        self.environment.fill("TWILIO_ACCOUNT_SID", account_sid);
        self.environment.fill("TWILIO_AUTH_TOKEN", auth_token);
        self.environment.fill("TWILIO_PHONE_NUMBER", SIMULATED_NUMBER);
        self.environment.fill("TWILIO_BASE_URL", base_url);
    }

    /// Fills in the way to a simulated engine.
    pub fn fill_engine(&mut self, name: &str, base_url: &str) {
        for (name, value) in [(format!("{name}_API_KEY"), "simulated"), (format!("{name}_BASE_URL"), base_url)] {
            // What lies about of one vendor of the cascade alone must lead nowhere else.
            if self.environment.given(&name).is_some() {
                self.environment.set(&name, value);
            } else {
                self.environment.fill(&name, value);
            }
        }
    }

    fn provisional(&self) -> Self {
        let mut plan = self.clone();
        let port = if self.listen.port() == 0 { 8080 } else { self.listen.port() };
        plan.fill_address(SocketAddr::new(self.listen.ip(), port));
        plan.environment.set("HOST", self.listen.ip().to_string());
        plan.environment.fill("STREAM_SECRET", "a secret that is never used");
        plan.environment.fill("API_TOKENS", format!("nobody:viewer:{}", "0".repeat(64)));
        if self.twilio == Service::Simulated {
            plan.fill_twilio(&format!("AC{}", "0".repeat(32)), "never used", "http://127.0.0.1:9");
        }
        let cascade = CASCADE.map(|name| (name, self.cascade));
        for (name, service) in [("HUME", self.hume), ("OPENAI", self.openai)].into_iter().chain(cascade) {
            match service {
                Service::Simulated => plan.fill_engine(name, "http://127.0.0.1:9"),
                // A key that is missing has been reported, and is not reported again as an engine that is.
                Service::Real => plan.environment.fill(&format!("{name}_API_KEY"), "never used"),
                Service::LeftOut => {}
            }
        }
        plan
    }
}

/// Where this machine's own programs reach an address that we listen at.
#[must_use]
pub fn local_url(address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Hume, OpenAI, the cascade.
fn engines(environment: &Environment, problems: &mut Vec<Problem>) -> [Service; 3] {
    let has_cascade = CASCADE.iter().all(|name| environment.given(&format!("{name}_API_KEY")).is_some());
    let mut has_key = |name: &str| {
        let (key, url) = (format!("{name}_API_KEY"), format!("{name}_BASE_URL"));
        let has_key = environment.given(&key).is_some();
        if !has_key && environment.given(&url).is_some() {
            let remedy = format!("set {key} as well (to anything, if nobody checks it there), or leave {url} out");
            problems.push(Problem::new(key, format!("is not set, although {url} is"), remedy));
        }
        has_key || environment.given(&url).is_some()
    };
    match [has_key("HUME"), has_key("OPENAI"), has_cascade] {
        [false, false, false] => [Service::Simulated; 3],
        some => some.map(|real| if real { Service::Real } else { Service::LeftOut }),
    }
}

/// The keys that the cascade lacks, if anything of a vendor of it is set. Without all three it could never take a call;
/// but a key that lies about in somebody's shell is no reason not to start.
fn cascade_lacks(environment: &Environment) -> Vec<String> {
    let is_given = |name: &String| environment.given(name).is_some();
    let (keys, urls) = (CASCADE.map(|name| format!("{name}_API_KEY")), CASCADE.map(|name| format!("{name}_BASE_URL")));
    if !keys.iter().chain(&urls).any(is_given) {
        return Vec::new();
    }
    keys.into_iter().filter(|key| !is_given(key)).collect()
}

fn twilio_is_whole(environment: &Environment, problems: &mut Vec<Problem>) {
    let where_from = [
        ("TWILIO_ACCOUNT_SID", "copy it from Twilio's console"),
        (
            "TWILIO_AUTH_TOKEN",
            "copy it from Twilio's console (webhooks are signed with it, also when an API key is used)",
        ),
        ("TWILIO_PHONE_NUMBER", "set it to a number of your account in E.164, such as +12025550123"),
    ];
    for (name, remedy) in where_from {
        if environment.given(name).is_none() {
            let remedy = format!("{remedy}; or leave out all TWILIO_ variables, and Twilio is simulated");
            problems.push(Problem::new(name, "is not set, although other TWILIO_ variables are", remedy));
        }
    }
    let public = environment.given("PUBLIC_BASE_URL").map(str::parse::<PublicUrl>);
    if let Some(Err(error)) = public {
        let remedy = "set it to the https:// address at which Twilio reaches this program, such as a tunnel's";
        problems.push(Problem::new("PUBLIC_BASE_URL", error.to_string(), remedy));
    }
}

fn port(environment: &Environment, problems: &mut Vec<Problem>) -> u16 {
    match environment.given("PORT").map(str::parse::<u16>) {
        None => 8080,
        Some(Ok(port)) => port,
        Some(Err(_)) => {
            problems.push(Problem::new(
                "PORT",
                "is not a port",
                "use a number from 1 to 65535, or 0 for any; leave it out for 8080",
            ));
            8080
        }
    }
}

fn host(environment: &Environment, problems: &mut Vec<Problem>) -> IpAddr {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match environment.given("HOST") {
        None | Some("localhost") => local,
        Some(text) => text.parse().unwrap_or_else(|_| {
            let remedy = "use 127.0.0.1 for this machine only, 0.0.0.0 or :: for all networks";
            problems.push(Problem::new("HOST", "is not an IP address", remedy));
            local
        }),
    }
}

fn storage(environment: &Environment) -> Storage {
    match (environment.given("TABLE_NAME"), environment.given("BUCKET_NAME")) {
        (None, None) => Storage::Embedded,
        (table, bucket) => {
            Storage::Aws { table: table.unwrap_or_default().to_owned(), bucket: bucket.unwrap_or_default().to_owned() }
        }
    }
}

/// A node's problem is a sentence that begins with the variable's name and gives the remedy after a semicolon.
fn from_sentence(text: &str) -> Problem {
    let (what, remedy) = text.split_once("; ").unwrap_or((text, "see the README for what it can be"));
    match what.split_once(' ') {
        Some((name, what)) if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
            Problem::new(name, what, remedy)
        }
        Some(_) | None => Problem::new("The configuration:", what, remedy),
    }
}

#[cfg(test)]
mod tests;
