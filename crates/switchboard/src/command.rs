//! The commands, each in a file of its own.

mod agents;
mod call;
mod calls;
mod dev;
mod doctor;
mod export;
mod nodes;
mod outcomes;
mod running;
mod stop;

use crate::cli::{Agents, Calls, Cli, Command, Outcomes};
use crate::environment::Environment;
use crate::problem::Failure;
use crate::terminal::Screen;

/// Does what the command line says.
pub(crate) async fn carry_out(cli: Cli, environment: Environment, mut screen: Screen) -> Result<(), Failure> {
    match cli.command.unwrap_or_else(|| Command::Dev(crate::cli::Dev::default())) {
        Command::Dev(dev) => dev::run(&dev, environment, screen).await,
        Command::Call(call) => call::run(&call, environment, &mut screen).await,
        Command::Calls(Calls::List(list)) => calls::list(&list, environment, &mut screen).await,
        Command::Calls(Calls::Show(show)) => calls::show(&show, environment, &mut screen).await,
        Command::Calls(Calls::Export(export)) => export::export(&export, environment).await,
        Command::Agents(Agents::List(output)) => agents::list(output, environment, &mut screen).await,
        Command::Agents(Agents::Validate { paths }) => agents::validate(&paths, &environment, &mut screen),
        Command::Nodes(output) => nodes::list(output, environment, &mut screen).await,
        Command::Outcomes(Outcomes::Score(output)) => outcomes::score(output, &environment, &mut screen).await,
        Command::Doctor(doctor) => doctor::run(doctor, environment, &mut screen).await,
    }
}
