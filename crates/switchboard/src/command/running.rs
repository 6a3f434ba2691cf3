//! A running program for a command to talk to: the one that runs on the data directory, else one of its own.

use crate::api::Api;
use crate::environment::Environment;
use crate::events::Events;
use crate::machine::Machine;
use crate::plan::{Plan, Service};
use crate::problem::Failure;

/// A running program, whosever it is.
pub(super) struct Running {
    pub(super) api: Api,
    /// None if it runs in another process.
    pub(super) machine: Option<Machine>,
}

impl Running {
    /// Finds it, or starts one to read with.
    pub(super) async fn to_read(environment: Environment) -> Result<Self, Failure> {
        Self::find_or_start(environment, false).await
    }

    /// Finds it, or starts one to place calls with.
    pub(super) async fn to_call(environment: Environment) -> Result<Self, Failure> {
        Self::find_or_start(environment, true).await
    }

    async fn find_or_start(mut environment: Environment, to_call: bool) -> Result<Self, Failure> {
        let data_dir = Plan::data_dir_of(&environment);
        if let Some(api) = Api::of_running(&data_dir).await? {
            return Ok(Self { api, machine: None });
        }
        let plan = Plan::read(environment.clone()).map_err(Failure::Problems)?;
        // Nobody outside needs to reach it, unless Twilio is real: any port will do, and none is in the way.
        if !to_call || plan.twilio == Service::Simulated {
            environment.set("HOST", "127.0.0.1");
            environment.set("PORT", "0");
        }
        let machine = Machine::start(Plan::read(environment).map_err(Failure::Problems)?).await?;
        if to_call {
            tokio::spawn(Events::of(&machine, false, None).run());
        }
        let api = Api::new(&machine.url(), machine.token.clone())?;
        Ok(Self { api, machine: Some(machine) })
    }

    /// Ends it, if it is ours.
    pub(super) async fn finish(self) {
        if let Some(machine) = self.machine {
            machine.drain().await;
        }
    }
}
