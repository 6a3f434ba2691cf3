//! What keeps the program from starting is said at once, with what to do, and ends it with 2.

use std::net::TcpListener;

use crate::harness::{DataDir, Dev, program, run, stderr, stdout};

#[test]
fn a_port_in_use_is_said_with_its_remedy() {
    let data_dir = DataDir::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&data_dir.0, &[("PORT", &port)], &[]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(&format!("Port {port} is in use")) && text.contains("set PORT to another port"), "{text}");
}

#[test]
fn all_problems_of_the_configuration_come_at_once() {
    let data_dir = DataDir::new("configuration");
    let variables = [
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000002"),
        ("PORT", "eighty"),
        ("MAX_CALLS", "many"),
        ("STREAM_SECRET", "short"),
        ("OPENAI_BASE_URL", "https://api.example.com"),
    ];
    let output = run(&data_dir.0, &variables, &["dev"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let all = [
        "6 things are in the way",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_PHONE_NUMBER",
        "PORT",
        "MAX_CALLS",
        "STREAM_SECRET",
        "OPENAI_API_KEY",
    ];
    for name in all {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!data_dir.0.exists(), "nothing was made");
}

#[test]
fn a_directory_that_cannot_be_written_is_said_with_its_remedy() {
    let data_dir = DataDir::new("file");
    std::fs::write(&data_dir.0, "not a directory").unwrap();
    let output = run(&data_dir.0, &[], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("cannot be written") && stderr(&output).contains("set DATA_DIR"),
        "{}",
        stderr(&output)
    );
    std::fs::remove_file(&data_dir.0).unwrap();
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_told_so() {
    let data_dir = DataDir::new("second");
    let dev = Dev::start(&data_dir.0).await;
    let output = run(&data_dir.0, &[], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("is in use by another process"), "{}", stderr(&output));
    // The first one is none the worse for it.
    assert!(dev.get("/v1/nodes").await["nodes"][0]["ready"].as_bool().unwrap());
    let nodes = run(&data_dir.0, &[], &["nodes"]);
    assert!(stdout(&nodes).contains("ready"), "{}", stdout(&nodes));
}

#[tokio::test]
async fn nobody_without_the_token_chooses_who_is_on_the_phone() {
    let data_dir = DataDir::new("token");
    let dev = Dev::start(&data_dir.0).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = serde_json::json!({ "from": "+12025550125", "scenario": "booking" });
    let answer = http.post(format!("{}/local/inbound", dev.url)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let answer = http.post(format!("{}/local/inbound", dev.url)).bearer_auth("guess").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[test]
fn mistakes_in_agents_are_said_with_file_and_line() {
    let data_dir = DataDir::new("agents");
    let agents = data_dir.0.join("agents");
    std::fs::create_dir_all(&agents).unwrap();
    std::fs::write(
        agents.join("front.toml"),
        "engines = [\"hume\"]\ninstructions = \"Be kind.\"\ngreating = \"Hello\"\n",
    )
    .unwrap();
    let directory = agents.to_str().unwrap();
    let checked = run(&data_dir.0, &[], &["agents", "validate", directory]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(stderr(&checked).contains("front.toml:3") && stderr(&checked).contains("greating"), "{}", stderr(&checked));
    let started = run(&data_dir.0, &[("AGENTS_DIR", directory)], &[]);
    assert_eq!(started.status.code(), Some(2));
    assert!(stderr(&started).contains("front.toml:3"), "{}", stderr(&started));
    std::fs::write(agents.join("front.toml"), "engines = [\"hume\"]\ninstructions = \"Be kind.\"\n").unwrap();
    assert!(run(&data_dir.0, &[], &["agents", "validate", directory]).status.success());
}

#[test]
fn the_doctor_knows_what_is_simulated_and_what_is_missing() {
    let data_dir = DataDir::new("doctor");
    let output = run(&data_dir.0, &[], &["doctor", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        found.as_array().unwrap().iter().any(|check| check["what"] == "Twilio" && check["verdict"] == "good"),
        "{found}"
    );
    let judge = found.as_array().unwrap().iter().find(|check| check["what"] == "Gemini").unwrap();
    assert!(judge["found"].as_str().unwrap().contains("local rule") && judge["verdict"] == "good", "{judge}");
    assert!(stdout(&run(&data_dir.0, &[], &["--help"])).contains("doctor"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_asks_gemini_whether_it_takes_the_key_and_has_the_model() {
    let config = sim::gemini::GeminiConfig { api_keys: vec!["a-good-key".to_owned()], ..Default::default() };
    let gemini = sim::gemini::server::start(config, sim::gemini::Faults::none()).await.unwrap();
    let doctor = async |key: &str, model: &str, url: &str| {
        let data_dir = DataDir::new("judge");
        let variables = [("GEMINI_API_KEY", key), ("GEMINI_MODEL", model), ("GEMINI_BASE_URL", url)];
        let mut command = program(&data_dir.0, &variables);
        command.args(["doctor", "--json"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = stdout(&output);
        assert!(!text.contains(key), "{text}");
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let check = found.as_array().unwrap().iter().find(|check| check["what"] == "Gemini's credentials").cloned();
        let check = check.unwrap_or_else(|| panic!("{found}"));
        (
            output.status.code(),
            check["verdict"].as_str().unwrap().to_owned(),
            check["found"].as_str().unwrap().to_owned(),
        )
    };
    let (code, verdict, said) = doctor("a-good-key", "gemini-3.8-flash", &gemini.url).await;
    assert_eq!((code, verdict.as_str(), said.as_str()), (Some(0), "good", "accepted; gemini-3.8-flash judges calls"));
    let (code, verdict, said) = doctor("another-key", "gemini-3.8-flash", &gemini.url).await;
    assert_eq!((code, verdict.as_str()), (Some(1), "bad"), "{said}");
    let (code, verdict, said) = doctor("a-good-key", "gemini-1.0-pro", &gemini.url).await;
    assert_eq!((code, verdict.as_str()), (Some(0), "doubtful"), "{said}");
    assert!(said.contains("no model gemini-1.0-pro"), "{said}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, verdict, said) = doctor("a-good-key", "gemini-3.8-flash", &format!("http://127.0.0.1:{port}")).await;
    assert_eq!((code, verdict.as_str()), (Some(0), "doubtful"), "{said}");
}
