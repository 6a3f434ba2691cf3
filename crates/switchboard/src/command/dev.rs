//! `dev`: everything on one machine, until it is asked to end.

use crate::cli::Dev;
use crate::environment::Environment;
use crate::events::Events;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::problem::Failure;
use crate::start_table;
use crate::terminal::Screen;

use super::stop::Stop;

pub(super) async fn run(dev: &Dev, environment: Environment, mut screen: Screen) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let plan = Plan::read(environment).map_err(Failure::Problems)?;
    let machine = Machine::start(plan).await?;
    start_table::show(&machine, &mut screen);
    let words = dev.words || machine.is_simulated();
    let events = tokio::spawn(Events::of(&machine, words, Some(Screen::stdout())).run());
    stop.asked().await;
    stop.then_at_once();
    let within = machine.plan.drain_within().as_secs();
    match machine.calls() {
        0 => screen.line("\n  Ending."),
        1 => screen.line(&format!("\n  Ending, as soon as the call under way is over, in {within} s at the latest. Ctrl-C again ends at once.")),
        n => screen.line(&format!("\n  Ending, as soon as {n} calls under way are over, in {within} s at the latest. Ctrl-C again ends at once.")),
    }
    machine.drain().await;
    events.abort();
    screen.line("  Everything is stored.");
    Ok(())
}
