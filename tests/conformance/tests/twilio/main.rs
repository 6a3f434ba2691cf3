//! Twilio's own package judges the simulated Twilio, our signatures and our TwiML.

mod desk;
mod documents;

use std::time::Duration;

use conformance::python::{Desk, judge};
use serde_json::{Value, json};
use sim::phone::CallerScript;
use sim::twilio::{Callee, OwnedNumber, Twilio, TwilioConfig};
use wire::twilio::sid::{AccountSid, PhoneNumberSid};
use wire::twilio::signature::{Algorithm, Verifier, sign, sign_with, with_body_hash};
use wire::twilio::twiml::Webhook;
use wire::twilio::twiml::read::{Instruction, Loopback, read};

const TOKEN: &str = "an-auth-token-for-tests";
const OURS: &str = "+12025550100";
const PATIENCE: Duration = Duration::from_secs(20);

/// Callers whose numbers are none, or would break a careless form.
const CALLERS: [&str; 8] = [
    "+12025550123",
    "anonymous",
    "",
    "client:Zoë Ünïcode 東京",
    "sip:a&b=c@example.com;x=1",
    "+1 202%2B555",
    "a\u{1F600}b",
    " \t",
];

fn config(desk: &desk::Server) -> TwilioConfig {
    let mut config = TwilioConfig::new(AccountSid::from_number(7), TOKEN, 1);
    config.numbers = (0..5)
        .map(|number| OwnedNumber {
            sid: PhoneNumberSid::from_number(number + 1),
            phone_number: format!("+1202555010{number}"),
            voice: Some(Webhook::post(desk.url("voice?tenant=caf%C3%A9+%2B&empty=&b=2&a=1&a=0#rc=1&rp=all"))),
            voice_fallback: None,
            status_callback: Some(Webhook::post(desk.url("ended"))),
        })
        .collect();
    config.call_interval = Duration::from_millis(5);
    config.default_callee = Callee::answers(Duration::from_millis(30), CallerScript::new());
    config.timing.say_per_character = Duration::from_millis(1);
    config.timing.setup = Duration::from_millis(5);
    config.timing.play = Duration::from_millis(5);
    config
}

/// What we sign that the simulated Twilio has no occasion to: bodies that are not forms, other algorithms, hard cases.
fn our_signatures() -> Vec<Value> {
    let url = "https://example.com/voice/inbound?tenant=demo&x=1";
    let form: [(&str, &str); 7] =
        [("To", OURS), ("Empty", ""), ("a b", "ü + %"), ("A", "2"), ("A", "1"), ("A", "1"), ("Zoë", "東京\n")];
    let body = "{\"property\":\"Zoë\",\"boolean\":true}";
    let hashed = with_body_hash("https://example.com:8443/events?x=1", body.as_bytes());
    let mut signed = vec![
        json!({"url": url, "pairs": form, "algorithm": "HMAC_SHA1", "signature": sign(TOKEN, url, form)}),
        json!({"url": url, "pairs": form, "algorithm": "HMAC_SHA256", "signature": sign_with(Algorithm::HmacSha256, TOKEN, url, form)}),
        json!({"url": hashed, "body": body, "algorithm": "HMAC_SHA1", "signature": sign(TOKEN, &hashed, [])}),
    ];
    for url in [
        "https://example.com",
        "https://example.com:443/",
        "http://example.com:8080/a?b",
        "wss://media.example.com/stream/",
    ] {
        signed.push(json!({"url": url, "pairs": [], "algorithm": "HMAC_SHA1", "signature": sign(TOKEN, url, [])}));
    }
    signed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilios_package_accepts_our_signatures_and_documents_and_drives_the_simulated_twilio() {
    let paper = Desk::new("twilio");
    let server = desk::Server::start().await;
    let twilio = Twilio::start(config(&server)).await.expect("a port is free");
    let calls: Vec<_> = CALLERS
        .iter()
        .map(|from| twilio.place_inbound(from, OURS, CallerScript::new()).expect("the number is ours"))
        .collect();
    for call in &calls {
        let record = twilio.finished(*call, PATIENCE).await.expect("the call ends");
        assert!(record.notices.is_empty(), "{:?}", record.notices);
    }
    let documents = documents::all();
    let written = documents.iter().map(|(name, document)| json!({"name": name, "xml": document.to_xml()}));
    judge(
        "twilio",
        &[
            ("TWILIO_URL", twilio.base_url().expect("it listens")),
            ("ACCOUNT_SID", twilio.config().account_sid.to_string()),
            ("AUTH_TOKEN", TOKEN.to_owned()),
            ("HOOKS_URL", server.url("")),
            ("OVERHEARD", paper.write("overheard", conformance::stories::phone())),
            ("OUR_SIGNATURES", paper.write("our-signatures", our_signatures())),
            ("OUR_DOCUMENTS", paper.write("our-documents", written)),
            ("SIGNATURES_OUT", paper.path("signatures")),
            ("DOCUMENTS_OUT", paper.path("documents")),
        ],
    )
    .await;
    let signed = paper.read("signatures");
    let wrong: Vec<_> = signed.iter().filter(|line| accepted(line) != (line["genuine"] == true)).collect();
    assert!(wrong.is_empty(), "we judge {wrong:#?} otherwise than Twilio's package");
    assert!(signed.iter().filter(|line| line["genuine"] == true).count() >= 30);
    let theirs = paper.read("documents");
    assert_eq!(theirs.len(), documents.len());
    for line in theirs {
        let name = line["name"].as_str().expect("a name");
        let read = read(line["xml"].as_str().expect("a document"), Loopback::Refused)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (_, ours) = documents.iter().find(|(ours, _)| *ours == name).expect("it is one of ours");
        let verbs: Vec<_> = ours.verbs.iter().cloned().map(Instruction::Verb).collect();
        assert_eq!((read.instructions, read.warnings), (verbs, Vec::new()), "{name}");
    }
}

/// Whether our verifier takes a request that Twilio's package signed.
fn accepted(line: &Value) -> bool {
    let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {line}"));
    let verifier = Verifier::new(&[text("token")]);
    let (url, signature) = (text("url"), text("signature"));
    match text("kind") {
        "form" => {
            let pairs: Vec<(String, String)> = serde_json::from_value(line["pairs"].clone()).expect("pairs of texts");
            verifier
                .verify_form(url, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())), signature)
                .is_ok()
        }
        "get" => verifier.verify_get(url, signature).is_ok(),
        "json" => verifier.verify_json(url, text("body").as_bytes(), signature).is_ok(),
        "upgrade" => verifier.verify_upgrade(url, signature).is_ok(),
        other => panic!("{other} is no sort of request"),
    }
}
