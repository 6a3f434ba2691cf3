use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Plan, Vec<Problem>> {
    Plan::read(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn names(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.name.as_str()).collect()
}

const ACCOUNT: (&str, &str) = ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000002");

#[test]
fn without_any_variable_everything_is_simulated() {
    let plan = read(&[]).unwrap();
    assert_eq!([plan.twilio, plan.hume, plan.openai, plan.cascade], [Service::Simulated; 4]);
    assert_eq!((plan.storage.clone(), plan.listen.to_string().as_str()), (Storage::Embedded, "127.0.0.1:8080"));
    assert!(plan.is_reachable());
}

#[test]
fn credentials_and_a_public_address_are_enough_for_a_real_call() {
    let plan = read(&[
        ACCOUNT,
        ("TWILIO_AUTH_TOKEN", "token"),
        ("TWILIO_PHONE_NUMBER", "+12025550123"),
        ("OPENAI_API_KEY", "key"),
        ("PUBLIC_BASE_URL", "https://voice.example.com"),
    ])
    .unwrap();
    assert_eq!((plan.twilio, plan.hume, plan.openai), (Service::Real, Service::LeftOut, Service::Real));
    assert!(plan.is_reachable());
}

#[test]
fn without_a_public_address_it_starts_and_knows_that_twilio_cannot_reach_it() {
    let credentials = [ACCOUNT, ("TWILIO_AUTH_TOKEN", "token"), ("TWILIO_PHONE_NUMBER", "+12025550123")];
    assert!(!read(&credentials).unwrap().is_reachable());
    let loopback = [&credentials[..], &[("PUBLIC_BASE_URL", "http://localhost:8080")]].concat();
    assert!(!read(&loopback).unwrap().is_reachable());
    let stand_in = [&credentials[..], &[("TWILIO_BASE_URL", "http://127.0.0.1:4010")]].concat();
    assert!(read(&stand_in).unwrap().is_reachable());
}

#[test]
fn half_of_the_credentials_are_a_problem_each_with_both_ways_out() {
    let problems = read(&[ACCOUNT]).unwrap_err();
    assert_eq!(names(&problems), ["TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"]);
    assert!(problems.iter().all(|problem| problem.remedy.contains("simulated")), "{problems:?}");
}

#[test]
fn the_cascade_has_the_keys_of_all_its_vendors_or_says_which_are_missing() {
    let keys = [("DEEPGRAM_API_KEY", "a"), ("GROQ_API_KEY", "b"), ("CARTESIA_API_KEY", "c")];
    let plan = read(&keys).unwrap();
    assert_eq!([plan.hume, plan.openai, plan.cascade], [Service::LeftOut, Service::LeftOut, Service::Real]);
    let engines = plan.provisional_settings().unwrap().node.engines.cascade.unwrap();
    assert_eq!(engines.groq.base_url, wire::groq::connect::DEFAULT_BASE_URL);
    let elsewhere = [&keys[..], &[("CARTESIA_BASE_URL", "http://127.0.0.1:4011")]].concat();
    let engines = read(&elsewhere).unwrap().provisional_settings().unwrap().node.engines.cascade.unwrap();
    assert_eq!(engines.cartesia.base_url, "http://127.0.0.1:4011");

    let beside_another = read(&[("GROQ_API_KEY", "b"), ("OPENAI_API_KEY", "key")]).unwrap();
    assert_eq!([beside_another.openai, beside_another.cascade], [Service::Real, Service::LeftOut]);
    assert_eq!(beside_another.cascade_lacks, ["DEEPGRAM_API_KEY", "CARTESIA_API_KEY"]);
    let node = beside_another.provisional_settings().unwrap().node;
    assert!(node.engines.cascade.is_none() && node.engines.openai.is_some());
    assert!(node.notes[0].ends_with("missing: DEEPGRAM_API_KEY and CARTESIA_API_KEY"), "{:?}", node.notes);

    let mut alone = read(&[("GROQ_API_KEY", "b"), ("GROQ_BASE_URL", "https://llm.example.com")]).unwrap();
    assert_eq!([alone.hume, alone.openai, alone.cascade], [Service::Simulated; 3]);
    assert_eq!(alone.cascade_lacks, ["DEEPGRAM_API_KEY", "CARTESIA_API_KEY"]);
    alone.fill_engine("GROQ", "http://127.0.0.1:4010");
    let given = |name| alone.environment.given(name);
    assert_eq!((given("GROQ_API_KEY"), given("GROQ_BASE_URL")), (Some("simulated"), Some("http://127.0.0.1:4010")));

    let lacking = read(&[&keys[..2], &[("CARTESIA_BASE_URL", "https://tts.example.com")]].concat()).unwrap();
    assert_eq!(lacking.cascade_lacks, ["CARTESIA_API_KEY"]);
    assert_eq!(read(&[("OPENAI_API_KEY", "key")]).unwrap().cascade, Service::LeftOut);
}

#[test]
fn all_problems_come_at_once_and_each_variable_once() {
    let problems = read(&[
        ("PORT", "http"),
        ("HOST", "example.com"),
        ("HUME_BASE_URL", "https://evi.example.com"),
        ("STREAM_SECRET", "short"),
        ("API_TOKENS", "hunter2"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("CAPACITY", "many"),
        ("MAX_CALLS", "0"),
        ("ALLOWED_COUNTRIES", "XX"),
        ("TABLE_NAME", "calls"),
    ])
    .unwrap_err();
    let mut found = names(&problems);
    found.sort_unstable();
    let expected = [
        "ALLOWED_COUNTRIES",
        "API_TOKENS",
        "BUCKET_NAME",
        "CAPACITY",
        "HOST",
        "HUME_API_KEY",
        "MAX_CALLS",
        "PORT",
        "STREAM_SECRET",
        "TIME_ZONE",
    ];
    assert_eq!(found, expected);
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()));
    assert!(!format!("{problems:?}").contains("hunter2"));
}

#[test]
fn all_networks_need_no_address_of_the_node_on_one_machine() {
    let mut plan = read(&[("HOST", "0.0.0.0"), ("PORT", "0")]).unwrap();
    plan.fill_address("0.0.0.0:4711".parse().unwrap());
    assert_eq!(plan.environment.get("NODE_ADDRESS"), Some("http://127.0.0.1:4711"));
    assert_eq!(plan.environment.get("PUBLIC_BASE_URL"), Some("http://127.0.0.1:4711"));
}
