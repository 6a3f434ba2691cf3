//! Which table and bucket to use, and how to reach them.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::fault::Faults;

/// Which table and bucket to use, and how to reach them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The DynamoDB table.
    pub table: String,
    /// The S3 bucket.
    pub bucket: String,
    /// The AWS region; none to take it from the environment, as AWS tools do.
    pub region: Option<String>,
    /// Where DynamoDB answers, if not at AWS.
    pub dynamodb_url: Option<String>,
    /// Where S3 answers, if not at AWS. Keys then go into the path, not the host name.
    pub s3_url: Option<String>,
    /// Credentials; none to take them from the environment, as AWS tools do.
    pub credentials: Option<StaticCredentials>,
    /// How long a call is kept.
    pub retention: Duration,
    /// Whether somebody is told what becomes of calls: only then is the work of telling written.
    pub webhooks: bool,
    /// What a day is, in figures by day.
    pub time_zone: TimeZone,
    /// Where the time comes from.
    pub clock: Clock,
    /// Faults to inject. Only for tests.
    pub faults: Option<Faults>,
}

impl Config {
    /// The table and bucket `switchboard`, at AWS, kept for a year.
    #[must_use]
    pub fn new(table: impl Into<String>, bucket: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            bucket: bucket.into(),
            region: None,
            dynamodb_url: None,
            s3_url: None,
            credentials: None,
            retention: Duration::from_secs(365 * 24 * 3_600),
            webhooks: false,
            time_zone: TimeZone::UTC,
            clock: Clock::System,
            faults: None,
        }
    }

    /// The same, answered by emulators at these addresses.
    #[must_use]
    pub fn local(self, dynamodb_url: &str, s3_url: &str, credentials: StaticCredentials) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            dynamodb_url: Some(dynamodb_url.to_owned()),
            s3_url: Some(s3_url.to_owned()),
            credentials: Some(credentials),
            ..self
        }
    }
}

/// An access key and its secret. Neither prints: an emulator on this machine takes the key's id alone for proof.
#[derive(Clone)]
pub struct StaticCredentials {
    /// The access key's id.
    pub access_key: String,
    /// The secret.
    pub secret_key: String,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials").finish_non_exhaustive()
    }
}
