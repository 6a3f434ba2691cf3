//! What a person sees when the program has started: what is real, where it is, and what to do next.

use functions::{Service as Shown, ServiceState};

use crate::checks::Verdict;
use crate::machine::Machine;
use crate::plan::{Plan, SIMULATED_NUMBER, Service, Storage};
use crate::secrets::LocalSecret;
use crate::terminal::{Screen, Style, short_number};

/// Width of the first column, and of the second.
const NAME: usize = 10;
const STATE: usize = 11;

/// Writes the table.
pub fn show(machine: &Machine, screen: &mut Screen) {
    let plan = &machine.plan;
    let version = env!("CARGO_PKG_VERSION");
    screen.line(&format!("\n  {} {}\n", screen.paint(Style::Strong, "Switchboard"), screen.paint(Style::Dim, version)));
    for row in services(plan) {
        row.show(screen);
    }
    screen.line("");
    let url = machine.url();
    match machine.sign_in_link() {
        Some(link) => entry(screen, "Dashboard", &format!("{link}   (signs one browser in, once, within the hour)")),
        None => entry(screen, "Dashboard", &format!("{url}/   (sign in with a token)")),
    }
    entry(screen, "API", &format!("{url}   (described at {url}/openapi.json)"));
    if plan.twilio == Service::Real {
        let public = plan.environment.get("PUBLIC_BASE_URL").unwrap_or_default();
        entry(
            screen,
            "Public",
            if plan.is_reachable() { public } else { "none: Twilio cannot reach this machine (see below)" },
        );
    }
    entry(screen, "Data", &format!("{}/", plan.data_dir.display()));
    entry(screen, "Token", &format!("in {}", plan.data_dir.join(LocalSecret::ApiToken.file()).display()));
    let agents = machine
        .agents_from
        .as_ref()
        .map_or("the included ones (there is no directory agents/ here)".to_owned(), |path| {
            format!("{}/*.toml, read again when they change", path.display())
        });
    entry(screen, "Agents", &agents);
    for check in machine.checks.iter().filter(|check| check.verdict != Verdict::Good) {
        let remedy = check.remedy.as_deref().unwrap_or_default();
        screen.line(&format!("\n  {} {}: {}", screen.paint(Style::Warn, "!"), check.what, check.found));
        screen.line(&format!("    {} {remedy}", screen.paint(Style::Dim, "→")));
    }
    if machine.orphans > 0 {
        let calls = if machine.orphans == 1 { "One call" } else { "Some calls" };
        screen.line(&format!(
            "\n  {calls} of an earlier run had never been closed, and {} now.",
            if machine.orphans == 1 { "is" } else { "are" }
        ));
    }
    next_steps(machine, screen);
    screen.line(&format!("\n  {}\n", screen.paint(Style::Dim, "Ctrl-C ends it, in order. What happens from now on:")));
}

/// What the program works with, and whether it is real.
pub(crate) struct Row {
    name: &'static str,
    state: ServiceState,
    why: String,
}

impl Row {
    fn show(&self, screen: &mut Screen) {
        let name = screen.cell(Style::Strong, self.name, NAME);
        let (state, style) = match self.state {
            ServiceState::Real => ("real", Style::Good),
            ServiceState::Embedded => ("embedded", Style::Good),
            ServiceState::Simulated => ("simulated", Style::Warn),
            ServiceState::LocalRule => ("local rule", Style::Warn),
            ServiceState::LeftOut => ("left out", Style::Dim),
            ServiceState::Unknown => ("not known", Style::Dim),
        };
        let state = screen.cell(style, state, STATE);
        screen.line(&format!("  {name}{state}{}", screen.paint(Style::Dim, &self.why)));
    }
}

impl From<Row> for Shown {
    fn from(row: Row) -> Self {
        Self { name: row.name.to_owned(), state: row.state, detail: row.why }
    }
}

/// What this plan works with.
pub(crate) fn services(plan: &Plan) -> Vec<Row> {
    let given = |name: &str| plan.environment.given(name);
    let at = |name: &str, service: &str| given(name).map_or_else(|| service.to_owned(), |url| format!("at {url}"));
    let twilio = match plan.twilio {
        Service::Real => {
            let number = short_number(given("TWILIO_PHONE_NUMBER").unwrap_or_default());
            real("Twilio", format!("{number}, {}", at("TWILIO_BASE_URL", "your account")))
        }
        Service::Simulated | Service::LeftOut => simulated(
            "Twilio",
            "no TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER; the phone is simulated as well".to_owned(),
        ),
    };
    let engine = |name: &'static str, service: Service, prefix: &str| {
        let key = format!("{prefix}_API_KEY");
        match service {
            Service::Real => real(name, at(&format!("{prefix}_BASE_URL"), &format!("with {key}"))),
            Service::Simulated => simulated(name, format!("no {key}; understands its own recorded callers only")),
            Service::LeftOut => left_out(name, format!("no {key}, and another engine has its key")),
        }
    };
    let vendor = |name: &'static str, prefix: &str, does: &str| {
        let key = format!("{prefix}_API_KEY");
        let does = format!("{does} for the engine `cascade`");
        let lacks = &plan.cascade_lacks;
        let without = if lacks.is_empty() || lacks.contains(&key) {
            format!("no {key}")
        } else {
            format!("something of it is set, but not {}", lacks.join(" and "))
        };
        match plan.cascade {
            Service::Real => {
                real(name, format!("{does}, {}", at(&format!("{prefix}_BASE_URL"), &format!("with {key}"))))
            }
            Service::Simulated => simulated(name, format!("{without}; {does}")),
            Service::LeftOut => left_out(name, format!("{without}, and another engine has its key; {does}")),
        }
    };
    let storage = match &plan.storage {
        Storage::Embedded => Row {
            name: "Store",
            state: ServiceState::Embedded,
            why: "DynamoDB and S3 in this process; set TABLE_NAME and BUCKET_NAME for AWS".to_owned(),
        },
        Storage::Aws { table, bucket } => real("Store", format!("table {table}, bucket {bucket}")),
    };
    let judge = match given("GEMINI_API_KEY") {
        Some(_) => real("Gemini", format!("{} judges calls", given("GEMINI_MODEL").unwrap_or(clients::Gemini::MODEL))),
        None => Row {
            name: "Gemini",
            state: ServiceState::LocalRule,
            why: "no GEMINI_API_KEY; a rule on phrases judges calls, for demonstrations".to_owned(),
        },
    };
    vec![
        twilio,
        engine("Hume EVI", plan.hume, "HUME"),
        engine("OpenAI", plan.openai, "OPENAI"),
        vendor("Deepgram", "DEEPGRAM", "hears"),
        vendor("Groq", "GROQ", "answers"),
        vendor("Cartesia", "CARTESIA", "speaks"),
        judge,
        storage,
    ]
}

fn real(name: &'static str, why: String) -> Row {
    Row { name, state: ServiceState::Real, why }
}

fn simulated(name: &'static str, why: String) -> Row {
    Row { name, state: ServiceState::Simulated, why }
}

fn left_out(name: &'static str, why: String) -> Row {
    Row { name, state: ServiceState::LeftOut, why }
}

fn entry(screen: &mut Screen, name: &str, text: &str) {
    screen.line(&format!("  {}{text}", screen.cell(Style::Strong, name, NAME)));
}

fn next_steps(machine: &Machine, screen: &mut Screen) {
    let plan = &machine.plan;
    let port = machine.address.port();
    let mut step = |title: &str, lines: &[String]| {
        screen.line(&format!("\n  {}", screen.paint(Style::Strong, title)));
        for line in lines {
            screen.line(&format!("    {line}"));
        }
    };
    match plan.twilio {
        Service::Simulated | Service::LeftOut => {
            step(
                "Hear it work, in another terminal",
                &[
                    "cargo run -- call +12025550123                       place a call; somebody recorded takes it"
                        .to_owned(),
                    "cargo run -- call +12025550123 --scenario hangs-up   … or does something else (--help)".to_owned(),
                    format!(
                        "cargo run -- call +12025550123 --inbound             somebody calls us, at {SIMULATED_NUMBER}"
                    ),
                    "cargo run -- calls show                              what was said, when, and how fast".to_owned(),
                ],
            );
            step(
                "For real calls",
                &[
                    "set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER and HUME_API_KEY or OPENAI_API_KEY"
                        .to_owned(),
                    "(or DEEPGRAM_API_KEY, GROQ_API_KEY and CARTESIA_API_KEY, which are the cascade),".to_owned(),
                    format!("get a public address ({}) and set PUBLIC_BASE_URL to it,", tunnel(port)),
                    "then: cargo run -- doctor --fix".to_owned(),
                ],
            );
        }
        Service::Real if plan.is_reachable() => step(
            "Make a call, in another terminal",
            &[
                "cargo run -- doctor --fix            points your number's webhooks here; then call it".to_owned(),
                "cargo run -- call +<your number>     calls you".to_owned(),
            ],
        ),
        Service::Real => step(
            "No call can be made yet: Twilio needs a public address of this machine",
            &[
                format!("1. {}", tunnel(port)),
                "2. start again with PUBLIC_BASE_URL=<the https:// address that it shows>".to_owned(),
                "3. cargo run -- doctor --fix         points your number's webhooks here".to_owned(),
            ],
        ),
    }
}

/// How to get a public address of this machine.
#[must_use]
pub fn tunnel(port: u16) -> String {
    format!("cloudflared tunnel --url http://localhost:{port}")
}
