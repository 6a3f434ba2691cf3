//! Who answers: emulators in this process, or whoever the environment names.

use embedded::Embedded;
use store::{Config, StaticCredentials};

/// Whether a table with thousands of items still answers at once.
pub(crate) const BEARS_THOUSANDS: bool = true;

/// How many generated cases are worth asking, of those that a test would like to. All of them here.
pub(crate) const fn cases(wanted: u32) -> u32 {
    wanted
}

/// What has to be kept while a store is used.
pub(crate) type Kept = Option<Embedded>;

/// A table and a bucket of this name, at whoever answers. They are yet to be made.
pub(crate) fn open(name: &str) -> (Config, Kept) {
    let Ok(dynamodb) = std::env::var("TEST_DYNAMODB_URL") else {
        let embedded = Embedded::in_memory().unwrap();
        return (local(&embedded, name), Some(embedded));
    };
    let s3 = std::env::var("TEST_S3_URL").expect("TEST_S3_URL is set as well");
    let keys = StaticCredentials { access_key: "test".into(), secret_key: "test".into() };
    (Config::new(name, name).local(&dynamodb, &s3, keys), None)
}

/// The configuration for an emulator of our own.
pub(crate) fn local(embedded: &Embedded, name: &str) -> Config {
    let secret_key = embedded.secret_key.expose().to_owned();
    let keys = StaticCredentials { access_key: embedded.access_key.clone(), secret_key };
    Config::new(name, name).local(&embedded.dynamodb_url, &embedded.s3_url, keys)
}
