//! What only the cascade does: three links, answers begun early, words known to the word.

use call::agent::EngineKind;
use call::journal::{Kind, LinkCause, Speaker};
use call::{Input, LinkEvent, LinkRequest};
use serde_json::{Value, json};

use crate::peer::{
    Peer, cartesia, chunk, deepgram, flux, groq, is_groq, link, speak, tell_json, texts_to_speak, try_link,
};
use crate::rig::{Did, PLAIN, Rig, agent, setup, voice};

const PEER: Peer = Peer(EngineKind::Cascade);

fn greeted() -> Rig {
    greeted_with(&[])
}

fn greeted_with(others: &[EngineKind]) -> Rig {
    let engines: Vec<EngineKind> = [EngineKind::Cascade].into_iter().chain(others.iter().copied()).collect();
    let mut rig = Rig::new(setup(agent(PLAIN), &engines));
    PEER.becomes_ready(&mut rig);
    PEER.says_what_it_was_asked(&mut rig, "Hello, this is Riverside Dental. How can I help?", 1_000);
    rig.start_stream();
    rig.run_quiet(2_000);
    rig
}

fn requests(rig: &Rig) -> Vec<Value> {
    let opened = rig.did.iter().filter_map(|(_, did)| match did {
        Did::Open(_, LinkRequest::Groq(body)) => Some(serde_json::from_str(body).expect("a request is JSON")),
        _ => None,
    });
    opened.collect()
}

fn said_so_far(request: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = request["messages"].as_array().expect("a list");
    messages.iter().skip(1).map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

fn is_closed(rig: &Rig, leads: impl Fn(&LinkRequest) -> bool) -> bool {
    let link = link(rig, leads);
    rig.did.iter().any(|(_, did)| *did == Did::Close(link))
}

fn trouble(rig: &Rig, what: impl Fn(&Kind) -> bool) -> bool {
    rig.journal().into_iter().any(what)
}

#[test]
fn the_callers_audio_goes_up_as_it_is_in_pieces_of_80_ms() {
    let mut rig = greeted();
    rig.forget();
    rig.run_speaking(400);
    let sent: Vec<&Vec<u8>> = rig
        .did
        .iter()
        .filter_map(|(_, did)| if let Did::SendBinary(_, bytes) = did { Some(bytes) } else { None })
        .collect();
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|piece| piece.len() == 640));
    // A piece may begin before the first word.
    let frames: Vec<&[u8]> = sent.iter().flat_map(|piece| piece.chunks(160)).collect();
    let quiet = frames.iter().take_while(|frame| frame.iter().all(|byte| *byte == 0xFF)).count();
    assert!(quiet < 4 && frames[quiet..].iter().all(|frame| *frame == voice()), "{quiet}");
}

#[test]
fn an_answer_begun_early_is_kept_back_until_the_turn_is_over() {
    let mut rig = greeted();
    deepgram(&mut rig, &flux("StartOfTurn", "I need"));
    deepgram(&mut rig, &flux("EagerEndOfTurn", "I need an appointment."));
    assert_eq!(requests(&rig).len(), 1, "the model is asked at once");
    PEER.groq_opens(&mut rig);
    groq(&mut rig, &chunk(&json!({"content":"We have Tuesday at ten. And"}), None));
    speak(&mut rig, "We have Tuesday at ten.", 1_000, false);
    rig.forget();
    rig.run_quiet(300);
    assert_eq!(rig.frames(), 0, "nobody hears it before the turn is over");
    deepgram(&mut rig, &flux("EndOfTurn", "I need an appointment."));
    assert!(rig.frames() >= 10, "it is heard at once then");
    assert_eq!(requests(&rig).len(), 1, "and not asked for twice");
}

#[test]
fn an_answer_begun_early_is_withdrawn_when_the_caller_goes_on() {
    let mut rig = greeted();
    deepgram(&mut rig, &flux("StartOfTurn", "I need"));
    deepgram(&mut rig, &flux("EagerEndOfTurn", "I need an appointment"));
    PEER.groq_opens(&mut rig);
    groq(&mut rig, &chunk(&json!({"content":"We have Tuesday at ten. And"}), None));
    speak(&mut rig, "We have Tuesday at ten.", 1_000, false);
    let (context, _) = texts_to_speak(&rig).pop().unwrap();
    deepgram(&mut rig, &flux("TurnResumed", "I need an appointment for"));
    assert!(is_closed(&rig, is_groq), "the request is dropped");
    let cancels = rig.sent().iter().any(|text| text.contains("\"cancel\":true") && text.contains(&context));
    assert!(cancels, "and so is the context");
    deepgram(&mut rig, &flux("EndOfTurn", "I need an appointment for my son."));
    PEER.says(&mut rig, "b", "How old is he?", 800);
    rig.run_quiet(1_500);
    let turns = rig.turns();
    assert_eq!(turns.last().unwrap().heard_text, "How old is he?");
    assert!(!turns.iter().any(|turn| turn.text.contains("Tuesday")), "it was never said: {turns:?}");
    let said = said_so_far(requests(&rig).last().unwrap());
    assert_eq!(said.last().unwrap(), &("user".to_owned(), "I need an appointment for my son.".to_owned()));
    assert_eq!(said.iter().filter(|(role, _)| role == "user").count(), 1, "{said:?}");
}

#[test]
fn one_word_does_not_interrupt_and_two_do() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "I need an appointment.");
    PEER.says(&mut rig, "a", "We have Tuesday at ten and Thursday at three.", 3_000);
    rig.run_quiet(500);
    rig.forget();
    deepgram(&mut rig, &flux("StartOfTurn", "Well"));
    assert_eq!(rig.first(|did| *did == Did::Clear), None);
    deepgram(&mut rig, &flux("Update", "Well no"));
    assert!(rig.first(|did| *did == Did::Clear).is_some());
}

#[test]
fn the_model_is_told_what_was_heard_of_a_sentence_to_the_word() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "I need an appointment.");
    PEER.begins_to_say(&mut rig, "a", "We have Tuesday at ten and Thursday at three.", 3_000);
    rig.run_quiet(1_000);
    let (context, _) = texts_to_speak(&rig).pop().unwrap();
    deepgram(&mut rig, &flux("StartOfTurn", "No, not Tuesday"));
    assert!(
        is_closed(&rig, is_groq) && rig.sent().iter().any(|text| text.contains("cancel") && text.contains(&context))
    );
    deepgram(&mut rig, &flux("EndOfTurn", "No, not Tuesday."));
    let turn = rig.turns().into_iter().rfind(|turn| turn.speaker == Speaker::Agent).unwrap();
    assert!(!turn.approximate, "the words' own times say it: {turn:?}");
    let said = said_so_far(requests(&rig).last().unwrap());
    let heard = ("assistant".to_owned(), "We have Tuesday".to_owned());
    assert!(said.contains(&heard), "{said:?}");
    assert!(!said.iter().any(|(_, text)| text.contains("Thursday")), "{said:?}");
}

#[test]
fn the_first_clause_is_spoken_while_the_rest_is_thought() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "I need an appointment.");
    groq(&mut rig, &chunk(&json!({"content":"Of course I can"}), None));
    let before = texts_to_speak(&rig).len();
    groq(&mut rig, &chunk(&json!({"content":" help with that. Which"}), None));
    let spoken = texts_to_speak(&rig);
    assert_eq!(spoken.len(), before + 1);
    assert_eq!(spoken.last().unwrap().1, "Of course I can help with that. ");
    groq(&mut rig, &chunk(&json!({"content":" day suits you?"}), Some("stop")));
    let rest = texts_to_speak(&rig);
    assert_eq!(rest.last().unwrap().1, "Which day suits you?");
    assert_eq!(rest[before].0, rest[before + 1].0, "all of it in one context");
}

#[test]
fn a_voice_that_breaks_off_goes_on_from_the_word_it_reached() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "I need an appointment.");
    groq(&mut rig, &chunk(&json!({"content":"We have Tuesday at ten and Thursday at three."}), Some("stop")));
    let (context, _) = texts_to_speak(&rig).pop().unwrap();
    // Three of nine words were spoken when the context died.
    let audio: Vec<u8> = (0..50).flat_map(|_| voice()).collect();
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(audio);
    cartesia(
        &mut rig,
        &json!({"type":"timestamps","context_id":context,"done":false,"status_code":206,
        "word_timestamps":{"words":["We","have","Tuesday"],"start":[0.0,0.3,0.6],"end":[0.3,0.6,1.0]}}),
    );
    cartesia(
        &mut rig,
        &json!({"type":"chunk","context_id":context,"data":data,"done":false,"status_code":206,"step_time":1.0}),
    );
    cartesia(
        &mut rig,
        &json!({"type":"error","done":true,"status_code":500,"error_code":null,"title":"Internal","message":"gone","request_id":"r","context_id":context}),
    );
    rig.run_quiet(300);
    let (again, text) = texts_to_speak(&rig).pop().unwrap();
    assert_ne!(again, context);
    assert_eq!(text, "at ten and Thursday at three.");
    speak(&mut rig, "at ten and Thursday at three.", 2_000, true);
    rig.run_quiet(4_000);
    let turn = rig.turns().into_iter().rfind(|turn| turn.speaker == Speaker::Agent).unwrap();
    assert_eq!(turn.heard_text, "We have Tuesday at ten and Thursday at three.");
    assert!(!trouble(&rig, |kind| matches!(kind, Kind::EngineLost { .. })));
}

#[test]
fn each_link_alone_is_dialled_again_and_the_others_stand() {
    for lost in ["deepgram", "cartesia"] {
        let mut rig = greeted();
        let leads = |request: &LinkRequest| match lost {
            "deepgram" => matches!(request, LinkRequest::Deepgram(_)),
            _ => matches!(request, LinkRequest::Cartesia),
        };
        let opens = |rig: &Rig| rig.did.iter().filter(|(_, did)| matches!(did, Did::Open(..))).count();
        let before = opens(&rig);
        let gone = link(&rig, leads);
        rig.flux = rig.flux.filter(|link| *link != gone);
        rig.input(Input::Link(gone, LinkEvent::Lost(Some(1_011))));
        rig.run_quiet(100);
        assert_eq!(opens(&rig), before + 1, "{lost} alone is dialled again");
        let fresh = link(&rig, leads);
        assert_ne!(fresh, gone);
        rig.input(Input::Link(fresh, LinkEvent::Opened));
        if lost == "deepgram" {
            tell_json(&mut rig, fresh, &json!({"type":"Connected","request_id":"r","sequence_id":0}));
            rig.flux = Some(fresh);
        }
        PEER.hears(&mut rig, "I need an appointment.");
        PEER.says(&mut rig, "a", "We have Tuesday at ten.", 1_000);
        rig.run_quiet(1_500);
        assert_eq!(rig.turns().last().unwrap().heard_text, "We have Tuesday at ten.");
        assert!(!trouble(&rig, |kind| matches!(kind, Kind::EngineLost { .. })), "{lost}");
    }
}

#[test]
fn a_recogniser_that_falls_silent_is_dialled_again_and_hears_what_it_missed() {
    let mut rig = greeted();
    deepgram(&mut rig, &flux("StartOfTurn", "I need an"));
    let silent = link(&rig, |request| matches!(request, LinkRequest::Deepgram(_)));
    rig.flux = None;
    rig.run_speaking(2_400);
    assert!(rig.did.iter().any(|(_, did)| *did == Did::Close(silent)), "two seconds without a word are enough");
    let fresh = link(&rig, |request| matches!(request, LinkRequest::Deepgram(_)));
    assert_ne!(fresh, silent);
    rig.forget();
    rig.input(Input::Link(fresh, LinkEvent::Opened));
    tell_json(&mut rig, fresh, &json!({"type":"Connected","request_id":"r2","sequence_id":0}));
    let resent: usize = rig
        .did
        .iter()
        .filter_map(|(_, did)| if let Did::SendBinary(_, bytes) = did { Some(bytes.len()) } else { None })
        .sum();
    assert!((8_000..=16_000).contains(&resent), "at most two seconds are sent again: {resent}");
    deepgram(&mut rig, &flux("EndOfTurn", "appointment today."));
    let turn = rig.turns().into_iter().rfind(|turn| turn.speaker == Speaker::Caller).unwrap();
    assert_eq!(turn.text, "I need an appointment today.", "what the lost socket heard is not lost");
}

#[test]
fn a_model_that_stalls_is_asked_again_and_then_given_up_for_the_next_engine() {
    let mut rig = greeted_with(&[EngineKind::Hume]);
    PEER.hears(&mut rig, "I need an appointment.");
    let asked = rig.ms();
    rig.run_quiet(2_100);
    assert_eq!(requests(&rig).len(), 2, "after two seconds it is asked again");
    assert!(trouble(&rig, |kind| matches!(kind, Kind::LinePlayed { .. })), "and the caller for patience");
    rig.run_quiet(4_200);
    assert!(trouble(&rig, |kind| matches!(kind, Kind::EngineLost { engine: EngineKind::Cascade, .. })));
    assert!(rig.did.iter().any(|(_, did)| matches!(did, Did::Open(_, LinkRequest::Hume(_)))), "{}", rig.ms() - asked);
}

#[test]
fn a_limit_without_a_date_gives_way_and_one_with_a_short_pause_is_kept() {
    for (retry_after, gives_way) in [(None, true), (Some(700), false), (Some(30_000), true)] {
        let mut rig = greeted_with(&[EngineKind::Hume]);
        PEER.hears(&mut rig, "I need an appointment.");
        let link = link(&rig, is_groq);
        let retry_after = retry_after.map(std::time::Duration::from_millis);
        let body = br#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#;
        rig.input(Input::Link(link, LinkEvent::Rejected { status: 429, retry_after, body }));
        rig.run_quiet(800);
        let lost = trouble(&rig, |kind| {
            matches!(kind, Kind::EngineLost { engine: EngineKind::Cascade, why: LinkCause::Status { status: 429 } })
        });
        assert_eq!(lost, gives_way, "{retry_after:?}");
        let dialled = rig.did.iter().any(|(_, did)| matches!(did, Did::Open(_, LinkRequest::Hume(_))));
        assert_eq!(dialled, gives_way, "{retry_after:?}");
        assert_eq!(requests(&rig).len(), if gives_way { 1 } else { 2 }, "{retry_after:?}");
    }
}

#[test]
fn a_garbled_tool_call_is_asked_for_with_a_cooler_head_and_then_without_tools() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "Is my order ready?");
    let body = br#"{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function"}}"#;
    for _ in 0..2 {
        let link = link(&rig, is_groq);
        rig.input(Input::Link(link, LinkEvent::Rejected { status: 400, retry_after: None, body }));
        rig.run_quiet(200);
    }
    let requests = requests(&rig);
    assert_eq!(requests.len(), 3);
    assert!(requests[0]["temperature"].is_null() && requests[1]["temperature"].as_f64().unwrap() < 0.5);
    assert_eq!(requests[2]["tool_choice"], "none");
    assert!(!trouble(&rig, |kind| matches!(kind, Kind::EngineLost { .. })));
}

#[test]
fn words_that_come_after_a_long_thought_get_a_context_of_their_own() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "I need an appointment.");
    groq(&mut rig, &chunk(&json!({"content":"Let me have a look. One"}), None));
    speak(&mut rig, "Let me have a look.", 800, false);
    let (first, _) = texts_to_speak(&rig).pop().unwrap();
    rig.run_quiet(1_000);
    groq(&mut rig, &chunk(&json!({"content":" moment."}), Some("stop")));
    assert_eq!(texts_to_speak(&rig).pop().unwrap(), (first.clone(), String::new()), "the first is closed");
    cartesia(&mut rig, &json!({"type":"done","context_id":first,"done":true,"status_code":206}));
    let (second, text) = texts_to_speak(&rig).into_iter().rfind(|(_, text)| !text.is_empty()).unwrap();
    assert_ne!(second, first);
    assert_eq!(text, "One moment.");
}

#[test]
fn the_agent_speaks_the_callers_language_if_it_may() {
    for (languages, changes) in [("[\"es\"]", true), ("[\"de\"]", false)] {
        let mut rig = Rig::new(setup(agent(&format!("languages = {languages}\n{PLAIN}")), &[EngineKind::Cascade]));
        let listens_for = rig.did.iter().find_map(|(_, did)| match did {
            Did::Open(_, LinkRequest::Deepgram(listen)) => Some(listen.language_hints.clone()),
            _ => None,
        });
        assert_eq!(listens_for.unwrap()[0], "en");
        PEER.becomes_ready(&mut rig);
        PEER.says_what_it_was_asked(&mut rig, "Hello, this is Riverside Dental. How can I help?", 1_000);
        rig.start_stream();
        rig.run_quiet(2_000);
        let mut turn = flux("EndOfTurn", "Necesito una cita.");
        turn["languages"] = json!(["es"]);
        deepgram(&mut rig, &turn);
        assert_eq!(trouble(&rig, |kind| matches!(kind, Kind::LanguageChanged { .. })), changes);
        PEER.says(&mut rig, "a", "Claro, un momento.", 800);
        let (context, _) = texts_to_speak(&rig).pop().unwrap();
        let message = rig.sent().into_iter().rfind(|text| text.contains(&context)).unwrap().to_owned();
        assert_eq!(message.contains("\"language\":\"es\""), changes, "{message}");
    }
}

#[test]
fn a_message_that_cannot_be_read_ends_nothing() {
    let mut rig = greeted();
    for leads in [
        try_link(&rig, |r| matches!(r, LinkRequest::Deepgram(_))),
        try_link(&rig, |r| matches!(r, LinkRequest::Cartesia)),
    ] {
        let link = leads.unwrap();
        for event in
            [LinkEvent::Text("{"), LinkEvent::Text("{\"type\":\"Novelty\"}"), LinkEvent::Binary, LinkEvent::Body(b"x")]
        {
            rig.input(Input::Link(link, event));
        }
    }
    PEER.hears(&mut rig, "I need an appointment.");
    groq(&mut rig, "data: not json\n\n: a comment\n\nevent: novelty\ndata: {}\n\n");
    PEER.says(&mut rig, "a", "We have Tuesday at ten.", 1_000);
    rig.run_quiet(1_500);
    assert_eq!(rig.turns().last().unwrap().heard_text, "We have Tuesday at ten.");
}

#[test]
fn an_answer_that_broke_off_behind_its_last_word_is_over_when_nothing_is_left_of_it() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "What are your opening hours?");
    groq(&mut rig, &chunk(&json!({"role":"assistant","content":"We are open from nine to five. That is"}), None));
    let asked = link(&rig, is_groq);
    rig.input(Input::Link(asked, LinkEvent::Lost(None)));
    rig.run_quiet(300);
    let again = link(&rig, is_groq);
    assert_ne!(asked, again, "it is asked to go on");
    rig.input(Input::Link(again, LinkEvent::Opened));
    groq(&mut rig, &chunk(&json!({}), Some("stop")));
    rig.run_quiet(1_000);
    assert_eq!(requests(&rig).len(), 2, "nothing is left to be said, and nobody is asked for it again");
    assert!(!trouble(&rig, |kind| matches!(kind, Kind::EngineLost { .. })));
}

#[test]
fn a_context_to_which_nothing_was_added_for_long_is_ended_before_the_vendor_does() {
    let mut rig = greeted();
    PEER.hears(&mut rig, "What are your opening hours?");
    groq(&mut rig, &chunk(&json!({"role":"assistant","content":"We are open from nine to five. That is"}), None));
    let (context, _) = texts_to_speak(&rig).pop().expect("a whole sentence is spoken at once");
    speak(&mut rig, "We are open from nine to five.", 1_000, false);
    rig.forget();
    rig.run_quiet(900);
    let ended = rig.did.iter().any(|(_, did)| match did {
        Did::Send(_, text) => text.contains(&context) && text.contains("\"continue\":false"),
        _ => false,
    });
    assert!(ended, "the vendor ends it after a second, and refuses what comes then");
}

#[test]
fn keys_that_an_engine_did_not_answer_are_told_to_the_next() {
    let mut rig = greeted_with(&[EngineKind::OpenAi]);
    rig.input(Input::Phone(call::PhoneEvent::Dtmf { digit: "4" }));
    rig.run_quiet(1_600);
    assert_eq!(requests(&rig).len(), 1);
    let asked = link(&rig, is_groq);
    rig.input(Input::Link(asked, LinkEvent::Rejected { status: 401, retry_after: None, body: b"{}" }));
    Peer(EngineKind::OpenAi).becomes_ready(&mut rig);
    rig.run_quiet(100);
    let told = rig.did.iter().any(|(_, did)| matches!(did, Did::Send(_, text) if text.contains("these keys: 4")));
    assert!(told, "the caller waits for an answer");
}
