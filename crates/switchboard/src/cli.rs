//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::scenario::Scenario;

/// AI voices on real phone lines, on your own Twilio account.
///
/// Without a command it runs: everything in one process, on one port. What has no
/// credentials is simulated, so that a call can be heard without any account. The
/// other commands use a running one, or start one for themselves.
#[derive(Clone, Debug, Parser)]
#[command(name = "switchboard", version, verbatim_doc_comment, after_help = AFTER)]
pub struct Cli {
    /// What to do; without it, `dev`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER: &str = "\
Settings come from the environment: PORT, DATA_DIR, PUBLIC_BASE_URL, TWILIO_*, HUME_*,
OPENAI_*, DEEPGRAM_*, GROQ_*, CARTESIA_* and others; the README lists them all.
RUST_LOG=info shows the log.
Exit codes: 0 done, 1 not done, 2 something must be set right first.";

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs everything on this machine (the default).
    Dev(Dev),
    /// Places a call and shows it as it is spoken.
    ///
    /// With Twilio simulated, somebody with a recorded voice takes it, and
    /// --scenario says who. Try: switchboard call +12025550123
    #[command(verbatim_doc_comment)]
    Call(Call),
    /// Lists calls, shows one, exports them.
    #[command(subcommand)]
    Calls(Calls),
    /// Lists the agents, or checks their files.
    #[command(subcommand)]
    Agents(Agents),
    /// Lists the media nodes.
    Nodes(Output),
    /// Scores whoever judges calls: Gemini with a key, else the local rule.
    #[command(subcommand)]
    Outcomes(Outcomes),
    /// Checks credentials, reachability, the number's webhooks and the clock, and says what to do.
    Doctor(Doctor),
}

/// Running everything.
#[derive(Clone, Debug, Default, Args)]
pub struct Dev {
    /// Shows spoken words also when the phone line is real. (When Twilio is simulated they are shown anyway.)
    #[arg(long)]
    pub words: bool,
}

/// Placing a call.
#[derive(Clone, Debug, Args)]
pub struct Call {
    /// Who is called, in E.164, such as +12025550123. With --inbound: who calls.
    pub number: String,
    /// The agent; the default one if left out.
    #[arg(long)]
    pub agent: Option<String>,
    /// The engine to try first.
    #[arg(long, value_parser = ["hume", "openai", "cascade"])]
    pub engine: Option<String>,
    /// A value for one of the agent's {{variables}}; may be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,
    /// Which of our numbers calls.
    #[arg(long)]
    pub from: Option<String>,
    /// Who takes the call, when Twilio is simulated.
    #[arg(long, value_enum)]
    pub scenario: Option<Scenario>,
    /// Somebody calls us instead; only when Twilio is simulated.
    #[arg(long, conflicts_with_all = ["agent", "engine", "variables", "from"])]
    pub inbound: bool,
}

/// The call log.
#[derive(Clone, Debug, Subcommand)]
pub enum Calls {
    /// Lists calls, the newest first.
    List(List),
    /// Shows a call: transcript, interruptions, engines, latency, recording.
    Show(Show),
    /// Writes calls and what was said in them, for spreadsheets and programs.
    Export(Export),
}

/// Which calls: all filters hold together.
#[derive(Clone, Debug, Default, Args)]
pub struct CallFilters {
    /// From this day on, such as 2026-01-31.
    #[arg(long)]
    pub from: Option<String>,
    /// Up to this day.
    #[arg(long)]
    pub to: Option<String>,
    /// With this number.
    #[arg(long)]
    pub phone: Option<String>,
    /// inbound or outbound.
    #[arg(long)]
    pub direction: Option<String>,
    /// queued, ringing, in_progress, completed, busy, no_answer, failed or canceled.
    #[arg(long)]
    pub status: Option<String>,
    /// yes, no or unclear.
    #[arg(long)]
    pub outcome: Option<String>,
    /// Of this agent.
    #[arg(long)]
    pub agent: Option<String>,
    /// With this engine.
    #[arg(long)]
    pub engine: Option<String>,
    /// At least this many seconds.
    #[arg(long)]
    pub min_duration: Option<u32>,
    /// At most this many seconds.
    #[arg(long)]
    pub max_duration: Option<u32>,
    /// In which these words were said, all of them, in any order.
    #[arg(short, long = "words", value_name = "WORDS")]
    pub q: Option<String>,
}

/// A list of calls.
#[derive(Clone, Debug, Default, Args)]
pub struct List {
    /// Which.
    #[command(flatten)]
    pub filters: CallFilters,
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
    /// Where the page before ended, as it said.
    #[arg(long)]
    pub cursor: Option<String>,
    /// How to show them.
    #[command(flatten)]
    pub output: Output,
}

/// An export.
#[derive(Clone, Debug, Default, Args)]
pub struct Export {
    /// Which calls.
    #[command(flatten)]
    pub filters: CallFilters,
    /// How to write them.
    #[arg(long, value_enum, default_value_t)]
    pub format: SheetFormat,
    /// Leaves out numbers and words.
    #[arg(long)]
    pub redact: bool,
    /// Where to; the standard output if left out.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SheetFormat {
    /// For spreadsheets.
    #[default]
    Csv,
    /// One list.
    Json,
    /// A line for each call.
    Ndjson,
}

/// Which call.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The call's id, or its last letters; without it the latest call.
    pub id: Option<String>,
    /// How to show it.
    #[command(flatten)]
    pub output: Output,
}

/// Agents.
#[derive(Clone, Debug, Subcommand)]
pub enum Agents {
    /// Lists the agents of a running program, or of the files.
    List(Output),
    /// Checks files and says everything that is wrong, each with its line.
    Validate {
        /// Files, or directories with files; the agents' directory if left out.
        paths: Vec<PathBuf>,
    },
}

/// Judging calls.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Outcomes {
    /// Has a labelled set of calls in four languages judged, and says how many verdicts are right.
    Score(Output),
}

/// The doctor.
#[derive(Clone, Copy, Debug, Args)]
pub struct Doctor {
    /// Sets the number's webhooks right.
    #[arg(long)]
    pub fix: bool,
    /// How to show it.
    #[command(flatten)]
    pub output: Output,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Output {
    /// Writes JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

impl Cli {
    /// What is logged unless `RUST_LOG` says otherwise: the program shows the life of calls by itself.
    #[must_use]
    pub const fn log_filter(&self) -> &'static str {
        match self.command {
            None | Some(Command::Dev(_)) => "warn",
            Some(
                Command::Call(_)
                | Command::Calls(_)
                | Command::Agents(_)
                | Command::Nodes(_)
                | Command::Outcomes(_)
                | Command::Doctor(_),
            ) => "error",
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_runs() {
        assert!(Cli::try_parse_from(["switchboard"]).unwrap().command.is_none());
        let cli = Cli::try_parse_from(["switchboard", "call", "+12025550123", "--var", "clinic_name=A = B"]).unwrap();
        let Some(Command::Call(call)) = cli.command else { panic!("a call") };
        assert_eq!(call.variables, [("clinic_name".to_owned(), "A = B".to_owned())]);
        assert!(Cli::try_parse_from(["switchboard", "call", "+12025550123", "--var", "x"]).is_err());
        assert!(Cli::try_parse_from(["switchboard", "call", "+1", "--inbound", "--agent", "a"]).is_err());
    }
}
