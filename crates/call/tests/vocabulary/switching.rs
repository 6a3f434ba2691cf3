//! An engine is lost in the middle of a call, and the next one goes on by itself: told of every pair of engines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use call::agent::EngineKind;
use call::audio::mulaw;
use call::journal::{Kind, LinkCause, Speaker};
use call::{Input, LinkEvent, LinkRequest};
use serde_json::json;
use wire::hume::server::{ChatMessage, Interval, Role, ServerMessage, UserMessage};

use crate::peer::{PEERS, Peer, deepgram, flux, tell_json};
use crate::rig::{Did, PLAIN, Rig, agent, setup, voice};

const GREETING: &str = "Hello, this is Riverside Dental. How can I help?";

/// What a model is told when it shall go on without words of the caller.
const NOTE: &str = "The line was gone";

fn pairs() -> impl Iterator<Item = (Peer, Peer)> {
    PEERS
        .into_iter()
        .flat_map(|peer| PEERS.into_iter().map(move |next| (peer, next)))
        .filter(|(peer, next)| peer != next)
}

fn greeted(peer: Peer, next: Peer) -> Rig {
    let mut rig = Rig::new(setup(agent(PLAIN), &[peer.0, next.0]));
    peer.becomes_ready(&mut rig);
    peer.says_what_it_was_asked(&mut rig, GREETING, 1_000);
    rig.start_stream();
    rig.run_quiet(2_000);
    rig
}

fn is_dialled(rig: &Rig, peer: Peer) -> bool {
    rig.did.iter().any(|(_, did)| match did {
        Did::Open(_, LinkRequest::Hume(_)) => peer.0 == EngineKind::Hume,
        Did::Open(_, LinkRequest::OpenAi) => peer.0 == EngineKind::OpenAi,
        Did::Open(_, LinkRequest::Deepgram(_)) => peer.0 == EngineKind::Cascade,
        _ => false,
    })
}

/// The engine is lost, and every dial of it is refused like this until the next one is dialled. How long that took.
fn gives_way(rig: &mut Rig, peer: Peer, next: Peer, why: &LinkCause) -> u64 {
    let lost = rig.ms();
    peer.drops(rig);
    refuse_until_dialled(rig, peer, next, why);
    rig.ms() - lost
}

fn refuse_until_dialled(rig: &mut Rig, peer: Peer, next: Peer, why: &LinkCause) {
    let began = rig.ms();
    while !is_dialled(rig, next) {
        rig.run_quiet(20);
        let link = peer.main_link(rig);
        if !is_dialled(rig, next) && !rig.did.iter().any(|(_, did)| *did == Did::Close(link)) {
            rig.input(Input::Link(link, LinkEvent::Refused(why.clone())));
        }
        assert!(rig.ms() < began + 3_500, "{peer:?} never gives way to {next:?}");
    }
}

/// What was told to models since `from`, in messages and requests, without audio.
fn told(rig: &Rig, from: usize) -> Vec<String> {
    let told = rig.did[from..].iter().filter_map(|(_, did)| match did {
        Did::Send(_, text) if !text.contains("audio_input") && !text.contains("input_audio_buffer.append") => {
            Some(text)
        }
        Did::Open(_, LinkRequest::Groq(body)) => Some(body),
        _ => None,
    });
    told.cloned().collect()
}

/// Whether the engine was asked to speak since `from`.
fn is_asked(rig: &Rig, from: usize) -> bool {
    told(rig, from).iter().any(|text| {
        ["\"user_input\"", "\"assistant_input\"", "\"response.create\"", "\"messages\""]
            .iter()
            .any(|ask| text.contains(ask))
    })
}

/// Frames of speech that this engine was given since `from`.
fn speech_given(rig: &Rig, peer: Peer, from: usize) -> usize {
    let mut linear = Vec::new();
    mulaw::decode_to_le_bytes(&voice(), &mut linear);
    let (linear, codes) = (STANDARD.encode(linear), STANDARD.encode(voice()));
    let given = rig.did[from..].iter().map(|(_, did)| match did {
        Did::Send(_, text) if peer.0 == EngineKind::Hume => usize::from(text.contains(&linear)),
        Did::Send(_, text) if peer.0 == EngineKind::OpenAi => usize::from(text.contains(&codes)),
        Did::SendBinary(_, bytes) if peer.0 == EngineKind::Cascade => {
            bytes.iter().filter(|byte| **byte != mulaw::SILENCE).count()
        }
        _ => 0,
    });
    let given: usize = given.sum();
    if peer.0 == EngineKind::Cascade { given / 160 } else { given }
}

fn line_at(rig: &Rig, name: &str) -> Option<u64> {
    rig.first(
        |did| matches!(did, Did::Journal(entry) if matches!(&entry.kind, Kind::LinePlayed { line } if line == name)),
    )
}

fn last_agent_turn(rig: &Rig) -> call::journal::Turn {
    rig.turns()
        .into_iter()
        .rfind(|turn| turn.speaker == Speaker::Agent && turn.engine.is_some())
        .expect("it has spoken")
}

const FORBIDDEN: LinkCause = LinkCause::Status { status: 403 };

#[test]
fn an_agent_cut_off_in_mid_sentence_goes_on_with_what_was_not_heard() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        peer.hears(&mut rig, "I need an appointment.");
        peer.begins_to_say(&mut rig, "a", "We have Tuesday at ten and Thursday at three.", 1_000);
        rig.run_quiet(300);
        gives_way(&mut rig, peer, next, &LinkCause::Unreachable);
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        let told = told(&rig, seated);
        let note = told.iter().find(|text| text.contains(NOTE));
        let note = note.unwrap_or_else(|| panic!("{peer:?} to {next:?}: {told:?}"));
        assert!(note.contains("heard of you is: \\\"We have Tuesday"), "{peer:?} to {next:?}: {note}");
        if peer.0 != EngineKind::Cascade {
            // The cascade's words come with their times, and all of these were spoken.
            assert!(note.contains("Not heard was: \\\"") && note.contains("Thursday at three."), "{note}");
        }
        assert!(is_asked(&rig, seated), "{peer:?} to {next:?}: at once");
        next.says(&mut rig, "b", "On Thursday at three.", 1_000);
        rig.run_quiet(3_000);
        assert_eq!(
            (last_agent_turn(&rig).engine, last_agent_turn(&rig).heard_text.as_str()),
            (Some(next.0), "On Thursday at three.")
        );
    }
}

#[test]
fn what_was_said_to_an_engine_that_died_is_heard_by_the_next_one() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        rig.run_speaking(1_000);
        let took = gives_way(&mut rig, peer, next, &FORBIDDEN);
        assert!(took <= 200, "{peer:?} to {next:?}: {took} ms");
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        rig.run_quiet(1_000);
        let given = speech_given(&rig, next, seated);
        assert_eq!(given, 50, "{peer:?} to {next:?}: all of it, once");
        assert!(!is_asked(&rig, seated), "{peer:?} to {next:?}: the end of the turn is the engine's to find");
        next.hears(&mut rig, "I need an appointment.");
        next.says(&mut rig, "a", "We have Tuesday at ten.", 800);
        rig.run_quiet(3_000);
        assert_eq!(last_agent_turn(&rig).heard_text, "We have Tuesday at ten.", "{peer:?} to {next:?}");
        assert_eq!(line_at(&rig, "again"), None, "{peer:?} to {next:?}: nobody has to say anything twice");
    }
}

/// The caller's turn is over, and this engine places its end where it was.
fn hears_until(rig: &mut Rig, peer: Peer, text: &str, end_ms: u64) {
    match peer.0 {
        EngineKind::Hume => rig.hume(&ServerMessage::UserMessage(UserMessage {
            message: ChatMessage::new(Role::User, text),
            time: Some(Interval { begin: end_ms - 700, end: end_ms }),
            ..UserMessage::default()
        })),
        EngineKind::OpenAi => {
            let link = peer.main_link(rig);
            for message in [
                json!({"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":end_ms - 700,"item_id":"u"}),
                json!({"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":end_ms,"item_id":"u"}),
                json!({"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"u","content_index":0,"transcript":text}),
            ] {
                tell_json(rig, link, &message);
            }
        }
        EngineKind::Cascade => {
            let mut turn = flux("EndOfTurn", text);
            turn["audio_window_end"] = json!(end_ms as f64 / 1_000.0);
            deepgram(rig, &turn);
        }
    }
}

#[test]
fn what_was_told_already_is_answered_and_not_heard_again() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        rig.run_speaking(800);
        // A little too early, as engines go.
        let end_ms = rig.ms() - 40;
        rig.run_quiet(600);
        hears_until(&mut rig, peer, "I need an appointment.", end_ms);
        rig.run_quiet(100);
        gives_way(&mut rig, peer, next, &FORBIDDEN);
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        assert!(is_asked(&rig, seated), "{peer:?} to {next:?}");
        rig.run_quiet(1_000);
        assert_eq!(speech_given(&rig, next, seated), 0, "{peer:?} to {next:?}");
        let asked = told(&rig, seated).iter().any(|text| text.contains("I need an appointment."));
        assert!(asked, "{peer:?} to {next:?}: {:?}", told(&rig, seated));
    }
}

#[test]
fn what_is_said_after_a_turn_is_heard_by_the_next_engine_and_the_turn_before_is_known_to_it() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        rig.run_speaking(800);
        // Before the stream the engine had heard a frame of silence.
        let end_ms = rig.ms() + 20;
        rig.run_quiet(300);
        rig.run_speaking(400);
        hears_until(&mut rig, peer, "I need an appointment.", end_ms);
        rig.run_speaking(200);
        gives_way(&mut rig, peer, next, &FORBIDDEN);
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        rig.run_quiet(1_000);
        assert_eq!(speech_given(&rig, next, seated), 30, "{peer:?} to {next:?}");
        assert!(!is_asked(&rig, seated), "{peer:?} to {next:?}: the caller is not done");
    }
}

#[test]
fn if_the_next_engine_makes_nothing_of_it_the_conversation_goes_on_all_the_same() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        rig.run_speaking(600);
        gives_way(&mut rig, peer, next, &FORBIDDEN);
        let seated = rig.ms();
        next.becomes_ready(&mut rig);
        rig.run_quiet(6_000);
        let again = line_at(&rig, "again");
        assert!(again.is_some_and(|at| at - seated < 5_500), "{peer:?} to {next:?}: {again:?} after {seated}");
    }
}

#[test]
fn a_caller_who_is_thinking_is_not_disturbed_by_a_switch() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        let lost = rig.did.len();
        gives_way(&mut rig, peer, next, &FORBIDDEN);
        rig.run_quiet(300);
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        rig.run_quiet(5_000);
        assert!(!is_asked(&rig, seated), "{peer:?} to {next:?}: {:?}", told(&rig, seated));
        let frames = rig.did[lost..].iter().filter(|(_, did)| matches!(did, Did::Frame(_))).count();
        assert_eq!(frames, 0, "{peer:?} to {next:?}");
    }
}

#[test]
fn who_was_asked_to_wait_hears_of_the_next_engine_without_having_to_ask() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        gives_way(&mut rig, peer, next, &LinkCause::Unreachable);
        rig.run_quiet(1_500);
        assert!(line_at(&rig, "hold").is_some(), "{peer:?} to {next:?}");
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        let told = told(&rig, seated);
        assert!(told.iter().any(|text| text.contains(NOTE) && text.contains("asked to wait")), "{told:?}");
        assert!(is_asked(&rig, seated));
    }
}

#[test]
fn silence_is_counted_until_the_next_engines_first_word_and_not_until_it_is_there() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        peer.hears(&mut rig, "I need an appointment.");
        let silent = rig.ms();
        gives_way(&mut rig, peer, next, &FORBIDDEN);
        rig.run_quiet(200);
        next.becomes_ready(&mut rig);
        rig.run_quiet(2_000);
        let line = line_at(&rig, "hold");
        assert!(line.is_some_and(|at| at - silent <= 1_500), "{peer:?} to {next:?}: {line:?} after {silent}");
        next.says(&mut rig, "a", "We have Tuesday at ten.", 1_000);
        rig.run_quiet(3_000);
        let lines = rig.journal().into_iter().filter(|kind| matches!(kind, Kind::LinePlayed { .. })).count();
        assert_eq!(lines, 1, "{peer:?} to {next:?}: once is enough");
    }
}

#[test]
fn a_line_waits_until_the_caller_has_finished() {
    let (peer, next) = (Peer(EngineKind::Hume), Peer(EngineKind::OpenAi));
    let mut rig = greeted(peer, next);
    rig.run_speaking(400);
    peer.drops(&mut rig);
    for _ in 0..15 {
        rig.run_speaking(200);
        rig.input(Input::Link(rig.open_link(), LinkEvent::Refused(LinkCause::Unreachable)));
    }
    assert_eq!(line_at(&rig, "hold"), None, "nobody is talked over");
    let silent = rig.ms();
    rig.run_quiet(1_500);
    assert!(line_at(&rig, "hold").is_some_and(|at| at - silent <= 1_500));
}

#[test]
fn noise_without_end_does_not_keep_the_line_back_for_ever() {
    let (peer, next) = (Peer(EngineKind::Hume), Peer(EngineKind::OpenAi));
    let mut rig = greeted(peer, next);
    let lost = rig.ms();
    peer.drops(&mut rig);
    for _ in 0..50 {
        rig.run_speaking(200);
        rig.input(Input::Link(rig.open_link(), LinkEvent::Refused(LinkCause::Unreachable)));
    }
    assert!(
        line_at(&rig, "hold").is_some_and(|at| (6_000..8_000).contains(&(at - lost))),
        "{:?}",
        line_at(&rig, "hold")
    );
}

#[test]
fn a_recogniser_that_stalls_is_covered_within_what_the_caller_was_promised() {
    for (speech_ms, next) in [(500, PEERS[0]), (500, PEERS[1]), (2_000, PEERS[0]), (2_000, PEERS[1])] {
        let peer = Peer(EngineKind::Cascade);
        let mut rig = greeted(peer, next);
        rig.run_speaking(300);
        deepgram(&mut rig, &flux("StartOfTurn", "I need"));
        rig.flux = None;
        // Not another word from the recogniser, and no other socket.
        for _ in 0..(speech_ms - 300) / 20 {
            rig.run_speaking(20);
            refuse(&mut rig, peer, next);
        }
        let silent = rig.ms();
        while !is_dialled(&rig, next) {
            rig.run_quiet(20);
            refuse(&mut rig, peer, next);
            assert!(rig.ms() < silent + 3_500, "{speech_ms}: it never gives way");
        }
        let dialled = rig.ms();
        assert!(dialled - silent <= 2_700, "{speech_ms}: {} ms to the next engine", dialled - silent);
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        rig.run_quiet(1_600);
        let line = line_at(&rig, "hold");
        assert!(
            line.is_some_and(|at| (1_000..=1_500).contains(&(at - silent))),
            "{speech_ms}: {line:?} after {silent}"
        );
        assert_eq!(speech_given(&rig, next, seated), usize::try_from(speech_ms / 20).unwrap(), "{speech_ms}");
    }
}

/// Refuses the lost engine's last dial, if it waits for an answer.
fn refuse(rig: &mut Rig, peer: Peer, next: Peer) {
    let link = peer.main_link(rig);
    let first = rig.did.iter().filter(|(_, did)| matches!(did, Did::Open(_, LinkRequest::Deepgram(_)))).count() == 1;
    if !first && !is_dialled(rig, next) && !rig.did.iter().any(|(_, did)| *did == Did::Close(link)) {
        rig.input(Input::Link(link, LinkEvent::Refused(LinkCause::Unreachable)));
    }
}

#[test]
fn a_recogniser_that_is_silent_with_a_silent_caller_is_given_more_time() {
    let mut rig = greeted(Peer(EngineKind::Cascade), Peer(EngineKind::Hume));
    rig.flux = None;
    let quiet = rig.ms();
    rig.run_quiet(3_000);
    let redialled = rig.did.iter().find_map(|(ms, did)| match did {
        Did::Open(_, LinkRequest::Deepgram(_)) if *ms > quiet => Some(ms - quiet),
        _ => None,
    });
    assert!(redialled.is_some_and(|after| (1_700..2_300).contains(&after)), "{redialled:?}");
    assert_eq!(line_at(&rig, "hold"), None, "nobody waits for anything");
}

#[test]
fn an_engine_at_its_limit_gives_way_at_once() {
    for (peer, next) in pairs().filter(|(peer, _)| peer.0 != EngineKind::Cascade) {
        let mut rig = greeted(peer, next);
        let took = gives_way(&mut rig, peer, next, &LinkCause::Status { status: 429 });
        assert!(took <= 200, "{peer:?} to {next:?}: {took} ms");
    }
}

#[test]
fn the_goodbye_of_a_lost_engine_is_heard_and_nothing_follows_it() {
    for (peer, next) in pairs() {
        let mut rig = greeted(peer, next);
        peer.hears(&mut rig, "That is all, thanks.");
        peer.says_and_calls(&mut rig, "bye", "You are all set. Goodbye!", 1_500, Some(("t1", "hang_up")));
        gives_way(&mut rig, peer, next, &FORBIDDEN);
        let seated = rig.did.len();
        next.becomes_ready(&mut rig);
        rig.run_quiet(3_000);
        assert!(rig.finished && !is_asked(&rig, seated), "{peer:?} to {next:?}: {:?}", told(&rig, seated));
        assert_eq!(last_agent_turn(&rig).heard_text, "You are all set. Goodbye!");
    }
}
