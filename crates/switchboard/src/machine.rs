//! Everything in one process: the control plane's routers, a node, the store, the simulators, and what runs beside them.

mod connections;
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::agent::{Agent, AgentBook};
use embedded::{Embedded, EmbeddedError};
use functions::All;
use functions::agents::{Agents, AgentsError};
use functions::counters::Counters;
use functions::door::{ApiTokens, People, Role};
use functions::place::Boundaries;
use functions::state::{ApiState, Bell, FallbackState, StatusState, VoiceState};
use functions::webhook::Webhook;
use functions::worker::Worker;
use media_node::Node;
use secrecy::{ExposeSecret as _, SecretString};
use store::{StaticCredentials, Store, WorkKind};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use wire::signed::Secrets;

use crate::checks::{self, Check};
use crate::local;
use crate::orphans;
use crate::place::Place;
use crate::plan::{Plan, Service, Settings, Storage, local_url};
use crate::problem::{Failure, Problem};
use crate::secrets::{DataDirectory, LocalSecret, random_text};
use crate::simulators::Simulators;
use server::Server;

/// After the node is down, the last callbacks of its calls are waited for this long.
const CALLBACKS_MAX: Duration = Duration::from_secs(3);

/// AWS answers within this time, or is not there.
const STORE_ANSWERS: Duration = Duration::from_secs(8);

/// The agents that a machine without a directory of agents has.
const BUNDLED: [(&str, &str); 4] = [
    ("receptionist", include_str!("../../../agents/receptionist.toml")),
    ("transit-booking", include_str!("../../../agents/transit-booking.toml")),
    ("appointment-reminder", include_str!("../../../agents/appointment-reminder.toml")),
    ("survey", include_str!("../../../agents/survey.toml")),
];

/// A running installation.
#[derive(Debug)]
pub struct Machine {
    /// What it runs, with everything filled in.
    pub plan: Plan,
    /// Where it listens.
    pub address: SocketAddr,
    /// The simulators.
    pub simulators: Simulators,
    /// Where the agents come from; none for the bundled ones.
    pub agents_from: Option<std::path::PathBuf>,
    /// What was found out about the real services.
    pub checks: Vec<Check>,
    /// Calls that a killed process had left open.
    pub orphans: usize,
    /// The API's token of this machine.
    pub token: SecretString,
    api: ApiState,
    /// Nobody was named who may sign in.
    is_ownerless: bool,
    pub(crate) store: Store,
    pub(crate) secrets: Secrets,
    /// Rung when something may have become of a call.
    pub(crate) changed: Arc<Notify>,
    node: Node,
    bell: Bell,
    server: Server,
    worker: JoinHandle<()>,
    embedded: Option<Embedded>,
    // Held until all else is over.
    directory: DataDirectory,
}

impl Machine {
    /// Starts everything.
    ///
    /// # Errors
    ///
    /// All that must be set right first; or something broke.
    pub async fn start(mut plan: Plan) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let directory = DataDirectory::take(&plan.data_dir).map_err(|problem| problems.push(problem)).ok();
        let listener = listen(plan.listen).await.map_err(|problem| problems.push(problem)).ok();
        let agents = agents(&plan.agents_dir).map_err(|found| problems.extend(found)).ok();
        let (Some(directory), Some(listener), Some((agents, agents_from))) = (directory, listener, agents) else {
            return Err(Failure::Problems(problems));
        };
        let one = |problem| Failure::Problems(vec![problem]);
        let address = listener.local_addr()?;
        plan.fill_address(address);
        let stream_secret = directory.secret(LocalSecret::Stream).map_err(one)?;
        plan.environment.fill("STREAM_SECRET", stream_secret.expose_secret());
        let tool_secret = directory.secret(LocalSecret::Tool).map_err(one)?;
        plan.environment.fill("TOOL_SECRET", tool_secret.expose_secret());
        if plan.environment.given("WEBHOOK_URL").is_some() {
            let webhook_secret = directory.secret(LocalSecret::Webhook).map_err(one)?;
            plan.environment.fill("WEBHOOK_SECRET", webhook_secret.expose_secret());
        }
        let token = directory.secret(LocalSecret::ApiToken).map_err(one)?;
        let ours = ApiTokens::entry("this-machine", Role::Admin, token.expose_secret());
        let is_ownerless = plan.environment.given("API_TOKENS").is_none();
        let tokens = plan.environment.given("API_TOKENS").map_or(ours.clone(), |given| format!("{given},{ours}"));
        plan.environment.set("API_TOKENS", tokens);
        let numbers: Vec<String> = numbers(&agents).await;
        let simulators = Simulators::start(&mut plan, &numbers).await?;
        let settings = plan.settings().map_err(Failure::Problems)?;
        agents.place(settings.api.installation.clone());
        agents.fit().await.map_err(|error| Failure::Problems(agent_problems(&error)))?;

        let (embedded, store) = open_store(&plan, &settings).await?;
        if let Err(error) = agents.know_versions(&store).await {
            tracing::warn!(%error, "the agents' versions are not known; calls name none until an agent is saved");
        }
        let checks = checks::credentials(&plan, &settings).await;
        let wrong: Vec<Problem> = checks.iter().filter_map(Check::as_problem).collect();
        if !wrong.is_empty() {
            return Err(Failure::Problems(wrong));
        }
        let orphans = match embedded {
            Some(_) => {
                orphans::close(&store).await.map_err(|error| anyhow::anyhow!("failed to read the call log: {error}"))?
            }
            None => 0,
        };
        let secrets = settings.node.secrets.clone();
        let node = Node::start(settings.node.clone(), store.clone()).await.map_err(|error| {
            Failure::one("The media node", format!("failed to {error}"), "see the README for what it needs")
        })?;
        let (bell, changed) = (Bell::default(), Arc::new(Notify::new()));
        let webhook = settings.tell.clone().map(Webhook::new).transpose();
        let webhook = webhook.map_err(|error| anyhow::anyhow!("failed to make an HTTP client: {error}"))?;
        let worker = Worker::new(store.clone(), client(&settings)?)
            .judged_by(settings.judge.clone())
            .remembering(settings.hume_history.clone())
            .telling(webhook);
        let worker = tokio::spawn(worker.run(bell.clone()));
        let people = People::new(settings.api.api_tokens.clone(), settings.api.session_keys.clone());
        let control_plane = control_plane(settings, &store, &agents, &bell)?;
        let api = control_plane.api.clone();
        let mut router = functions::all(control_plane).merge(node.router());
        if let Some(twilio) = &simulators.twilio {
            router = router.merge(local::router(Arc::clone(twilio), people.clone()));
        }
        let server = Server::start(listener, router, people, Arc::clone(&changed));
        let place = Place { url: local_url(address), pid: std::process::id(), run: random_text(8)? };
        place.announce(directory.path())?;
        Ok(Self {
            plan,
            address,
            simulators,
            agents_from,
            checks,
            orphans,
            token,
            api,
            is_ownerless,
            store,
            secrets,
            changed,
            node,
            bell,
            server,
            worker,
            embedded,
            directory,
        })
    }

    /// Where this machine's own programs reach it.
    #[must_use]
    pub fn url(&self) -> String {
        local_url(self.address)
    }

    /// A link that signs one browser in, as this machine's owner; none where the world reaches this program, or where
    /// tokens say who may sign in.
    #[must_use]
    pub fn sign_in_link(&self) -> Option<String> {
        if !self.address.ip().is_loopback() || !self.is_ownerless {
            return None;
        }
        let key = self.api.sign_in_key(self.token.expose_secret()).ok().flatten()?;
        Some(format!("{}/#key={key}", self.url()))
    }

    /// How many calls are under way.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.node.sessions()
    }

    /// Lets go of a call's recording soon after its end, instead of when every node of a larger installation has surely
    /// stored its part: here there is one node, and what it has not stored yet is counted by it.
    pub(crate) async fn join_recording(store: &Store, bell: &Bell, id: call::CallId) {
        match store.add_work(id, WorkKind::JoinRecording, store.now()).await {
            Ok(()) => bell.ring(),
            Err(error) => tracing::debug!(%error, "a recording is joined later"),
        }
    }

    /// The worker's bell.
    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Ends in order: no new calls, running ones are finished or given up within `DRAIN_SECONDS`, what is to be stored
    /// is stored.
    pub async fn drain(self) {
        self.server.refuse_calls();
        self.node.drain().await;
        let since = Instant::now();
        while since.elapsed() < CALLBACKS_MAX && self.store.count_live_calls().await.is_ok_and(|live| live > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.server.stop().await;
        self.worker.abort();
        Place::withdraw(self.directory.path());
        drop(self.simulators);
        if let Some(embedded) = self.embedded {
            // It joins a thread of its own.
            drop(tokio::task::spawn_blocking(move || embedded.shutdown()).await);
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        use std::io::ErrorKind;
        let (name, kind) = (format!("Port {}", address.port()), error.kind());
        if kind == ErrorKind::AddrInUse {
            let remedy = "stop what uses it, or set PORT to another port (0 for any)";
            Problem::new(name, format!("is in use on {}", address.ip()), remedy)
        } else if kind == ErrorKind::PermissionDenied {
            Problem::new(name, "is not ours to use", "set PORT to a port above 1023")
        } else if kind == ErrorKind::AddrNotAvailable {
            let name = format!("HOST {}", address.ip());
            Problem::new(name, "is not an address of this machine", "leave HOST out for 127.0.0.1")
        } else {
            Problem::new(name, format!("cannot be listened at: {error}"), "set HOST and PORT to another address")
        }
    })
}

/// The agents of a directory, or the bundled ones if there is none.
fn agents(directory: &Path) -> Result<(Agents, Option<std::path::PathBuf>), Vec<Problem>> {
    if directory.is_dir() {
        return match Agents::in_directory(directory) {
            Ok(agents) => Ok((agents, Some(directory.to_owned()))),
            Err(error) => Err(agent_problems(&error)),
        };
    }
    Ok((Agents::fixed(bundled()), None))
}

fn bundled() -> AgentBook {
    let parsed = BUNDLED
        .iter()
        .map(|(name, text)| Agent::parse(name, text).expect("invariant: a test reads the bundled agents"));
    AgentBook::new(parsed).expect("invariant: a test reads the bundled agents")
}

/// What is wrong with the agents, a problem for each line.
pub(crate) fn agent_problems(error: &AgentsError) -> Vec<Problem> {
    const REMEDY: &str = "correct it; agents/receptionist.toml describes every setting";
    let text = error.to_string();
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((place, what)) => Problem::new(place, format!("is not right: {what}"), REMEDY),
        None => Problem::new("An agent", format!("is not right: {line}"), REMEDY),
    });
    lines.collect()
}

/// The numbers that agents answer.
async fn numbers(agents: &Agents) -> Vec<String> {
    let book = agents.book().await.unwrap_or_default();
    book.agents.iter().flat_map(|agent| agent.numbers.clone()).collect()
}

async fn open_store(plan: &Plan, settings: &Settings) -> Result<(Option<Embedded>, Store), Failure> {
    match &plan.storage {
        Storage::Embedded => {
            let directory = plan.data_dir.join("store");
            let embedded = tokio::task::spawn_blocking(move || Embedded::start(&directory)).await;
            let embedded = embedded.map_err(|error| anyhow::anyhow!("failed to start the store: {error}"))?;
            let embedded = embedded.map_err(|error| Failure::Problems(vec![store_problem(&error)]))?;
            let credentials = StaticCredentials {
                access_key: embedded.access_key.clone(),
                secret_key: embedded.secret_key.expose().to_owned(),
            };
            let config = settings.store.settings().local(&embedded.dynamodb_url, &embedded.s3_url, credentials);
            let store = Store::connect(config).await;
            store.create_if_absent().await.map_err(|error| anyhow::anyhow!("failed to open the store: {error}"))?;
            Ok((Some(embedded), store))
        }
        Storage::Aws { table, bucket } => {
            let store = Store::connect(settings.store.settings()).await;
            let why = match tokio::time::timeout(STORE_ANSWERS, store.check()).await {
                Ok(Ok(())) => return Ok((None, store)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            Err(Failure::one(
                format!("TABLE_NAME {table} and BUCKET_NAME {bucket}"),
                format!("cannot be used: {why}"),
                "check both names, AWS_REGION and the AWS credentials; or leave both out for a store on this machine",
            ))
        }
    }
}

fn store_problem(error: &EmbeddedError) -> Problem {
    let remedy = match error {
        EmbeddedError::Directory { .. } | EmbeddedError::Objects { .. } | EmbeddedError::Database { .. } => {
            "make it readable and writable, or set DATA_DIR to another directory"
        }
        EmbeddedError::InUse { .. } => "stop that process, or set DATA_DIR to another directory",
        EmbeddedError::System(_) => "look at the limits of this machine: open files, threads, memory",
    };
    Problem::new("The store", format!("cannot be opened: {error}"), remedy)
}

fn client(settings: &Settings) -> Result<clients::Twilio, Failure> {
    settings
        .twilio
        .clone()
        .client()
        .map_err(|error| Failure::Broken(anyhow::anyhow!("failed to make an HTTP client: {error}")))
}

fn control_plane(settings: Settings, store: &Store, agents: &Agents, bell: &Bell) -> Result<All, Failure> {
    let counters = Counters::default();
    let twilio = client(&settings)?;
    Ok(All {
        voice: VoiceState::new(settings.voice, store.clone(), agents.clone(), &counters, bell.clone()),
        fallback: FallbackState::new(settings.fallback, &counters),
        status: StatusState::new(settings.status, store.clone(), &counters, bell.clone()),
        api: ApiState::new(
            settings.api,
            store.clone(),
            agents.clone(),
            twilio,
            &counters,
            bell.clone(),
            Boundaries::default(),
        ),
    })
}

impl Machine {
    /// Whether Twilio is simulated.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.plan.twilio == Service::Simulated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_agents_are_right_and_one_is_the_default() {
        let (agents, from) = agents(Path::new("there is no such directory")).unwrap();
        assert!(from.is_none());
        assert!(format!("{agents:?}").contains("receptionist"));
    }

    #[tokio::test]
    async fn a_port_in_use_is_a_problem_with_a_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let problem = listen(taken.local_addr().unwrap()).await.unwrap_err();
        assert!(problem.what.contains("in use") && problem.remedy.contains("PORT"), "{problem:?}");
    }
}
