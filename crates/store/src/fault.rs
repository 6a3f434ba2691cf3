//! Bad days, by seed. **Only for tests.**

/// Faults to inject under the AWS clients.
#[derive(Clone, Debug)]
pub struct Faults;
