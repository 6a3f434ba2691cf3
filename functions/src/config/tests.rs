//! Configuration read from a few variables.

use std::collections::BTreeMap;

use super::*;

fn read<T>(
    variables: &[(&str, &str)],
    read: impl Fn(&mut Lookup<'_>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    read(&mut Lookup::new(&|name| variables.get(name).map(|value| (*value).to_owned())))
}

#[test]
fn all_problems_come_at_once_each_with_its_remedy() {
    let wrong =
        [("STREAM_SECRET", "short"), ("MAX_CALLS", "many"), ("TIME_ZONE", "Mars/Olympus"), ("API_TOKENS", "hunter2")];
    let error = read(&wrong, ApiConfig::read).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    PUBLIC_BASE_URL is not set: set it to where Twilio reaches the control plane, such as https://voice.example.com
    STREAM_SECRET cannot be used: a secret has at least 16 bytes: set it to the output of: openssl rand -hex 32 (the same for the control plane and the nodes)
    API_TOKENS cannot be read: entry 1 is not name:role:sha256 (role viewer, operator or admin; sha256 of the token in 64 hex digits; each name once): list who may use the API as name:role:sha256, with: printf %s "$TOKEN" | sha256sum
    TWILIO_PHONE_NUMBER is not set: set it to a number of your Twilio account in E.164, such as +12025550123
    MAX_CALLS is not a whole number from 1 to 100000: leave it out for 100
    TIME_ZONE is not a time zone: use a name such as Europe/Berlin or America/New_York
    "#);
}

#[test]
fn what_is_left_out_has_its_default_and_secrets_do_not_print() {
    let tokens = ApiTokens::entry("ada", crate::door::Role::Admin, "token");
    let config = read(
        &[
            ("PUBLIC_BASE_URL", "https://voice.example.com"),
            ("STREAM_SECRET", "0123456789abcdef-hush"),
            ("API_TOKENS", &tokens),
            ("TWILIO_PHONE_NUMBER", "+12025550123"),
        ],
        ApiConfig::read,
    )
    .unwrap();
    assert_eq!(config.media.to_string(), "wss://voice.example.com/media-stream");
    assert_eq!((config.calls_max, config.calls_per_second, config.call_max.as_secs()), (100, 1, 1_800));
    assert!(config.guard.check("+12025550100").is_ok() && config.guard.check("+442079460123").is_err());
    let printed = format!("{config:?}");
    assert!(!printed.contains("hush") && !printed.contains(&tokens[10..30]), "{printed}");
}

#[test]
fn credentials_are_a_key_or_a_token_and_never_half_of_a_key() {
    let sid = ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000002");
    let config = read(&[sid, ("TWILIO_AUTH_TOKEN", "new,old")], TwilioConfig::read).unwrap();
    assert!(matches!(config.credentials, Credentials::AuthToken(token) if token.expose_secret() == "new"));
    let error = read(&[sid, ("TWILIO_API_KEY", "SK1")], TwilioConfig::read).unwrap_err();
    assert_eq!(error.0[0].name, "TWILIO_API_KEY_SECRET");
    assert_eq!(read(&[("TWILIO_BASE_URL", "ftp://x")], TwilioConfig::read).unwrap_err().0.len(), 3);
}
