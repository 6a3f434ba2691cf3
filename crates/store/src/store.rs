//! The store itself: two clients, the names of what they use, and the clock; and the few requests all nouns are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use call::CallId;
use jiff::tz::TimeZone;

use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::error::{Refusal, StoreError, failure, refusal, transaction_refusal};
use crate::item::{Attributes, Item};
use crate::keys::Key;

/// A request is tried so often by the client, with back-off, before we hear of its failure.
const ATTEMPTS_MAX: u32 = 4;

/// The client waits at most so long between two tries: a caller may be waiting on the line.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// One try of a DynamoDB request answers within milliseconds, or it is lost.
const TABLE_TRY_MAX: Duration = Duration::from_secs(2);

/// All tries of a DynamoDB request: Twilio waits 15 s for a webhook's answer and the caller hears silence.
const TABLE_REQUEST_MAX: Duration = Duration::from_secs(6);

/// One try of an S3 request: a part of a recording is a few megabytes.
const BUCKET_TRY_MAX: Duration = Duration::from_secs(20);

/// All tries of an S3 request. Nobody waits for one on the line.
const BUCKET_REQUEST_MAX: Duration = Duration::from_secs(60);

/// A connection is there within this time, or not at all.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) table: String,
    pub(crate) bucket: String,
    pub(crate) retention: Duration,
    pub(crate) webhooks: bool,
    pub(crate) unreadable: Arc<AtomicU64>,
    pub(crate) time_zone: TimeZone,
    pub(crate) clock: Clock,
}

impl Store {
    /// Sets the clients up. No request is sent to the store yet.
    pub async fn connect(config: Config) -> Self {
        let mut shared = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = config.region {
            shared = shared.region(Region::new(region));
        }
        if let Some(keys) = config.credentials {
            shared = shared.credentials_provider(Credentials::new(
                keys.access_key,
                keys.secret_key,
                None,
                None,
                "switchboard",
            ));
        }
        let mut backoff = Duration::from_millis(50);
        if let Some(faults) = &config.faults {
            shared = shared.http_client(faults.http_client());
            backoff = Duration::from_millis(1);
        }
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS_MAX)
            .with_initial_backoff(backoff)
            .with_max_backoff(BACKOFF_MAX);
        let shared = shared.retry_config(retries).load().await;

        let mut dynamodb =
            aws_sdk_dynamodb::config::Builder::from(&shared).timeout_config(timeouts(TABLE_TRY_MAX, TABLE_REQUEST_MAX));
        if let Some(url) = config.dynamodb_url {
            dynamodb = dynamodb.endpoint_url(url);
        }
        let path_style = config.s3_url.is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let mut s3 = aws_sdk_s3::config::Builder::from(&shared)
            .timeout_config(timeouts(BUCKET_TRY_MAX, BUCKET_REQUEST_MAX))
            .force_path_style(path_style);
        if let Some(url) = config.s3_url {
            s3 = s3.endpoint_url(url);
        }
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            table: config.table,
            bucket: config.bucket,
            retention: config.retention,
            webhooks: config.webhooks,
            unreadable: Arc::default(),
            time_zone: config.time_zone,
            clock: config.clock,
        }
    }

    /// The current time by the store's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// How many items this process met, and passed over, that it cannot read: a later version's, or damaged ones.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// What was read of one item among many; none if it cannot be read, which is counted and must not hide the others.
    pub(crate) fn readable<T>(&self, read: Result<T, StoreError>) -> Option<T> {
        read.inspect_err(|error| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "an item is passed over");
        })
        .ok()
    }

    /// When all that belongs to a call expires.
    pub(crate) fn expiry_of(&self, id: CallId) -> Moment {
        Moment::from_ms(id.opened_at_ms()).after(self.retention)
    }

    /// Reads an item as it is now. None also for one that has expired.
    pub(crate) async fn read_item(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        let answer = request.set_key(Some(attributes(key))).send().await.map_err(|error| failure(&error))?;
        Ok(answer.item.map(Item).filter(|item| !item.has_expired(self.now())))
    }

    /// Writes an item if the condition holds.
    pub(crate) async fn put(&self, write: Write) -> Result<(), Refusal> {
        let request = self.dynamodb.put_item().table_name(&self.table).set_item(Some(write.item.0));
        let request = request
            .set_condition_expression(write.condition.expression)
            .set_expression_attribute_names(write.condition.names)
            .set_expression_attribute_values(write.condition.values);
        request.send().await.map(drop).map_err(|error| refusal(&error))
    }

    /// Writes and deletes all, or nothing.
    pub(crate) async fn transact(&self, changes: Vec<TransactWriteItem>) -> Result<(), Refusal> {
        // The SDK gives the request a token that is the same for all its tries: applied once, it stays applied once.
        let request = self.dynamodb.transact_write_items().set_transact_items(Some(changes));
        request.send().await.map(drop).map_err(|error| transaction_refusal(&error))
    }

    /// A write, as part of a transaction.
    pub(crate) fn writing(&self, write: Write) -> TransactWriteItem {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(write.item.0))
            .set_condition_expression(write.condition.expression)
            .set_expression_attribute_names(write.condition.names)
            .set_expression_attribute_values(write.condition.values)
            .build()
            .expect("invariant: table and item are set");
        TransactWriteItem::builder().put(put).build()
    }

    /// A deletion, as part of a transaction.
    pub(crate) fn deleting(&self, key: &Key, condition: Condition) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(attributes(key)))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .expect("invariant: table and key are set");
        TransactWriteItem::builder().delete(delete).build()
    }
}

impl Store {
    /// A change of single attributes, as part of a transaction.
    pub(crate) fn updating(&self, key: &Key, change: &str, condition: Condition) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(attributes(key)))
            .update_expression(change)
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .expect("invariant: table, key and change are set");
        TransactWriteItem::builder().update(update).build()
    }
}

/// An item to be written, and what must hold before.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) item: Item,
    pub(crate) condition: Condition,
}

impl Write {
    /// Whatever was there before.
    pub(crate) fn always(item: Item) -> Self {
        Self { item, condition: Condition::default() }
    }

    /// If nothing was there.
    pub(crate) fn fresh(item: Item) -> Self {
        Self { item, condition: Condition::new("attribute_not_exists(pk)") }
    }
}

/// What must hold before a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    pub(crate) expression: Option<String>,
    pub(crate) names: Option<std::collections::HashMap<String, String>>,
    pub(crate) values: Option<Attributes>,
}

impl Condition {
    pub(crate) fn new(expression: &str) -> Self {
        Self { expression: Some(expression.to_owned()), names: None, values: None }
    }

    /// Gives `#name` in the expression its attribute.
    pub(crate) fn naming(mut self, name: &str, attribute: &str) -> Self {
        self.names.get_or_insert_default().insert(name.to_owned(), attribute.to_owned());
        self
    }

    /// Gives `:name` in the expression a text.
    pub(crate) fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.with(name, Item::default().text(name, text))
    }

    /// Gives `:name` in the expression a number.
    pub(crate) fn number(self, name: &str, number: u64) -> Self {
        self.with(name, Item::default().number(name, number))
    }

    /// Gives `:name` in the expression a number below zero.
    pub(crate) fn minus(mut self, name: &str, number: u64) -> Self {
        let value = aws_sdk_dynamodb::types::AttributeValue::N(format!("-{number}"));
        self.values.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    fn with(mut self, name: &str, mut value: Item) -> Self {
        if let Some(value) = value.0.remove(name) {
            self.values.get_or_insert_default().insert(name.to_owned(), value);
        }
        self
    }
}

/// A key as attributes.
pub(crate) fn attributes(key: &Key) -> Attributes {
    Item::default().text("pk", &key.pk).text("sk", &key.sk).0
}

/// A number that names one attempt of one writer, so that it recognises its own write when the answer was lost.
pub(crate) fn nonce() -> String {
    let mut bytes = [0; 12];
    // Without the operating system's randomness a seeded generator still tells writers apart; no secret hangs on this.
    if getrandom::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits a little, longer after each vain attempt and never as long as somebody else.
pub(crate) async fn pause(attempt: u32) {
    let ms_max = 4_u64 << attempt.min(6);
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=ms_max))).await;
}

fn timeouts(one_try: Duration, all_tries: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_MAX)
        .operation_attempt_timeout(one_try)
        .operation_timeout(all_tries)
        .build()
}
