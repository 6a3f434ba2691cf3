//! `doctor`: looks at everything a call depends on outside this program, and says what to do about it.

mod clock;
mod engines;
mod webhooks;

use std::time::Duration;

use functions::PublicUrl;
use functions::judge::Judge;

use crate::api::Api;
use crate::checks::{self, Check, Verdict};
use crate::cli::Doctor;
use crate::environment::Environment;
use crate::plan::{Plan, Service, Settings, Storage};
use crate::problem::Failure;
use crate::start_table::tunnel;
use crate::terminal::{Screen, Style, wrapped};

use super::calls::json_line;

/// A question to the outside is answered within this time.
const PATIENCE: Duration = Duration::from_secs(6);

/// Letters of a line of findings.
const WIDTH: usize = 84;

pub(super) async fn run(doctor: Doctor, environment: Environment, screen: &mut Screen) -> Result<(), Failure> {
    let plan = Plan::read(environment).map_err(Failure::Problems)?;
    let settings = plan.provisional_settings().map_err(Failure::Problems)?;
    let running = Api::of_running(&plan.data_dir).await?;
    let mut found = simulated(&plan);
    found.extend(judge(&plan, &settings));
    found.push(program(running.as_ref(), &plan));
    if let Some(api) = &running {
        found.extend(engines::left_alone(api).await);
    }
    let (credentials, public, clock) = tokio::join!(
        checks::credentials(&plan, &settings),
        public_address(&plan, running.is_some()),
        clock::check(&plan),
    );
    let accepted = !credentials.iter().any(|check| check.verdict == Verdict::Bad);
    found.extend(credentials);
    found.extend(public);
    found.push(clock);
    if plan.twilio == Service::Real && accepted {
        found.extend(number(&plan, &settings, doctor.fix).await);
    }
    if doctor.output.json {
        json_line(screen, &found)?;
    } else {
        show(screen, &found);
    }
    let bad = found.iter().any(|check| check.verdict == Verdict::Bad);
    if bad { Err(Failure::Unsuccessful) } else { Ok(()) }
}

/// What there is nothing to check about.
fn simulated(plan: &Plan) -> Vec<Check> {
    let services = [
        ("Twilio", plan.twilio),
        ("Hume EVI", plan.hume),
        ("OpenAI", plan.openai),
        ("Deepgram", plan.cascade),
        ("Groq", plan.cascade),
        ("Cartesia", plan.cascade),
    ];
    let mut found: Vec<Check> = services
        .into_iter()
        .filter_map(|(name, service)| match service {
            Service::Simulated => Some(Check::good(name, "simulated: it has no credentials")),
            Service::LeftOut => Some(Check::good(name, "left out: it has no credentials, and another engine has")),
            Service::Real => None,
        })
        .collect();
    if plan.twilio == Service::Real && plan.hume == Service::Simulated {
        found.push(Check::doubtful(
            "Engines",
            "the phone line is real and the engines are simulated: they understand recorded callers only",
            "set HUME_API_KEY or OPENAI_API_KEY, or DEEPGRAM_API_KEY with GROQ_API_KEY and CARTESIA_API_KEY",
        ));
    }
    if plan.storage == Storage::Embedded {
        found.push(Check::good("Store", format!("embedded, in {}", plan.data_dir.display())));
    }
    found
}

/// Who judges calls, where nobody has to be asked for it.
fn judge(plan: &Plan, settings: &Settings) -> Option<Check> {
    const WHAT: &str = "Gemini";
    const FOUND: &str =
        "not asked: GEMINI_API_KEY is not set. The local rule, on phrases, judges calls; it is for demonstrations";
    match (&settings.judge, plan.twilio) {
        (Judge::Gemini(_), _) => None,
        (Judge::LocalRule, Service::Real) => Some(Check::doubtful(WHAT, FOUND, "set GEMINI_API_KEY")),
        (Judge::LocalRule, Service::Simulated | Service::LeftOut) => Some(Check::good(WHAT, FOUND)),
    }
}

fn program(running: Option<&Api>, plan: &Plan) -> Check {
    match running {
        Some(api) => Check::good("Program", format!("runs at {}", api.base())),
        None => Check::doubtful(
            "Program",
            format!("does not run on {}", plan.data_dir.display()),
            "start it in another terminal: cargo run",
        ),
    }
}

/// Whether Twilio could reach us, seen from here.
async fn public_address(plan: &Plan, runs: bool) -> Option<Check> {
    const WHAT: &str = "Public address";
    if plan.twilio != Service::Real {
        return None;
    }
    let port = plan.listen.port();
    if !plan.is_reachable() {
        let remedy = format!("run {}, and set PUBLIC_BASE_URL to the address that it shows", tunnel(port));
        return Some(Check::bad(WHAT, "there is none: Twilio cannot reach this machine", remedy));
    }
    let public: PublicUrl = plan.environment.get("PUBLIC_BASE_URL")?.parse().ok()?;
    if !runs {
        return Some(Check::doubtful(
            WHAT,
            format!("{public}: not asked, because the program does not run"),
            "start it, and ask again",
        ));
    }
    let asked = async {
        let client =
            reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        let response = client.get(public.join("/health")).send().await?;
        let status = response.status().as_u16();
        Ok::<_, reqwest::Error>((status, response.text().await.unwrap_or_default()))
    };
    Some(match asked.await {
        Ok((200, body)) if body.trim() == "ok" => Check::good(WHAT, format!("{public} leads here")),
        Ok((status, _)) => Check::bad(
            WHAT,
            format!("{public} answers, but something else is there (HTTP {status})"),
            format!("let the tunnel or proxy lead to port {port} of this machine"),
        ),
        Err(_) => Check::bad(WHAT, format!("{public} does not answer"), format!("is the tunnel up? {}", tunnel(port))),
    })
}

async fn number(plan: &Plan, settings: &Settings, fix: bool) -> Vec<Check> {
    match (settings.twilio.clone().client(), plan.environment.get("PUBLIC_BASE_URL").map(str::parse::<PublicUrl>)) {
        (Ok(client), Some(Ok(public))) => {
            // A number is not pointed at a machine that cannot be reached.
            let fix = fix && plan.is_reachable();
            let public = plan.is_reachable().then_some(public);
            webhooks::check(&client.with_timeout(PATIENCE), &settings.api.our_number, public.as_ref(), fix).await
        }
        (Ok(client), _) => webhooks::check(&client.with_timeout(PATIENCE), &settings.api.our_number, None, false).await,
        (Err(error), _) => vec![Check::doubtful(
            "Number",
            format!("could not be checked: {error}"),
            "look at this machine's certificates",
        )],
    }
}

fn show(screen: &mut Screen, found: &[Check]) {
    screen.line("");
    let width = found.iter().map(|check| check.what.chars().count()).max().unwrap_or(0) + 2;
    for check in found {
        let (mark, style) = match check.verdict {
            Verdict::Good => ("✓", Style::Good),
            Verdict::Doubtful => ("?", Style::Warn),
            Verdict::Bad => ("✗", Style::Bad),
        };
        let what = screen.cell(Style::Strong, &check.what, width);
        let mut lines = wrapped(&check.found, WIDTH).into_iter();
        screen.line(&format!("  {} {what}{}", screen.paint(style, mark), lines.next().unwrap_or_default()));
        for line in lines {
            screen.line(&format!("    {:width$}{line}", ""));
        }
        if let Some(remedy) = &check.remedy {
            screen.line(&format!("    {:width$}{} {remedy}", "", screen.paint(Style::Dim, "→")));
        }
    }
    let count = |verdict| found.iter().filter(|check| check.verdict == verdict).count();
    let result = match (count(Verdict::Bad), count(Verdict::Doubtful)) {
        (0, 0) => screen.paint(Style::Good, "All is well."),
        (0, n) => screen.paint(Style::Warn, &format!("Nothing is broken; {n} to look at.")),
        (n, _) => screen.paint(Style::Bad, &format!("{n} to be set right.")),
    };
    screen.line(&format!("\n  {result}\n"));
}
