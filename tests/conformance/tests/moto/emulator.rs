//! Who answers: one moto for all tests of this process, which ends when the process does.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError, mpsc};
use std::time::Duration;

use conformance::python;
use store::{Config, StaticCredentials};

/// Importing moto takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// moto walks through the whole table at each question, one after the other: with thousands of items it takes longer than
/// the store waits for an answer.
pub(crate) const BEARS_THOUSANDS: bool = false;

/// No test takes much longer than the others.
const CASES_MAX: u32 = 50;

/// How many generated cases are worth asking, of those that a test would like to. The embedded emulators have met all of
/// them: here it is enough to see that moto takes the same requests in the same way, at a hundred times their price.
pub(crate) fn cases(wanted: u32) -> u32 {
    wanted.div_ceil(6).min(CASES_MAX)
}

/// So many stores are used at a time. moto answers one request after the other, and whoever stands behind the requests of many
/// others waits longer than the store does.
const STORES_MAX: usize = 2;

static STORES: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// The place of a store among those that are used. No test uses two at a time.
#[derive(Debug)]
pub(crate) struct Kept;

impl Kept {
    /// Waits for a place. Each test has a thread of its own, so nobody else is held up.
    fn wait() -> Self {
        let (used, left) = &STORES;
        let used = used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = left.wait_while(used, |used| *used >= STORES_MAX).unwrap_or_else(PoisonError::into_inner);
        *used += 1;
        Self
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        *STORES.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        STORES.1.notify_one();
    }
}

static MOTO: LazyLock<Moto> = LazyLock::new(Moto::start);

/// A table and a bucket of this name, at moto. They are yet to be made.
pub(crate) fn open(name: &str) -> (Config, Kept) {
    let kept = Kept::wait();
    let keys = StaticCredentials { access_key: "test".into(), secret_key: "test".into() };
    (Config::new(name, name).local(&MOTO.dynamodb, &MOTO.s3, keys), kept)
}

struct Moto {
    dynamodb: String,
    s3: String,
    /// Its standard input is a pipe from this process: when that ends, however it ends, moto does.
    _process: Child,
}

impl Moto {
    fn start() -> Self {
        let mut process = Command::new(python::interpreter())
            .arg(python::script("moto_server.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python can be started");
        let said = BufReader::new(process.stdout.take().expect("invariant: it is a pipe"));
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(said.lines().next()));
        let urls = match told.recv_timeout(PATIENCE) {
            Ok(Some(Ok(urls))) => urls,
            other => {
                // It may hang in an import: it would not notice the end of its input.
                process.kill().expect("our own process may be ended");
                panic!("moto did not say where it answers: {other:?}");
            }
        };
        let (dynamodb, s3) = urls.split_once(' ').expect("invariant: the script prints both addresses");
        Self { dynamodb: dynamodb.to_owned(), s3: s3.to_owned(), _process: process }
    }
}
