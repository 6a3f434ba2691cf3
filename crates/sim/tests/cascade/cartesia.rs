//! The voice: contexts by the book, in recorded speech.

use std::time::Duration;

use sim::cartesia::fault::{Fault, Faults, HandshakeFault, Mishap, Moment};
use sim::cartesia::{Cartesia, CartesiaConfig, LateInput};
use sim::evi::{Frame, Out};
use sim::line::server::Model as _;
use sim::speech::speak;
use wire::cartesia::client::{ClientMessage, Generate};
use wire::cartesia::error::{ErrorCode, Fault as Told};
use wire::cartesia::server::ServerMessage;

use super::{Client, handshake, status};

const HELP: &str = "How can I help you today?";

fn voice(delay_ms: u32) -> Generate {
    Generate { max_buffer_delay_ms: Some(delay_ms), ..Generate::telephone("sonic-3", "a-voice") }
}

fn socket(config: CartesiaConfig, faults: Faults) -> Client<Cartesia> {
    Client::connect(Cartesia::new(config, faults, 7), "/tts/websocket", "Bearer key")
}

fn say(client: &mut Client<Cartesia>, input: Generate) {
    client.send(Frame::Text(ClientMessage::Generate(Box::new(input)).to_json()));
}

#[derive(Default)]
struct Heard {
    audio: Vec<u8>,
    words: Vec<(String, f64, f64)>,
    flushed: Vec<u64>,
    done: usize,
    faults: Vec<Told>,
    last_audio: Duration,
}

fn heard(client: &Client<Cartesia>, context: &str) -> Heard {
    let mut heard = Heard::default();
    for (at, text) in client.texts() {
        let message = ServerMessage::parse(text).expect("it is readable");
        if message.context_id() != Some(context) {
            continue;
        }
        match message {
            ServerMessage::Chunk(chunk) => {
                let mut bytes = Vec::new();
                chunk.decode(&mut bytes).expect("it is Base64");
                heard.audio.extend(bytes);
                heard.last_audio = at;
            }
            ServerMessage::Timestamps(times) => {
                let times = times.word_timestamps.expect("there are some");
                heard.words.extend(times.iter().map(|word| (word.word.to_owned(), word.start, word.end)));
            }
            ServerMessage::FlushDone(flush) => heard.flushed.push(flush.flush_id),
            ServerMessage::Done(_) => heard.done += 1,
            ServerMessage::Error(fault) => heard.faults.push(fault),
            ServerMessage::PhonemeTimestamps(_) | ServerMessage::Unknown(_) => {}
        }
    }
    heard
}

#[test]
fn a_sentence_is_spoken_as_it_was_recorded_with_the_times_of_its_words() {
    let mut client = socket(CartesiaConfig::default(), Faults::none());
    say(&mut client, voice(0).last("turn", HELP));
    client.wait(Duration::from_secs(5));
    let heard = heard(&client, "turn");
    let spoken = speak(HELP, 8_000);
    assert_eq!(heard.audio, call::audio::mulaw::encoded(&spoken.samples));
    let words: Vec<&str> = heard.words.iter().map(|(word, ..)| word.as_str()).collect();
    assert_eq!(words.join(" "), HELP);
    assert!(heard.words.windows(2).all(|pair| pair[0].2 <= pair[1].1 + 1e-9));
    assert!((heard.words.last().unwrap().2 - spoken.duration().as_secs_f64()).abs() < 0.01);
    assert!(heard.last_audio < spoken.duration(), "faster than it is heard");
    assert_eq!(
        (heard.done, client.model.records().next().unwrap().1.done.as_slice()),
        (1, ["turn".to_owned()].as_slice())
    );
}

#[test]
fn tokens_are_joined_as_they_are_and_a_lost_space_is_heard() {
    for (pieces, recorded) in
        [(["How can ", "I he", "lp you today?"], true), (["How can", "I he", "lp you today?"], false)]
    {
        let mut client = socket(CartesiaConfig::default(), Faults::none());
        for piece in pieces {
            say(&mut client, voice(3_000).more("turn", piece));
            client.wait(Duration::from_millis(20));
        }
        assert!(heard(&client, "turn").audio.is_empty(), "it waits for more");
        say(&mut client, voice(3_000).last("turn", ""));
        client.wait(Duration::from_secs(5));
        let record = client.model.records().next().unwrap().1;
        assert_eq!(record.spoken.iter().map(|spoken| spoken.recorded).collect::<Vec<_>>(), [recorded]);
    }
}

#[test]
fn the_second_sentence_follows_the_first_in_the_time_of_its_context() {
    let mut client = socket(CartesiaConfig::default(), Faults::none());
    say(&mut client, voice(0).more("turn", HELP));
    say(&mut client, Generate { flush: Some(true), ..voice(0).more("turn", "") });
    say(&mut client, voice(0).last("turn", HELP));
    client.wait(Duration::from_secs(5));
    let heard = heard(&client, "turn");
    let length = speak(HELP, 8_000).duration().as_secs_f64();
    let total = heard.audio.len() as f64 / 8_000.0;
    assert!((total - 2.0 * length - 0.18).abs() < 0.01, "{total}");
    assert!((heard.words.last().unwrap().2 - total).abs() < 0.01);
    assert_eq!((heard.flushed, heard.done), (vec![1], 1));
}

#[test]
fn after_a_cancel_a_little_still_comes_and_then_nothing() {
    let mut client = socket(CartesiaConfig { speed: 1, ..CartesiaConfig::default() }, Faults::none());
    say(&mut client, voice(0).more("turn", HELP));
    client.wait(Duration::from_millis(400));
    let before = heard(&client, "turn").audio.len();
    let cancelled_at = client.now - client.begun;
    client.send(Frame::Text(ClientMessage::cancel("turn").to_json()));
    client.wait(Duration::from_secs(5));
    let after = heard(&client, "turn");
    assert!(before > 0 && after.audio.len() > before, "what was being made still comes");
    assert!(after.audio.len() < speak(HELP, 8_000).samples.len(), "the rest never does");
    assert!(after.last_audio <= cancelled_at + Duration::from_millis(300));
    assert_eq!(after.done, 1);
}

#[test]
fn a_context_without_more_text_expires_and_what_follows_is_a_switch() {
    for (late_input, faults, again) in
        [(LateInput::Refused, 1, false), (LateInput::Ignored, 0, false), (LateInput::Begins, 0, true)]
    {
        let mut client = socket(CartesiaConfig { late_input, ..CartesiaConfig::default() }, Faults::none());
        say(&mut client, voice(0).more("turn", HELP));
        client.wait(Duration::from_secs(5));
        assert_eq!(client.model.records().next().unwrap().1.expired, ["turn"]);
        let before = heard(&client, "turn").audio.len();
        say(&mut client, voice(0).last("turn", HELP));
        client.wait(Duration::from_secs(5));
        let heard = heard(&client, "turn");
        assert_eq!((heard.faults.len(), heard.audio.len() > before), (faults, again), "{late_input:?}");
        assert!(heard.faults.iter().all(|fault| fault.known_code() == Some(ErrorCode::ContextClosed)));
    }
}

#[test]
fn what_is_wrong_ends_its_context_and_no_other() {
    let mut client = socket(CartesiaConfig { concurrency: 2, ..CartesiaConfig::default() }, Faults::none());
    say(&mut client, voice(0).more("good", HELP));
    say(&mut client, voice(0).more("bad", HELP));
    say(&mut client, voice(0).more("third", HELP));
    say(&mut client, Generate { language: Some("de".into()), ..voice(0).more("bad", HELP) });
    say(&mut client, Generate { model_id: "sonic-9".into(), ..voice(0).more("fourth", HELP) });
    client.send(Frame::Text(r#"{"context_id":"fifth"}"#.to_owned()));
    client.wait(Duration::from_secs(5));
    let code = |context: &str| heard(&client, context).faults.first().and_then(Told::known_code);
    assert_eq!(code("third"), Some(ErrorCode::ConcurrencyLimited));
    assert_eq!(code("bad"), Some(ErrorCode::InvalidRequest));
    assert_eq!(code("fourth"), Some(ErrorCode::ModelNotFound));
    assert_eq!(code("fifth"), Some(ErrorCode::InvalidRequest));
    assert!(code("good").is_none() && !heard(&client, "good").audio.is_empty());
    assert!(heard(&client, "bad").audio.is_empty());
    let mut old = Client::connect(
        Cartesia::new(CartesiaConfig::default(), Faults::none(), 7),
        "/tts/websocket?cartesia_version=2025-04-16",
        "Bearer key",
    );
    old.send(Frame::Text(r#"{"context_id":"c"}"#.to_owned()));
    assert!(heard(&old, "c").faults[0].error.is_some());
}

#[test]
fn a_socket_over_which_nothing_is_said_is_closed() {
    let mut client = socket(CartesiaConfig::default(), Faults::none());
    client.wait(Duration::from_secs(299));
    assert!(client.end().is_none());
    client.wait(Duration::from_secs(2));
    assert!(matches!(client.end(), Some(Out::Close { .. })));
}

#[test]
fn it_fails_as_it_is_told() {
    let run = |at, what| {
        let mut client = socket(CartesiaConfig::default(), Faults::scripted([Fault::midway(at, what).on(1)]));
        say(&mut client, voice(0).more("turn", HELP));
        client.wait(Duration::from_secs(3));
        client
    };
    let half = Moment::Spoken { nth: 1, audio: Duration::from_millis(500) };
    let dropped = run(half, Mishap::Drop);
    assert_eq!(dropped.end(), Some(&Out::Drop));
    assert_eq!(heard(&dropped, "turn").audio.len(), 4_000, "exactly half a second was sent");
    let stalled = run(half, Mishap::Stall(None));
    assert!(stalled.end().is_none() && heard(&stalled, "turn").audio.len() <= 4_000);
    let huge = run(Moment::Open(Duration::ZERO), Mishap::HugeAudio);
    assert!(huge.texts().any(|(_, text)| text.len() > 1_000_000));
    let failed = run(Moment::Open(Duration::ZERO), Mishap::FailedTurn);
    assert_eq!(heard(&failed, "turn").faults[0].status_code, 500);
    let refused = Faults::scripted([Fault::Handshake(HandshakeFault::Refuse(429)).on(1)]);
    let mut model = Cartesia::new(CartesiaConfig::default(), refused, 7);
    assert_eq!(status(model.connect(std::time::Instant::now(), handshake("/tts/websocket", "Bearer key"))), 429);
}
