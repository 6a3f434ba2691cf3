//! Agents' files: the four that are included are right, and what is wrong with another is said all at once, by line.

use std::collections::{BTreeMap, BTreeSet};

use call::agent::{Agent, AgentBook, AgentProblem, EngineKind, PrepareAt, Script};

const INCLUDED: [(&str, &str); 4] = [
    ("appointment-reminder", include_str!("../../../agents/appointment-reminder.toml")),
    ("receptionist", include_str!("../../../agents/receptionist.toml")),
    ("survey", include_str!("../../../agents/survey.toml")),
    ("transit-booking", include_str!("../../../agents/transit-booking.toml")),
];

/// The sentences that the simulated engines can speak.
const UTTERANCES: &str = include_str!("../../sim/speech/utterances.toml");

/// The least that an agent says.
const LEAST: &str = "engines = [\"openai\"]\ninstructions = \"Be kind.\"\n";

fn included() -> Vec<Agent> {
    INCLUDED
        .into_iter()
        .map(|(name, toml)| Agent::parse(name, toml).unwrap_or_else(|error| panic!("{error}")))
        .collect()
}

fn values(names: &[(&str, &str)]) -> BTreeMap<String, String> {
    names.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a call gives: the built-in variables, and what the reminder asks for.
fn script(agent: &Agent) -> Script {
    let mut given = values(&[
        ("caller_number", "+12025550100"),
        ("called_number", "+12025550123"),
        ("date", "Friday, 20 November"),
        ("time", "ten past nine"),
    ]);
    if agent.name == "appointment-reminder" {
        given.extend(values(&[("patient_name", "Alex Morgan"), ("appointment", "Tuesday at ten")]));
    }
    agent.script(&given).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(toml: &str) -> Vec<AgentProblem> {
    Agent::parse("test", toml).map_or_else(|error| error.problems, |agent| panic!("should be wrong: {agent:?}"))
}

/// The one problem of the least agent with `extra` added.
fn problem(extra: &str) -> String {
    let mut found = problems(&format!("{LEAST}{extra}"));
    assert_eq!(found.len(), 1, "{extra}: {found:?}");
    found.remove(0).to_string()
}

#[test]
fn the_included_agents_are_right_and_the_receptionist_is_the_default() {
    let book = AgentBook::new(included()).unwrap();
    assert_eq!(book.for_number("+12025550199").map(|agent| agent.name.as_str()), Some("receptionist"));
    for agent in book.iter() {
        assert_eq!(agent.engines, [EngineKind::Hume, EngineKind::OpenAi], "{}", agent.name);
        assert!(agent.tools.iter().any(|tool| tool.name == "hang_up"), "{} cannot end a call", agent.name);
        assert!(agent.instructions.contains("that you are an AI assistant"), "{} may pose as a person", agent.name);
    }
    assert_eq!(book.named("appointment-reminder").unwrap().prepare, PrepareAt::Ringing);
}

#[test]
fn the_included_agents_say_only_what_the_simulated_voices_can_speak() {
    for agent in included() {
        let script = script(&agent);
        for sentence in format!("{} {}", script.disclosure, script.greeting).split_inclusive(['.', '?']) {
            let quoted = format!("\"{}\"]", sentence.trim());
            assert!(UTTERANCES.contains(&quoted), "{}: {quoted} is not recorded", agent.name);
        }
        assert!(!script.instructions.contains("{{"), "{}: a variable is left", agent.name);
    }
}

#[test]
fn a_reminder_without_its_appointment_is_an_error_that_names_the_line() {
    let agent = Agent::parse(INCLUDED[0].0, INCLUDED[0].1).unwrap();
    let line = INCLUDED[0].1.lines().position(|line| line.contains("{{patient_name}}")).unwrap() + 1;
    let given = values(&[("called_number", "+12025550123"), ("date", "today"), ("time", "noon")]);
    let text = agent.script(&given).unwrap_err().to_string();
    let expected = format!("variable `patient_name`, used in instructions (line {line} of the file), has no value");
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn the_receptionists_file_documents_every_setting() {
    let file = INCLUDED[1].1;
    let agent = Agent::parse("receptionist", file).unwrap();
    let serde_json::Value::Object(keys) = serde_json::to_value(&agent).unwrap() else { panic!("an object") };
    let mut names: BTreeSet<String> = keys.keys().filter(|key| *key != "name").cloned().collect();
    for section in ["turn_taking", "limits"] {
        names.extend(keys[section].as_object().unwrap().keys().cloned());
    }
    names.extend(["config_id", "voice_id", "voice", "speed", "transcription_model"].map(str::to_owned));
    names.extend(["description", "parameters", "timeout_ms"].map(str::to_owned));
    for name in names {
        let documented = file.contains(&format!("{name} = ")) || file.contains(&format!("[{name}]"));
        assert!(documented, "{name} is not documented");
    }
}

#[test]
fn an_agent_that_says_the_least_has_the_documented_values() {
    let agent = Agent::parse("least", LEAST).unwrap();
    assert_eq!((agent.language.as_str(), agent.lead_ms, agent.recording), ("en", 200, false));
    assert_eq!((agent.turn_taking.end_of_turn_silence_ms, agent.turn_taking.unplayed_ms_min), (500, 250));
    assert_eq!((agent.limits.call_minutes_max, agent.limits.caller_silence_s_max), (30, 120));
    let from_json: Agent =
        serde_json::from_str(r#"{"name":"least","engines":["openai"],"instructions":"Be kind."}"#).unwrap();
    assert_eq!(from_json, agent);
    assert_eq!(from_json.problems(), []);
}

#[test]
fn every_problem_is_reported_at_once_and_names_its_line() {
    let toml = r#"
numbers = ["555-0123", "+12025550123", "+12025550123"]
engines = ["huem", "cascade"]
langauge = "en"
instructions = """
Be kind.
Ask {{Name}}.
Call {{name.
"""
greeting = 7
recording = true
lead_ms = 20
prepare = "rining"

[openai]
speed = 3
vioce = "marin"

[turn_taking]
speech_threshold = "high"

[variables]
unused = "x"
date = "today"

[limits]
call_minutes_max = -1

[[tools]]
name = "hang_up"

[[tools]]
name = "hangup"
timeout_ms = 100

[[tools]]
name = "hang_up"
parameters = '{"type": "object"}'
"#;
    let error = Agent::parse("clinic", toml).unwrap_err();
    insta::assert_snapshot!(error.to_string());
    assert!(error.problems.iter().all(|problem| problem.line.is_some()));
}

#[test]
fn toml_that_cannot_be_read_names_each_line() {
    let found = problems("engines = [\"hume\"\ninstructions = \"Be kind.\nlead_ms = \n");
    assert!(found.len() >= 2, "{found:?}");
    assert!(found.iter().all(|problem| problem.line.is_some() && problem.message.starts_with("not readable as TOML")));
    let twice = problems(&format!("{LEAST}engines = [\"hume\"]\n"));
    assert_eq!(twice[0].line, Some(3));
}

#[test]
fn what_is_missing_is_said() {
    let texts: Vec<String> = problems("").iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("instructions: is missing") || texts[1].starts_with("instructions: is missing"));
    assert!(texts[0].starts_with("engines: is missing") || texts[1].starts_with("engines: is missing"));
    assert!(problems("engines = []\ninstructions = ' '").len() == 2);
    assert!(problem("[[tools]]\ndescription = 'x'").starts_with("tools[1].name: is missing"));
}

#[test]
fn values_out_of_range_say_what_is_allowed() {
    for (extra, expected) in [
        ("lead_ms = 39", "lead_ms: 39 is out of range; 40 to 1000 milliseconds"),
        ("lead_ms = 1001", "lead_ms: 1001 is out of range"),
        ("lead_ms = 99999999999", "lead_ms: must be a whole number"),
        ("lead_ms = 100.5", "lead_ms: must be a whole number, zero or more, but is 100.5"),
        ("openai.speed = 0.2", "openai.speed: 0.2 is out of range; 0.25 to 1.5 are allowed"),
        ("openai.speed = nan", "openai.speed: NaN is out of range"),
        ("openai.voice = ''", "openai.voice: is not an id"),
        ("hume.voice_id = 'a b'", "hume.voice_id: is not an id"),
        (
            "turn_taking.end_of_turn_silence_ms = 100",
            "turn_taking.end_of_turn_silence_ms: 100 is out of range; 200 to 3000",
        ),
        ("turn_taking.speech_threshold = 1.1", "turn_taking.speech_threshold: 1.1 is out of range; 0 to 1"),
        ("turn_taking.unplayed_ms_min = 2001", "turn_taking.unplayed_ms_min: 2001 is out of range; 0 to 2000"),
        ("limits.call_minutes_max = 0", "limits.call_minutes_max: 0 is out of range; 1 to 240 minutes"),
        ("limits.caller_silence_s_max = 9", "limits.caller_silence_s_max: 9 is out of range; 10 to 1800 seconds"),
        ("language = 'english please'", "language: `english please` is not a language tag"),
        ("numbers = ['+0123456789']", "numbers: `+0123456789` is not an E.164 number"),
        ("numbers = '+12025550123'", "numbers: must be a list of texts"),
        ("recording = true", "recording: a call is recorded only when `disclosure`"),
        ("recording = true\ndisclosure = ' '", "recording: a call is recorded only when `disclosure`"),
        ("greeting = \"a\\nb\"", "greeting: has the control character '\\n'; it is spoken"),
        ("disclosure = 'hi }}'", "disclosure: `}}` without `{{` before it"),
        ("variables.a = 1\ngreeting = '{{a}}'", "variables.a: must be a text in quotes, but is 1"),
        ("variables.A = 'x'", "variables.A: is not a variable's name"),
        (
            "variables.tiem = 'x'\ngreeting = '{{time}}'",
            "variables.tiem: is never used in instructions, greeting or disclosure; did you mean `time`?",
        ),
        ("tools = ['hang_up']", "tools[1]: must be a list of tables"),
        ("nonsense = 1", "nonsense: unknown key; allowed are default, numbers"),
        ("name = 'other'", "name: unknown key; allowed are"),
        ("limits.call_minute_max = 1", "limits.call_minute_max: unknown key; did you mean `call_minutes_max`?"),
    ] {
        let found = problem(extra);
        assert!(found.starts_with(expected), "{extra}\n  {found}\n  {expected}");
    }
}

#[test]
fn a_tool_of_ones_own_needs_a_description_and_a_schema() {
    let tool = |parameters: &str| {
        let url = "url = 'https://tools.example.com/find'";
        problem(&format!("[[tools]]\nname = 'find'\n{url}\ndescription = 'Finds.'\nparameters = '''{parameters}'''"))
    };
    for (parameters, expected) in [
        ("{", "is not JSON"),
        ("[]", "is not a JSON Schema of an object"),
        (r#"{"type": "string"}"#, "is not a JSON Schema of an object"),
        (r#"{"type": "object", "properties": []}"#, "`properties` is not an object"),
        (r#"{"type": "object", "properties": {"a": 1}}"#, "property `a` is not a schema"),
        (r#"{"type": "object", "required": ["a"]}"#, "`required` names `a`"),
        (r#"{"type": "object", "required": 1}"#, "`required` is not a list"),
    ] {
        let found = tool(parameters);
        assert!(found.starts_with(&format!("tools[1].parameters: {expected}")), "{parameters}: {found}");
    }
    assert!(
        problem("[[tools]]\nname = 'find'\nurl = 'https://tools.example.com/'\nparameters = '{\"type\": \"object\"}'")
            .contains("description: is empty")
    );
    assert!(problem("[[tools]]\nname = 'find'").contains("use a built-in: allowed are hang_up, record_booking"));
    let tool = "[[tools]]\nname = 'find'\ndescription = 'Finds.'\nparameters = '{\"type\": \"object\"}'\n";
    assert!(problem(tool).starts_with("tools[1].url: is missing"), "{}", problem(tool));
    let with = |url: &str| format!("{tool}url = '{url}'\n");
    assert!(problem(&with("tools.example.com")).contains("tools[1].url: does not begin with https://"));
    assert!(problem("[[tools]]\nname = 'hang_up'\nurl = 'https://tools.example.com/'").contains("our own tool"));
    let right = format!("{LEAST}{}", with("https://tools.example.com/find"));
    assert_eq!(Agent::parse("test", &right).unwrap().tools[0].timeout_ms, 5_000);
}

#[test]
fn a_transfer_needs_to_be_told_with_whom() {
    let tool = |destinations: &str| format!("[[tools]]\nname = 'transfer_call'\n{destinations}");
    assert!(problem(&tool("")).starts_with("tools[1].destinations: is missing"));
    assert!(problem(&tool("destinations = { office = '555' }")).contains("destinations.office: `555` is not an E.164"));
    assert!(problem(&tool("destinations = { 'The Office' = '+12025550123' }")).contains("is not a name"));
    let of_another = "[[tools]]\nname = 'hang_up'\ndestinations = { office = '+12025550123' }";
    assert!(problem(of_another).contains("belongs to `transfer_call` alone"));
    let agent =
        Agent::parse("test", &format!("{LEAST}{}", tool("destinations = { office = '+12025550123' }"))).unwrap();
    let script = agent.script(&Default::default()).unwrap();
    assert!(script.tools[0].schema().contains(r#""enum":["office"]"#), "{}", script.tools[0].schema());
}

#[test]
fn an_agent_that_is_written_down_is_read_again_as_it_was() {
    let text = format!(
        "{LEAST}numbers = ['+12025550123']\nlead_ms = 120\n[variables]\n[openai]\nspeed = 1.1\n[[tools]]\nname = 'transfer_call'\n\
         [tools.destinations]\noffice = '+12025550123'\n[[tools]]\nname = 'hang_up'\n"
    );
    let agent = Agent::parse("test", &text).unwrap();
    assert_eq!(Agent::parse("test", &agent.to_toml()).unwrap(), agent, "{}", agent.to_toml());
}

#[test]
fn a_name_is_checked_and_a_huge_file_is_not_read() {
    for name in ["", "Front", "1st", "a b", "../x", &"a".repeat(41)] {
        let found = Agent::parse(name, LEAST).unwrap_err().problems;
        assert_eq!(found[0].key, "name", "{name}");
    }
    assert_eq!(problems(&"#".repeat(300_000)).len(), 1);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_file_makes_the_reader_panic(cut in 0_usize..5_000, junk in ".{0,20}") {
        let toml = INCLUDED[1].1;
        let cut = (0..=cut.min(toml.len())).rev().find(|&at| toml.is_char_boundary(at)).unwrap_or(0);
        let _ = Agent::parse("test", &format!("{}{junk}{}", &toml[..cut], &toml[cut..]));
        let _ = Agent::parse("test", &toml[..cut]);
    }
}
