//! Credentials: what a Twilio that checks them makes of the program, and the doctor of a number.

use std::process::Output;

use sim::twilio::{Twilio, TwilioConfig};
use wire::twilio::AccountSid;

use crate::harness::{DataDir, program, stderr, stdout};

const OURS: &str = "+12025550199";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_sets_a_number_right_and_is_content_afterwards() {
    let twilio =
        Twilio::start(TwilioConfig::new(AccountSid::from_number(7), TOKEN, 1).with_number(OURS, None)).await.unwrap();
    let data_dir = DataDir::new("fix");
    let before = ask(&twilio, &data_dir, TOKEN, &["doctor"]).await;
    assert_eq!(before.status.code(), Some(1), "{}{}", stdout(&before), stderr(&before));
    assert!(stdout(&before).contains("Voice URL") && stdout(&before).contains("is not set"), "{}", stdout(&before));

    let fixed = ask(&twilio, &data_dir, TOKEN, &["doctor", "--fix"]).await;
    assert!(fixed.status.success(), "{}{}", stdout(&fixed), stderr(&fixed));
    assert!(stdout(&fixed).contains("set to https://voice.example.com/twilio/voice#"), "{}", stdout(&fixed));

    let after = ask(&twilio, &data_dir, TOKEN, &["doctor", "--json"]).await;
    let found: serde_json::Value = serde_json::from_slice(&after.stdout).unwrap();
    for what in ["Twilio's credentials", "Clock", "Voice URL", "Fallback URL", "Status callback"] {
        let check = found.as_array().unwrap().iter().find(|check| check["what"] == what);
        assert_eq!(check.map(|check| check["verdict"].clone()), Some("good".into()), "{what}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_keep_it_from_starting() {
    let twilio =
        Twilio::start(TwilioConfig::new(AccountSid::from_number(7), TOKEN, 1).with_number(OURS, None)).await.unwrap();
    let data_dir = DataDir::new("wrong");
    let refused = ask(&twilio, &data_dir, "another token", &["dev"]).await;
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(
        text.contains("Twilio's credentials") && text.contains("TWILIO_AUTH_TOKEN") && !text.contains("another token"),
        "{text}"
    );
}

/// The simulated Twilio runs here, so that its numbers can be looked at; the program takes it for Twilio itself.
async fn ask(twilio: &Twilio, data_dir: &DataDir, token: &str, arguments: &[&str]) -> Output {
    let base = twilio.base_url().unwrap();
    let account = twilio.config().account_sid.to_string();
    let mut command = program(
        &data_dir.0,
        &[
            ("TWILIO_ACCOUNT_SID", &account),
            ("TWILIO_AUTH_TOKEN", token),
            ("TWILIO_PHONE_NUMBER", OURS),
            ("TWILIO_BASE_URL", &base),
            ("PUBLIC_BASE_URL", "https://voice.example.com"),
        ],
    );
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
