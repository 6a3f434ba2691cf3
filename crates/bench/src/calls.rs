//! What lists, searches and single reads cost among ten thousand calls and among two hundred thousand, beside a query that
//! asks the emulator for the same number of items and does nothing else.
//!
//! The calls are put in by the emulator's own library: through the store it would take an hour. Request units and items
//! are counted and must be equal; times are medians of many, compared with the bare query's in the same minute.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use call::CallId;
use embedded::Embedded;
use serde_json::json;
use store::{CallRecord, Config, Lead, ListQuery, Moment, Outcome, Reads, StaticCredentials, Store, search_words};

/// How often each question is asked.
const ROUNDS: u32 = 200;

/// Calls on a page.
const LIMIT: usize = 50;

/// A call comes every so often.
const APART: Duration = Duration::from_secs(120);

/// So many are put in at once.
const BATCH: usize = 5_000;

const TABLE: &str = "calls";

/// What was asked, how long it took, and what it read.
struct Row {
    name: &'static str,
    median: Duration,
    p95: Duration,
    reads: Option<Reads>,
    /// Calls on the page. A page that has examined all it may is handed out short.
    found: usize,
}

/// Measures among each of these numbers of calls, and prints a table for `BENCHMARKS.md`.
pub(crate) fn run(counts: &[u32]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut tables = Vec::new();
    for count in counts {
        let directory = Directory::new(*count)?;
        runtime.block_on(load(&directory.0, *count))?;
        let rows = runtime.block_on(measure(&directory.0, *count))?;
        print(*count, &rows);
        tables.push(rows);
    }
    for (one, next) in tables.iter().zip(tables.iter().skip(1)) {
        for (few, many) in one.iter().zip(next) {
            ensure!(few.reads == many.reads, "{}: {:?} became {:?}", few.name, few.reads, many.reads);
            ensure!(few.found == many.found, "{}: a page of {} became one of {}", few.name, few.found, many.found);
        }
    }
    Ok(())
}

fn print(count: u32, rows: &[Row]) {
    println!("\n{count} calls, {LIMIT} on a page, {ROUNDS} times each\n");
    println!("| question | calls found | median ms | p95 ms | × bare query | requests | items | request units |");
    println!("|---|---|---|---|---|---|---|---|");
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    let bare = rows.first().map_or(1.0, |row| ms(row.median));
    for Row { name, median, p95, reads, found } in rows {
        let ratio = ms(*median) / bare;
        let reads = reads.map_or_else(
            || "– | – | –".to_owned(),
            |reads| format!("{} | {} | {}", reads.requests, reads.items, reads.units),
        );
        println!("| {name} | {found} | {:.2} | {:.2} | {ratio:.2} | {reads} |", ms(*median), ms(*p95));
    }
}

async fn open(directory: &Path) -> anyhow::Result<(Embedded, Store)> {
    let embedded = Embedded::start(directory)?;
    let keys = StaticCredentials {
        access_key: embedded.access_key.clone(),
        secret_key: embedded.secret_key.expose().to_owned(),
    };
    let config = Config::new(TABLE, TABLE).local(&embedded.dynamodb_url, &embedded.s3_url, keys);
    let retention = Duration::from_secs(2 * 365 * 24 * 3_600);
    let store = Store::connect(Config { retention, ..config }).await;
    Ok((embedded, store))
}

/// Makes the table through the store, and puts the calls in without it.
async fn load(directory: &Path, count: u32) -> anyhow::Result<()> {
    let (embedded, store) = open(directory).await?;
    store.create_if_absent().await?;
    let now = store.now();
    embedded.shutdown();
    let mut files = std::fs::read_dir(directory)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "sqlite"));
    let file = file.context("failed to find the emulator's database")?;
    let database = dynoxide::Database::new(&file.display().to_string())?;
    let began = Instant::now();
    let mut items = Vec::new();
    for n in 0..count {
        let words = search_words(said(n));
        for item in store.bulk_items(&call(now, n)?, &words)? {
            items.push(serde_json::from_value(item)?);
        }
        if items.len() >= BATCH || n + 1 == count {
            database.import_items(TABLE, std::mem::take(&mut items), dynoxide::ImportOptions::default())?;
        }
    }
    println!("{count} calls were put in within {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// What is said in a call: a common word in each, another in some.
const fn said(n: u32) -> &'static str {
    match n % 50 {
        0 => "please dentist",
        1 | 2 => "please appointment",
        _ => "please",
    }
}

fn call(now: Moment, n: u32) -> anyhow::Result<CallRecord> {
    let at = now.before(APART * (n + 1));
    let outcome = [Some(Outcome::Yes), Some(Outcome::No), None, None][n as usize % 4];
    let phone = format!("+1202555{:04}", 100 + n % 40);
    let call = json!({
        "id": CallId::new(at.as_ms(), u128::from(n)), "twilio_sid": null, "direction": "inbound",
        "from": phone, "to": "+12025550100", "phone": phone, "agent": "receptionist", "agent_version": 1,
        "engine": "hume", "engines_tried": ["hume"], "status": if n.is_multiple_of(5) { "no_answer" } else { "completed" },
        "ended_by": "caller", "end_reason": "hung_up", "created_at": at, "answered_at": at, "ended_at": at,
        "duration_s": 60, "outcome": outcome, "epoch": 1, "recording": null, "simulated": true,
    });
    Ok(serde_json::from_value(call)?)
}

async fn measure(directory: &Path, count: u32) -> anyhow::Result<Vec<Row>> {
    let (embedded, store) = open(directory).await?;
    let mut rows = vec![bare(&embedded, store.now()).await?];
    let words = |text: &str| -> BTreeSet<String> { search_words(text) };
    let lists: [(&'static str, Lead, Option<store::Status>); 6] = [
        ("list", Lead::Time, None),
        ("list, only unanswered calls", Lead::Time, Some(store::Status::NoAnswer)),
        ("calls with a number", Lead::Phone("+12025550107".to_owned()), None),
        ("bookings", Lead::Outcome(Outcome::Yes), None),
        ("calls with a common word", Lead::Words(words("please")), None),
        ("calls with a rare and a common word", Lead::Words(words("please, dentists")), None),
    ];
    for (name, lead, status) in lists {
        let query = ListQuery { lead, limit: LIMIT, ..ListQuery::default() };
        let (mut times, mut reads, mut found) = (Vec::new(), None, 0);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let page = store.list_calls(&query, |call| status.is_none_or(|status| call.status == status)).await?;
            times.push(began.elapsed());
            ensure!(!page.calls.is_empty(), "{name}: an empty page");
            ensure!(reads.is_none_or(|before| before == page.reads), "{name}: the same page reads differently");
            (reads, found) = (Some(page.reads), page.calls.len());
        }
        rows.push(row(name, times, reads, found));
    }
    let newest = ListQuery { limit: LIMIT, ..ListQuery::default() };
    let ids: Vec<CallId> = store.list_calls(&newest, |_| true).await?.calls.iter().map(|call| call.id).collect();
    let mut times = Vec::new();
    for id in ids.iter().cycle().take(ROUNDS as usize) {
        let began = Instant::now();
        store.call(*id).await?;
        times.push(began.elapsed());
    }
    rows.push(row("one call", times, None, 1));
    ensure!(count as usize > LIMIT * 50, "too few calls to tell anything");
    Ok(rows)
}

/// The same number of items of the same index, by a client of its own.
async fn bare(embedded: &Embedded, now: Moment) -> anyhow::Result<Row> {
    let keys = Credentials::new(&embedded.access_key, embedded.secret_key.expose(), None, None, "bench");
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(keys)
        .endpoint_url(&embedded.dynamodb_url);
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    let month = now.before(APART * 60).to_string();
    let month = format!("M#{}", month.get(..7).context("a time begins with its month")?);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let answer = client
            .query()
            .table_name(TABLE)
            .index_name("time")
            .key_condition_expression("#month = :month")
            .expression_attribute_names("#month", "month")
            .expression_attribute_values(":month", AttributeValue::S(month.clone()))
            .scan_index_forward(false)
            .limit(i32::try_from(LIMIT)? + 1)
            .send()
            .await?;
        times.push(began.elapsed());
        ensure!(answer.items().len() == LIMIT + 1, "the bare query finds {}", answer.items().len());
    }
    Ok(row("bare query", times, None, LIMIT + 1))
}

fn row(name: &'static str, mut times: Vec<Duration>, reads: Option<Reads>, found: usize) -> Row {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Row { name, median: at(50), p95: at(95), reads, found }
}

/// A directory that goes away.
struct Directory(PathBuf);

impl Directory {
    fn new(count: u32) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("switchboard-bench-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What stays behind in the system's own place for such things harms nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
