//! Turns and their interruption, through the public API alone.

mod rig;

use call::agent::EngineKind;
use call::journal::{Kind, Speaker};
use call::{Command, Input, LinkEvent, PhoneEvent};
use rig::{Did, PLAIN, Rig, agent, setup};
use wire::hume::server::{ChatMessage, Role, ServerMessage, UserMessage};

#[test]
fn a_prepared_greeting_is_played_the_moment_the_stream_starts() {
    let mut rig = Rig::ready();
    rig.hume_says("greet", "Hello, this is Riverside Dental. How can I help?", 1_000);
    rig.hume_end();
    rig.run(500);
    assert_eq!(rig.frames(), 0);
    rig.start_stream();
    // The lead of 200 ms at once, then real time.
    assert_eq!(rig.frames(), 10);
    rig.run(100);
    assert_eq!(rig.frames(), 15);
    rig.run_quiet(1_500);
    let turns = rig.turns();
    assert_eq!(turns.len(), 1);
    assert_eq!(
        (turns[0].speaker, turns[0].heard_text.as_str()),
        (Speaker::Agent, "Hello, this is Riverside Dental. How can I help?")
    );
    assert_eq!((turns[0].start_ms, turns[0].heard_ms, turns[0].interrupted), (0, 1_000, false));
}

#[test]
fn never_more_than_the_lead_is_ahead_of_the_ear() {
    let mut rig = Rig::greeted();
    rig.forget();
    let begin = rig.ms();
    rig.hume_says("a", "One two three four five six seven eight nine ten.", 4_000);
    rig.hume_end();
    rig.run_quiet(5_000);
    let mut played = begin;
    for (ms, did) in &rig.did {
        if matches!(did, Did::Frame(_)) {
            played = played.max(*ms) + 20;
            assert!(played <= ms + 200, "{played} is more than 200 ms after {ms}");
        }
    }
    assert_eq!(rig.frames(), 200);
}

#[test]
fn clear_precedes_everything_after_an_interruption() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten and Thursday at three.", 3_000);
    rig.run_quiet(700);
    rig.forget();
    rig.hume_interrupted();
    let first_to_phone =
        rig.did.iter().find(|(_, did)| matches!(did, Did::Frame(_) | Did::Mark(_) | Did::Clear)).map(|(_, did)| did);
    assert_eq!(first_to_phone, Some(&Did::Clear));
    let turn = rig.turns().pop().unwrap();
    assert!(turn.interrupted && turn.approximate);
    assert!((680..=720).contains(&turn.heard_ms), "{turn:?}");
    assert_eq!(turn.heard_text, "We have");
}

#[test]
fn audio_of_an_interrupted_turn_that_comes_later_is_not_played() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten.", 1_000);
    rig.run_quiet(200);
    rig.hume_interrupted();
    rig.forget();
    rig.hume_audio("a", 500);
    rig.hume_says("b", "And Thursday at three.", 500);
    rig.hume_end();
    rig.hume_audio("a", 500);
    rig.run_quiet(1_000);
    assert_eq!(rig.frames(), 0);
    rig.hume_hears("Thursday, please.", false);
    rig.hume_says("c", "Thursday at three it is.", 500);
    rig.run_quiet(100);
    assert!(rig.frames() > 0);
}

#[test]
fn words_over_audio_that_the_engine_has_long_sent_cut_it_off() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten and Thursday at three.", 3_000);
    rig.hume_end();
    rig.run_quiet(1_000);
    rig.forget();
    rig.hume_hears("Mm-hmm.", true);
    assert_eq!(rig.first(|did| *did == Did::Clear), None, "a listening sound cuts nothing");
    rig.hume_hears("Wait", true);
    assert!(rig.first(|did| *did == Did::Clear).is_some());
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::Interrupted { heard_ms: 980..=1_020, .. })));
}

#[test]
fn the_last_words_of_a_turn_are_not_clipped() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "Which day suits you?", 1_000);
    rig.hume_end();
    rig.run_quiet(800);
    rig.forget();
    rig.hume_hears("Tuesday", true);
    rig.run_quiet(500);
    assert_eq!(rig.first(|did| *did == Did::Clear), None, "200 ms are left: less than the agent's 250");
    assert_eq!(rig.turns()[0].heard_text, "Which day suits you?");
}

#[test]
fn marks_that_a_clear_set_free_prove_nothing() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.mark_way = None;
    rig.hume_says("a", "We have Tuesday at ten and Thursday at three.", 3_000);
    rig.run_quiet(900);
    let marks: Vec<String> = rig
        .did
        .iter()
        .filter_map(|(_, did)| if let Did::Mark(name) = did { Some(name.clone()) } else { None })
        .collect();
    rig.hume_interrupted();
    for name in &marks {
        rig.input(Input::Phone(PhoneEvent::Mark { name }));
    }
    rig.run_quiet(500);
    let turn = rig.turns().pop().unwrap();
    assert!((880..=920).contains(&turn.heard_ms), "{turn:?}");
}

#[test]
fn a_mark_that_is_missing_holds_back_what_counts_as_heard() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    // From now on the way to the phone stalls: frames are written but no mark returns.
    rig.mark_way = None;
    rig.hume_says("a", "We have Tuesday at ten and Thursday at three.", 3_000);
    rig.run_quiet(2_000);
    rig.hume_interrupted();
    let turn = rig.turns().pop().unwrap();
    assert!(turn.heard_ms <= 520, "the first mark, at 500 ms, never came back: {turn:?}");
}

#[test]
fn a_disclosure_is_finished_before_the_caller_is_heard_out() {
    let toml =
        format!("disclosure = \"This is an AI assistant, and this call is recorded.\"\nrecording = true\n{PLAIN}");
    let mut rig = Rig::new(setup(agent(&toml), &[EngineKind::Hume]));
    rig.hume_ready("group-1");
    assert!(rig.sent().last().unwrap().contains("This is an AI assistant"));
    rig.hume_says("d", "This is an AI assistant, and this call is recorded.", 2_000);
    rig.hume_end();
    assert!(rig.sent().last().unwrap().contains("Riverside Dental"), "the greeting follows at once");
    rig.hume_says("g", "Hello, this is Riverside Dental. How can I help?", 1_000);
    rig.hume_end();
    rig.start_stream();
    rig.run_quiet(500);
    rig.hume_hears("Hello? Hello?", false);
    assert_eq!(rig.first(|did| *did == Did::Clear), None);
    rig.run_quiet(2_500);
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::DisclosureHeard { .. })));
    assert_eq!(rig.frames(), 100, "the disclosure, and nothing of the greeting");
    let recorded_caller = rig.did.iter().filter(|(_, did)| matches!(did, Did::Record(Speaker::Caller, ..))).count();
    assert!((20..60).contains(&recorded_caller), "the caller is recorded only after the disclosure: {recorded_caller}");
}

#[test]
fn openai_is_told_what_was_heard() {
    let mut rig = Rig::new(setup(agent(PLAIN), &[EngineKind::OpenAi]));
    rig.link(LinkEvent::Opened);
    rig.link(LinkEvent::Text(
        r#"{"type":"session.created","event_id":"e1","session":{"type":"realtime","id":"sess_1"}}"#,
    ));
    rig.link(LinkEvent::Text(
        r#"{"type":"session.updated","event_id":"e2","session":{"type":"realtime","id":"sess_1"}}"#,
    ));
    assert!(rig.sent().last().unwrap().contains("response.create"), "{:?}", rig.sent().last());
    rig.start_stream();
    let response = |status: &str| {
        format!(
            r#"{{"type":"response.{}","event_id":"e","response":{{"id":"resp_1","object":"realtime.response","status":"{status}","output":[]}}}}"#,
            if status == "in_progress" { "created" } else { "done" }
        )
    };
    rig.link(LinkEvent::Text(&response("in_progress")));
    use base64::Engine as _;
    let audio = base64::engine::general_purpose::STANDARD.encode(vec![0x20u8; 8 * 3_000]);
    rig.link(LinkEvent::Text(&format!(r#"{{"type":"response.output_audio.delta","event_id":"e","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0,"delta":"{audio}"}}"#)));
    rig.link(LinkEvent::Text(r#"{"type":"response.output_audio_transcript.done","event_id":"e","response_id":"resp_1","item_id":"item_1","output_index":0,"content_index":0,"transcript":"Hello, this is Riverside Dental. How can I help?"}"#));
    rig.run_quiet(1_000);
    rig.forget();
    rig.link(LinkEvent::Text(
        r#"{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":900,"item_id":"user_1"}"#,
    ));
    let truncate = rig.sent().into_iter().find(|text| text.contains("truncate")).unwrap().to_owned();
    let truncate: serde_json::Value = serde_json::from_str(&truncate).unwrap();
    assert_eq!(truncate["item_id"], "item_1");
    assert!((980..=1_020).contains(&truncate["audio_end_ms"].as_u64().unwrap()), "{truncate}");
    assert!(!rig.sent().iter().any(|text| text.contains("response.cancel")), "the server has cancelled already");
    // The words of the turn that cut in come late, and are still written before the next answer's turn by number.
    rig.link(LinkEvent::Text(&response("cancelled")));
    rig.link(LinkEvent::Text(
        r#"{"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":1900,"item_id":"user_1"}"#,
    ));
    rig.link(LinkEvent::Text(r#"{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"user_1","content_index":0,"transcript":"Are you open today?"}"#));
    let turns = rig.turns();
    assert_eq!(
        turns.iter().map(|turn| (turn.n, turn.speaker)).collect::<Vec<_>>(),
        [(1, Speaker::Agent), (2, Speaker::Caller)]
    );
}

#[test]
fn a_tool_that_does_not_answer_in_time_yields_an_error_and_not_a_stall() {
    let mut rig = Rig::greeted();
    rig.hume_hears("Is my order ready?", false);
    rig.link(LinkEvent::Text(r#"{"type":"tool_call","tool_call_id":"t1","name":"look_up","parameters":"{}","tool_type":"function","response_required":true}"#));
    assert!(rig.first(|did| *did == Did::Tool("t1".into())).is_some());
    rig.forget();
    rig.run_quiet(2_100);
    assert!(rig.sent().iter().any(|text| text.contains("tool_error") && text.contains("t1")));
    rig.input(Input::Tool { id: "t1", answer: Ok("late") });
    assert!(!rig.sent().iter().any(|text| text.contains("late")));
}

#[test]
fn the_goodbye_is_heard_before_the_line_is_closed() {
    let mut rig = Rig::greeted();
    rig.hume_hears("That is all, thanks.", false);
    rig.hume_says("bye", "You are all set. Goodbye!", 1_500);
    rig.link(LinkEvent::Text(r#"{"type":"tool_call","tool_call_id":"t1","name":"hang_up","parameters":"{}","tool_type":"function","response_required":true}"#));
    let asked = rig.ms();
    rig.run_quiet(3_000);
    let closed = rig.first(|did| *did == Did::ClosePhone).unwrap();
    assert!((1_480..1_800).contains(&(closed - asked)), "{}", closed - asked);
    let step = rig.did.iter().position(|(_, did)| matches!(did, Did::NextStep(_))).unwrap();
    let close = rig.did.iter().position(|(_, did)| *did == Did::ClosePhone).unwrap();
    assert!(step < close, "the next step is written before the socket is closed");
    assert_eq!(rig.turns().last().unwrap().heard_text, "You are all set. Goodbye!");
}

#[test]
fn the_caller_who_speaks_up_during_the_goodbye_keeps_the_line() {
    let mut rig = Rig::greeted();
    rig.hume_hears("That is all.", false);
    rig.hume_says("bye", "You are all set. Goodbye!", 1_500);
    rig.link(LinkEvent::Text(r#"{"type":"tool_call","tool_call_id":"t1","name":"hang_up","parameters":"{}","tool_type":"function","response_required":true}"#));
    rig.run_quiet(500);
    rig.hume_hears("Oh, one more question.", false);
    rig.run_quiet(3_000);
    assert!(!rig.finished);
    assert!(rig.sent().iter().any(|text| text.contains("tool_error")));
}

#[test]
fn words_that_are_written_down_late_do_not_take_back_the_goodbye_that_answers_them() {
    let mut rig = Rig::new(setup(agent(PLAIN), &[EngineKind::OpenAi]));
    rig.link(LinkEvent::Opened);
    rig.link(LinkEvent::Text(
        r#"{"type":"session.created","event_id":"e","session":{"type":"realtime","id":"sess_1"}}"#,
    ));
    rig.link(LinkEvent::Text(
        r#"{"type":"session.updated","event_id":"e","session":{"type":"realtime","id":"sess_1"}}"#,
    ));
    rig.start_stream();
    use base64::Engine as _;
    let audio = base64::engine::general_purpose::STANDARD.encode(vec![0x20u8; 8 * 400]);
    let says = |rig: &mut Rig, response: &str, item: &str, text: &str| {
        rig.link(LinkEvent::Text(&format!(r#"{{"type":"response.created","event_id":"e","response":{{"id":"{response}","object":"realtime.response","status":"in_progress","output":[]}}}}"#)));
        rig.link(LinkEvent::Text(&format!(r#"{{"type":"response.output_audio.delta","event_id":"e","response_id":"{response}","item_id":"{item}","output_index":0,"content_index":0,"delta":"{audio}"}}"#)));
        rig.link(LinkEvent::Text(&format!(r#"{{"type":"response.output_audio_transcript.done","event_id":"e","response_id":"{response}","item_id":"{item}","output_index":0,"content_index":0,"transcript":"{text}"}}"#)));
    };
    let done = |rig: &mut Rig, response: &str, output: &str| {
        rig.link(LinkEvent::Text(&format!(r#"{{"type":"response.done","event_id":"e","response":{{"id":"{response}","object":"realtime.response","status":"completed","output":[{output}]}}}}"#)))
    };
    says(&mut rig, "resp_1", "item_1", "Hello, this is Riverside Dental. How can I help?");
    done(&mut rig, "resp_1", "");
    rig.run_quiet(1_000);
    rig.link(LinkEvent::Text(
        r#"{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":900,"item_id":"user_1"}"#,
    ));
    rig.link(LinkEvent::Text(
        r#"{"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":1900,"item_id":"user_1"}"#,
    ));
    rig.link(LinkEvent::Text(
        r#"{"type":"input_audio_buffer.committed","event_id":"e","previous_item_id":null,"item_id":"user_1"}"#,
    ));
    says(&mut rig, "resp_2", "item_2", "Thank you for calling. Goodbye.");
    done(
        &mut rig,
        "resp_2",
        r#"{"id":"item_3","type":"function_call","status":"completed","call_id":"t1","name":"hang_up","arguments":"{}"}"#,
    );
    rig.link(LinkEvent::Text(r#"{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"user_1","content_index":0,"transcript":"No, that was all I wanted."}"#));
    assert!(!rig.sent().iter().any(|text| text.contains("hang up later")), "{:?}", rig.sent());
    rig.run_quiet(3_000);
    assert!(rig.finished, "{:#?}", rig.journal());
    let turns: Vec<_> = rig.turns().into_iter().map(|turn| turn.text).collect();
    assert!(turns.contains(&"No, that was all I wanted.".to_owned()), "{turns:?}");
}

#[test]
fn an_operator_hangs_up_at_once() {
    let mut rig = Rig::greeted();
    rig.hume_says("a", "Let me tell you a long story.", 5_000);
    rig.run_quiet(200);
    rig.forget();
    rig.command(Command::HangUp { by: call::journal::EndedBy::Operator });
    assert!(rig.finished);
    assert!(rig.first(|did| *did == Did::Clear).is_some() && rig.first(|did| *did == Did::ClosePhone).is_some());
}

#[test]
fn whatever_comes_after_the_end_is_ignored() {
    let mut rig = Rig::greeted();
    rig.input(Input::Phone(PhoneEvent::Stopped));
    assert!(rig.finished);
    let link = rig.open_link();
    assert!(rig.did.iter().any(|(_, did)| *did == Did::Close(link)));
    let done = rig.did.len();
    rig.media(&rig::voice());
    rig.hume_says("a", "Too late.", 500);
    rig.run(1_000);
    assert_eq!(rig.did.len(), done);
}

#[test]
fn a_wait_called_over_the_goodbye_holds_the_line_until_its_words_are_known() {
    for (words, ends) in [("Oh, one more question.", false), ("Bye bye.", true)] {
        let mut rig = Rig::greeted();
        rig.hume_hears("That is all.", false);
        rig.hume_says("bye", "You are all set. Goodbye!", 1_500);
        rig.link(LinkEvent::Text(r#"{"type":"tool_call","tool_call_id":"t1","name":"hang_up","parameters":"{}","tool_type":"function","response_required":true}"#));
        rig.run_quiet(500);
        rig.hume_interrupted();
        rig.run_quiet(900);
        assert!(!rig.finished, "the caller is speaking");
        rig.hume_hears(words, false);
        rig.run_quiet(1_000);
        assert_eq!(rig.finished, ends, "{words}");
    }
}

#[test]
fn a_goodbye_ends_with_its_mark_and_not_before() {
    let mut rig = Rig::greeted();
    rig.hume_hears("That is all.", false);
    rig.mark_way = Some(std::time::Duration::from_millis(1_200));
    rig.hume_says("bye", "Goodbye!", 400);
    rig.link(LinkEvent::Text(r#"{"type":"tool_call","tool_call_id":"t1","name":"hang_up","parameters":"{}","tool_type":"function","response_required":true}"#));
    let asked = rig.ms();
    rig.run_quiet(3_000);
    let closed = rig.first(|did| *did == Did::ClosePhone).unwrap() - asked;
    assert!((1_500..2_000).contains(&closed), "400 ms of goodbye, and its mark 1,200 ms later: {closed}");
}

#[test]
fn interim_words_leave_a_turn_that_is_still_being_sent_to_the_engine() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten.", 2_000);
    rig.run_quiet(300);
    rig.forget();
    rig.hume_hears("yeah right", true);
    assert_eq!(rig.first(|did| *did == Did::Clear), None);
}

#[test]
fn an_interruption_without_words_does_not_end_in_silence() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten.", 2_000);
    rig.run_quiet(300);
    rig.hume_interrupted();
    rig.hume_end();
    rig.forget();
    rig.run_quiet(5_000);
    let asked = rig.first(
        |did| matches!(did, Did::Journal(entry) if matches!(&entry.kind, Kind::LinePlayed { line } if line == "again")),
    );
    assert!(asked.is_some());
}

#[test]
fn keys_pressed_in_a_row_are_one_input() {
    let mut rig = Rig::greeted();
    rig.forget();
    for digit in ["4", "2", "1"] {
        rig.input(Input::Phone(PhoneEvent::Dtmf { digit }));
        rig.run_quiet(400);
    }
    rig.run_quiet(2_000);
    let told: Vec<_> = rig.sent().into_iter().filter(|text| text.contains("user_input")).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("421"));
}

#[test]
fn a_disclosure_that_broke_off_was_not_heard() {
    let toml =
        format!("disclosure = \"This is an AI assistant, and this call is recorded.\"\nrecording = true\n{PLAIN}");
    let mut rig = Rig::new(setup(agent(&toml), &[EngineKind::Hume]));
    rig.hume_ready("group-1");
    rig.start_stream();
    rig.hume_says("d", "This is an AI assistant, and this call is recorded.", 1_000);
    rig.link(LinkEvent::Lost(None));
    rig.run_quiet(1_100);
    assert!(!rig.journal().iter().any(|kind| matches!(kind, Kind::DisclosureHeard { .. })));
    rig.hume_ready("group-1");
    assert!(
        rig.sent().iter().filter(|text| text.contains("AI assistant") && text.contains("assistant_input")).count() == 2,
        "it is said again"
    );
    let turn = &rig.turns()[0];
    assert!(turn.approximate && turn.heard_text.len() < turn.text.len(), "{turn:?}");
}

#[test]
fn settings_that_were_refused_make_the_engine_useless() {
    let mut rig = Rig::ready();
    rig.link(LinkEvent::Text(r#"{"type":"error","code":"E0101","slug":"payload_parse","message":"no"}"#));
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::EngineLost { .. })));
}

#[test]
fn a_turn_of_the_caller_keeps_the_three_strongest_of_its_expressions() {
    let mut rig = Rig::greeted();
    let scores = r#"{"prosody":{"scores":{"Anger":0.1,"Calmness":0.4,"Doubt":0.05,"Interest":0.7,"Joy":0.2}}}"#;
    rig.hume(&ServerMessage::UserMessage(UserMessage {
        message: ChatMessage::new(Role::User, "Tuesday, please."),
        models: serde_json::from_str(scores).unwrap(),
        ..UserMessage::default()
    }));
    rig.hume_says("a", "Tuesday it is.", 500);
    rig.hume_end();
    rig.run_quiet(2_000);
    let turns = rig.turns();
    let felt =
        turns.iter().map(|turn| (turn.speaker, turn.expressions.iter().map(|felt| (felt.name.as_str(), felt.score))));
    let felt: Vec<_> = felt.map(|(speaker, felt)| (speaker, felt.collect::<Vec<_>>())).skip(1).collect();
    let strongest = vec![("Interest", 0.7), ("Calmness", 0.4), ("Joy", 0.2)];
    assert_eq!(felt, [(Speaker::Caller, strongest), (Speaker::Agent, vec![])]);
}
