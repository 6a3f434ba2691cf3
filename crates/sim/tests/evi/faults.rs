//! What goes wrong, exactly where it shall, and again with the same seed.

use crate::line::Line;
use crate::{BOOK, ms};
use sim::evi::fault::{Connection, Fault, Faults, HandshakeFault, Mishap, Moment, Odds, Scripted};
use sim::evi::{Ended, EviConfig, FinalChunk, Frame, Out, Refused};

#[test]
fn late_audio_of_an_interrupted_sentence_comes_once_and_is_counted() {
    let faults = Faults::scripted([Fault::midway(Moment::Open(ms(0)), Mishap::LateAudio(ms(150))).on(1)]);
    let config = EviConfig { speed: 1, chunks_per_sentence: 6, min_interruption: ms(200), ..EviConfig::default() };
    let mut line = Line::open_at(config, faults, 1, "/v0/evi/chat").unwrap();
    line.settings();
    line.say(BOOK);
    line.listen_until("audio_output");
    let id = line.first("audio_output")["id"].clone();
    line.say("caller-not-tuesday");
    line.listen_until("user_interruption");
    line.listen(ms(300));
    assert_eq!(line.kinds_after("user_interruption"), ["assistant_end", "audio_output"]);
    assert_eq!(line.all("audio_output").last().unwrap()["id"], id);
    assert_eq!(line.evi.fault_counts()["late audio"], 1);
}

#[test]
fn handshake_faults_happen_to_the_attempts_they_are_meant_for() {
    let faults = Faults::scripted([
        Fault::Handshake(HandshakeFault::Refuse(410)).on(1),
        Fault::Handshake(HandshakeFault::Silence).on(2),
        Fault::Handshake(HandshakeFault::Slow(ms(3_000))).on(3),
        Fault::Handshake(HandshakeFault::RefuseResume(403)).always(),
    ]);
    let mut evi = sim::evi::Evi::new(EviConfig::default(), faults, 1);
    let now = std::time::Instant::now();
    assert_eq!(evi.connect(now, "/v0/evi/chat", Some("k")), Err(Refused::Status(410)));
    assert_eq!(evi.connect(now, "/v0/evi/chat", Some("k")), Err(Refused::Silence));
    let accepted = evi.connect(now, "/v0/evi/chat", Some("k")).unwrap();
    assert_eq!(accepted.after, ms(3_000));
    assert_eq!(evi.poll(now + ms(2_999), accepted.session), None);
    assert_eq!(evi.next_due(accepted.session), Some(now + ms(3_000)));
    assert!(evi.poll(now + ms(3_000), accepted.session).is_some());
    assert_eq!(evi.connect(now, "/v0/evi/chat?resumed_chat_group_id=g", Some("k")), Err(Refused::Status(403)));
    assert_eq!(evi.fault_counts().values().sum::<u32>(), 4);
}

#[test]
fn the_socket_drops_exactly_where_the_script_says_in_the_second_sentence() {
    let at = Moment::Spoken { nth: 2, audio: ms(700) };
    let config = EviConfig {
        greeting: Some("Good morning, how are you today? It is a pleasure to hear from you again.".to_owned()),
        ..EviConfig::default()
    };
    let mut line =
        Line::open_at(config.clone(), Faults::scripted([Fault::midway(at, Mishap::Drop).on(1)]), 1, "/v0/evi/chat")
            .unwrap();
    line.wait(ms(10_000));
    assert_eq!(line.closing(), Some(Out::Drop));
    let said = &line.record().said;
    assert_eq!((said[0].sent_ms, said[1].sent_ms), (said[0].whole_ms, 700));
    assert!(line.all("assistant_end").is_empty());

    let at = Moment::Sentence { nth: 2, after: ms(700) };
    let mut line =
        Line::open_at(config, Faults::scripted([Fault::midway(at, Mishap::Drop).on(1)]), 1, "/v0/evi/chat").unwrap();
    line.wait(ms(10_000));
    let begun = line.record().said[1].at.unwrap();
    let (ended, how) = line.record().ended.unwrap();
    assert_eq!((ended - begun, how), (ms(700), Ended::Dropped));
}

#[test]
fn odd_frames_huge_audio_and_stalls_come_when_they_are_due() {
    let greeting = Some("Good morning. How are you?".to_owned());
    let run = |mishap: Mishap| {
        let faults = Faults::scripted([Fault::midway(Moment::Sentence { nth: 1, after: ms(0) }, mishap).on(1)]);
        let config = EviConfig { greeting: greeting.clone(), ..EviConfig::default() };
        let mut line = Line::open_at(config, faults, 1, "/v0/evi/chat").unwrap();
        line.wait(ms(10_000));
        line
    };
    assert!(run(Mishap::MalformedJson).malformed == 1);
    assert!(run(Mishap::BinaryFrame).binary == 1);
    assert_eq!(run(Mishap::UnknownType).all("ambience").len(), 1);
    let huge = run(Mishap::HugeAudio);
    assert!(huge.all("audio_output").iter().any(|audio| audio["data"].as_str().unwrap().len() > 1 << 20));
    let stalled = run(Mishap::Stall(None));
    assert_eq!(stalled.all("audio_output").len(), 1);
    assert!(stalled.all("assistant_end").is_empty() && stalled.closing().is_none());
    let paused = run(Mishap::Stall(Some(ms(4_000))));
    assert_eq!(paused.all("assistant_end").len(), 1);
    assert!(paused.at("assistant_end") - paused.at("audio_output") >= ms(4_000));
}

#[test]
fn a_turn_that_fails_is_never_answered_and_the_next_one_is() {
    let faults = Faults::scripted([Fault::midway(Moment::CallerTurn(1), Mishap::FailedTurn).on(1)]);
    let mut line = Line::open_at(EviConfig::default(), faults, 1, "/v0/evi/chat").unwrap();
    line.settings();
    line.say(BOOK);
    line.listen(ms(5_000));
    assert!(line.all("assistant_message").is_empty());
    line.say(BOOK);
    line.listen(ms(5_000));
    assert!(!line.all("assistant_message").is_empty());
}

#[test]
fn forward_tolerance_can_be_tested_with_fields_and_messages_of_no_schema() {
    let config = EviConfig {
        extra_fields: 1.0,
        unknown_messages: 1.0,
        final_chunk: FinalChunk::Truthful,
        greeting: Some("Good morning.".to_owned()),
        ..EviConfig::default()
    };
    let mut line = Line::open(config);
    line.wait(ms(3_000));
    assert!(line.first("audio_output").get("trace").is_some());
    assert_eq!(line.first("audio_output")["is_final_chunk"], true);
    assert!(!line.all("speech_rate").is_empty());
}

#[test]
fn the_same_seed_gives_the_same_conversation_byte_for_byte() {
    let run = |seed| {
        let mut line =
            Line::open_at(EviConfig::by_seed(seed), Faults::by_chance(Odds::even(0.05)), seed, "/v0/evi/chat").ok()?;
        line.settings();
        for words in [BOOK, "caller-tuesday", "caller-name-alex"] {
            line.say(words);
            line.listen(ms(4_000));
        }
        Some(line.transcript())
    };
    let mut different = 0;
    for seed in 0..12 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
        different += u32::from(run(seed) != run(seed + 1));
    }
    assert!(different > 6);
}

#[test]
fn arbitrary_frames_never_bring_it_down() {
    let mut rng = fastrand::Rng::with_seed(5);
    let faults = Faults::scripted([Scripted {
        connection: Connection::Every,
        fault: Fault::midway(Moment::Open(ms(50)), Mishap::UnknownType),
    }]);
    for _ in 0..300 {
        let mut line = Line::open_at(EviConfig::default(), faults.clone(), 1, "/v0/evi/chat").unwrap();
        for _ in 0..20 {
            let length = rng.usize(0..700);
            let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
            if rng.bool() {
                line.frame(Frame::Binary(bytes));
            } else {
                line.text(&String::from_utf8_lossy(&bytes));
            }
            if rng.u8(..) == 0 {
                line.settings();
            }
        }
        line.wait(ms(100));
    }
}
