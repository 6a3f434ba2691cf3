//! The phone, judged through its public face only.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::twilio::sid::{AccountSid, CallSid, StreamSid};

use super::*;

const STREAM: &str = "MZ00000000000000000000000000000003";

fn config() -> PhoneConfig {
    PhoneConfig::new(AccountSid::from_number(1), CallSid::from_number(2), StreamSid::from_number(3))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A phone with a clock, and all it said.
struct Desk {
    phone: Phone,
    origin: Instant,
    now: Instant,
    out: Vec<(Duration, PhoneOut)>,
}

impl Desk {
    fn new(config: PhoneConfig, seed: u64) -> Self {
        let origin = Instant::now();
        let mut phone = Phone::new(config, seed);
        phone.started(origin);
        Self { phone, origin, now: origin, out: Vec::new() }
    }

    fn run_until(&mut self, at: Duration) {
        let until = self.origin + at;
        loop {
            while let Some(out) = self.phone.poll(self.now) {
                self.out.push((self.now - self.origin, out));
            }
            match self.phone.next_due().filter(|due| *due <= until) {
                Some(due) => {
                    assert!(due > self.now, "what is due in the past was polled");
                    self.now = due;
                }
                None => break,
            }
        }
        self.now = until;
        assert_eq!(self.phone.poll(until), None);
    }

    fn send(&mut self, message: Value) {
        self.phone.receive(self.now, &message.to_string());
    }

    fn play(&mut self, audio: &[u8]) {
        self.send(json!({"event": "media", "streamSid": STREAM, "media": {"payload": STANDARD.encode(audio)}}));
    }

    fn mark(&mut self, name: &str) {
        self.send(json!({"event": "mark", "streamSid": STREAM, "mark": {"name": name}}));
    }

    fn clear(&mut self) {
        self.send(json!({"event": "clear", "streamSid": STREAM}));
    }

    fn messages(&self) -> Vec<(Duration, Value)> {
        self.out
            .iter()
            .filter_map(|(at, out)| match out {
                PhoneOut::Text(text) => Some((*at, serde_json::from_str(text).unwrap())),
                PhoneOut::Ping | PhoneOut::Close { .. } => None,
            })
            .collect()
    }

    fn events(&self, event: &str) -> Vec<(Duration, Value)> {
        self.messages().into_iter().filter(|(_, message)| message["event"] == event).collect()
    }

    fn marks(&self) -> Vec<(u128, String)> {
        let name = |message: &Value| message["mark"]["name"].as_str().unwrap().to_owned();
        self.events("mark").iter().map(|(at, message)| (at.as_millis(), name(message))).collect()
    }

    fn codes(&self) -> Vec<u16> {
        self.phone.violations().iter().map(|violation| violation.code).collect()
    }
}

fn desk() -> Desk {
    let mut desk = Desk::new(config(), 1);
    desk.run_until(ms(0));
    desk
}

#[test]
fn a_stream_introduces_itself_and_then_sends_a_frame_every_20_ms() {
    let mut config = config();
    config.custom_parameters = BTreeMap::from([("token".into(), "t".into())]);
    let mut desk = Desk::new(config, 1);
    desk.run_until(ms(100));
    let messages = desk.messages();
    assert_eq!(messages[0].1, json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}));
    assert_eq!(messages[1].1["start"]["customParameters"], json!({"token": "t"}));
    assert_eq!(messages[1].1["sequenceNumber"], "1");
    let media = desk.events("media");
    let times: Vec<_> = media.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [20, 40, 60, 80, 100]);
    assert_eq!(media[2].1["media"]["timestamp"], "40");
    assert_eq!(media[2].1["media"]["chunk"], "3");
    assert_eq!(media[2].1["sequenceNumber"], "4");
    assert_eq!(media[2].1["media"]["payload"], STANDARD.encode([0xff; 160]));
}

#[test]
fn everything_the_phone_sends_is_read_by_the_product_without_remark() {
    let mut desk = desk();
    desk.phone.dtmf(desk.now + ms(30), '#');
    desk.mark("m");
    desk.run_until(ms(60));
    desk.phone.hang_up(desk.now);
    desk.run_until(ms(80));
    for (_, out) in &desk.out {
        if let PhoneOut::Text(text) = out {
            assert!(!matches!(parse(text).unwrap(), Inbound::Unknown { .. }), "{text}");
        }
    }
    let kinds: Vec<_> =
        desk.messages().iter().map(|(_, message)| message["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["connected", "start", "mark", "media", "dtmf", "media", "media", "stop"]);
    assert_eq!(desk.out.last().unwrap().1, PhoneOut::Close { code: Some(1000) });
}

#[test]
fn speech_is_laid_over_the_line_to_the_sample() {
    let mut desk = desk();
    let speech: Vec<u8> = (0..400).map(|at| u8::try_from(at % 100).unwrap()).collect();
    let until = desk.phone.say(desk.origin + ms(25), &speech);
    assert_eq!(until - desk.origin, ms(75));
    desk.run_until(ms(200));
    let line: Vec<u8> = desk.phone.sent().iter().flat_map(|frame| frame.audio).collect();
    assert_eq!(&line[200..600], speech);
    assert!(line[..200].iter().chain(&line[600..]).all(|code| *code == 0xff));
    let speaking: Vec<_> = desk.phone.sent().iter().map(|frame| frame.speech).collect();
    assert_eq!(speaking[..5], [false, true, true, true, false]);
}

#[test]
fn audio_sounds_at_real_time_and_a_mark_returns_when_it_is_reached() {
    let mut desk = desk();
    desk.play(&[1; 800]);
    desk.mark("a");
    desk.play(&[2; 400]);
    desk.mark("b");
    desk.run_until(ms(300));
    assert_eq!(desk.marks(), [(100, "a".into()), (150, "b".into())]);
    let heard = desk.phone.heard();
    assert_eq!(heard.stretches().len(), 1);
    assert_eq!(heard.audio(), [[1; 800].as_slice(), &[2; 400]].concat());
    assert_eq!(heard.length(), ms(150));
    assert_eq!(heard.marks()[0].returned, Some((desk.origin + ms(100), MarkEnd::Played)));
}

#[test]
fn a_mark_with_nothing_queued_returns_at_once() {
    let mut desk = desk();
    desk.run_until(ms(35));
    desk.mark("now");
    desk.run_until(ms(35));
    assert_eq!(desk.marks(), [(35, "now".into())]);
    assert_eq!(desk.phone.heard().marks()[0].returned, Some((desk.now, MarkEnd::NothingQueued)));
}

#[test]
fn a_queue_that_runs_dry_is_a_gap_to_the_sample() {
    let mut desk = desk();
    desk.play(&[1; 160]);
    desk.run_until(ms(23));
    desk.play(&[2; 160]);
    desk.run_until(ms(2000));
    desk.play(&[3; 160]);
    desk.run_until(ms(3000));
    let gaps = desk.phone.heard().gaps(ms(500));
    assert_eq!(gaps, [Gap { at: desk.origin + ms(20), length: ms(3) }]);
    assert_eq!(desk.phone.heard().gaps(ms(5000)).len(), 2);
    let timeline = desk.phone.heard().timeline(desk.origin);
    assert_eq!(timeline[159..185], [[1].as_slice(), &[0xff; 24], &[2]].concat());
    assert_eq!(timeline.len(), 16_160);
}

#[test]
fn clear_forgets_all_but_the_tail_and_returns_every_mark_in_order() {
    let mut desk = desk();
    desk.play(&[1; 8000]);
    desk.mark("a");
    desk.play(&[2; 8000]);
    desk.mark("b");
    desk.run_until(ms(300));
    desk.clear();
    desk.run_until(ms(2500));
    assert_eq!(desk.marks(), [(300, "a".into()), (300, "b".into())]);
    assert_eq!(desk.phone.heard().length(), ms(340));
    assert_eq!(desk.phone.heard().clears(), [ClearRecord { at: desk.origin + ms(300), dropped: ms(1660), marks: 2 }]);
    assert_eq!(desk.phone.heard().marks()[1].returned.unwrap().1, MarkEnd::Cleared);
    desk.play(&[3; 160]);
    desk.run_until(ms(2600));
    assert_eq!(desk.phone.heard().stretches().last().unwrap().audio, [3; 160]);
}

#[test]
fn the_tail_after_a_clear_is_a_switch() {
    let mut config = config();
    config.unknowns.tail_after_clear = Duration::ZERO;
    let mut desk = Desk::new(config, 1);
    desk.run_until(ms(0));
    desk.play(&[1; 8000]);
    desk.run_until(ms(300));
    desk.clear();
    desk.clear();
    desk.run_until(ms(900));
    assert_eq!(desk.phone.heard().length(), ms(300));
}

#[test]
fn more_than_ten_minutes_of_audio_are_discarded_and_reported_once() {
    let mut desk = desk();
    for _ in 0..601 {
        desk.play(&[1; 8000]);
    }
    assert!(desk.codes().is_empty());
    desk.play(&[2; 8000]);
    desk.play(&[2; 8000]);
    assert_eq!(desk.codes(), [BUFFER_FULL, BUFFER_FULL]);
    let raised: Vec<_> = desk.phone.violations().iter().map(|violation| violation.raised).collect();
    assert_eq!(raised, [true, false]);
    assert_eq!(desk.phone.queued(), Duration::from_secs(601));
}

#[test]
fn every_way_to_break_the_protocol_is_a_violation_without_effect() {
    let mut desk = desk();
    let media = json!({"payload": "//8="});
    for broken in [
        json!([]),
        json!({"event": "media", "streamSid": STREAM, "media": media, "extra": 1}),
        json!({"event": "media", "streamSid": STREAM, "media": {"payload": "//8=", "track": "outbound"}}),
        json!({"event": "media", "media": media}),
        json!({"event": "media", "streamSid": "MZ00000000000000000000000000000009", "media": media}),
        json!({"event": "media", "streamSid": STREAM, "media": {"payload": "***"}}),
        json!({"event": "mark", "streamSid": STREAM}),
        json!({"event": "start", "streamSid": STREAM}),
        json!({"event": "clear"}),
    ] {
        desk.send(broken);
    }
    desk.phone.receive(desk.now, "not JSON");
    desk.phone.receive_binary(desk.now);
    assert_eq!(desk.phone.violation_count(31951), 10);
    assert_eq!(desk.phone.violation_count(31950), 1);
    assert_eq!(desk.phone.violations().iter().filter(|violation| violation.raised).count(), 2);
    assert_eq!(desk.phone.queued(), Duration::ZERO);
    assert!(desk.phone.heard().marks().is_empty());
}

#[test]
fn a_flood_of_violations_is_counted_and_not_kept() {
    let mut desk = desk();
    for _ in 0..5000 {
        desk.phone.receive(desk.now, "{");
    }
    assert_eq!(desk.phone.violation_count(31951), 5000);
    assert_eq!(desk.phone.violations().len(), 200);
}

#[test]
fn what_is_queued_when_the_stream_ends_is_not_heard_and_late_messages_are_no_fault() {
    let mut desk = desk();
    desk.play(&[1; 8000]);
    desk.mark("end");
    desk.run_until(ms(110));
    desk.phone.hang_up(desk.now);
    desk.phone.receive(desk.now, "late and wrong");
    desk.run_until(ms(2000));
    assert_eq!(desk.phone.heard().length(), ms(110));
    assert!(desk.marks().is_empty());
    assert!(desk.codes().is_empty());
    assert_eq!(desk.events("stop").len(), 1);
    assert_eq!(desk.events("media").len(), 5);
    assert_eq!(desk.phone.next_due(), None);
    assert_eq!(desk.phone.ended(), Some(StreamEnd::Stopped(desk.origin + ms(110))));
}

#[test]
fn a_server_that_closes_gets_no_stop() {
    let mut desk = desk();
    desk.play(&[1; 8000]);
    desk.run_until(ms(50));
    desk.phone.server_closed(desk.now, Some(1000));
    desk.run_until(ms(500));
    assert!(desk.events("stop").is_empty());
    assert_eq!(desk.phone.heard().length(), ms(50));
    assert_eq!(desk.phone.ended(), Some(StreamEnd::ServerClosed(desk.origin + ms(50), Some(1000))));
}

#[test]
fn an_uneven_line_delays_and_drops_but_never_reorders() {
    let mut config = config();
    config.pacing = Pacing {
        jitter: ms(15),
        bunching: Some(Bunching { chance: 0.1, frames: 4 }),
        loss: 0.05,
        congestion: 0.05,
        stalls: vec![Stall { after: ms(1000), length: ms(700) }],
        random_stalls: Some(RandomStalls { chance: 0.01, longest: ms(100) }),
    };
    let mut desk = Desk::new(config, 7);
    desk.run_until(ms(20_000));
    let mut chunk_before = 0;
    let mut timestamp_before = None;
    let mut chunk_gaps = 0;
    for (at, message) in desk.events("media") {
        assert!(!(ms(1000) <= at && at < ms(1700)), "nothing leaves in a stall");
        let chunk: u64 = message["media"]["chunk"].as_str().unwrap().parse().unwrap();
        let timestamp: u64 = message["media"]["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(chunk > chunk_before && Some(timestamp) > timestamp_before);
        assert!(at >= ms(timestamp + 20), "a frame cannot leave before it was spoken");
        chunk_gaps += chunk - chunk_before - 1;
        (chunk_before, timestamp_before) = (chunk, Some(timestamp));
    }
    let fates = |fate| desk.phone.sent().iter().filter(|frame| frame.fate == fate).count();
    assert!(fates(Fate::LostOnLine) > 10 && fates(Fate::DroppedUnderCongestion) > 10);
    assert_eq!(u64::try_from(fates(Fate::DroppedUnderCongestion)).unwrap(), chunk_gaps);
    assert_eq!(u64::try_from(desk.events("media").len()).unwrap(), desk.phone.frames_delivered());
    let sequence: Vec<u64> = desk.messages()[1..]
        .iter()
        .map(|(_, message)| message["sequenceNumber"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(sequence.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn a_pressed_key_can_be_heard_if_twilio_should_let_it() {
    let mut config = config();
    config.unknowns.tone_in_audio = true;
    let mut desk = Desk::new(config, 1);
    desk.phone.dtmf(desk.origin + ms(100), '5');
    desk.run_until(ms(400));
    let loud: Vec<_> = desk.phone.sent().iter().map(|frame| !frame.is_silent()).collect();
    assert_eq!(loud.iter().filter(|loud| **loud).count(), 5);
    assert!(loud[5] && loud[9]);
    let (at, key) = &desk.events("dtmf")[0];
    assert_eq!((at.as_millis(), &key["dtmf"]), (100, &json!({"track": "inbound_track", "digit": "5"})));
}

#[test]
fn a_noisy_line_is_silent_to_a_detector_and_never_the_same_twice() {
    let mut config = config();
    config.line = Line::Noisy;
    let mut desk = Desk::new(config, 1);
    desk.run_until(ms(200));
    let frames = desk.phone.sent();
    assert!(frames.iter().all(SentFrame::is_silent));
    assert!(frames.windows(2).all(|pair| pair[0].audio != pair[1].audio));
}

#[test]
fn a_phone_that_keeps_only_figures_keeps_no_audio() {
    let mut config = config();
    config.keep = Keep::Figures;
    let mut desk = Desk::new(config, 1);
    desk.run_until(ms(0));
    desk.play(&[1; 1600]);
    desk.run_until(ms(1000));
    assert_eq!(desk.phone.heard().length(), ms(200));
    assert!(desk.phone.heard().audio().is_empty() && desk.phone.sent().is_empty());
    assert_eq!(desk.phone.frames_delivered(), 50);
}

#[test]
fn a_ping_is_sent_only_if_twilio_should_send_one() {
    let mut config = config();
    config.unknowns.ping_every = Some(ms(500));
    let mut desk = Desk::new(config, 1);
    desk.run_until(ms(1600));
    assert_eq!(desk.out.iter().filter(|(_, out)| *out == PhoneOut::Ping).count(), 3);
}

#[test]
fn a_caller_answers_when_the_agent_is_done_and_talks_over_it_when_told_to() {
    let script = CallerScript::new()
        .answers(vec![0x10; 800])
        .interrupts_after(ms(600), vec![0x20; 800])
        .hangs_up_after_goodbye();
    let mut caller = Caller::new(script);
    let mut desk = desk();
    let mut hung_up_at = None;
    for tick in 1..=600_u64 {
        desk.run_until(ms(tick * 20));
        match tick {
            // One second of greeting, three of the next answer, and half a second of goodbye.
            10 => desk.play(&[1; 8000]),
            200 => desk.play(&[1; 24_000]),
            400 => desk.play(&[1; 4000]),
            _ => {}
        }
        if caller.step(desk.now, Some(&mut desk.phone)) {
            hung_up_at = Some(tick * 20);
            break;
        }
    }
    let acts: Vec<_> = caller.performed().iter().map(|act| (act.from - desk.origin).as_millis()).collect();
    // The greeting sounds from 200 to 1200 ms; the answer from 4000 ms on; the goodbye from 8000 to 8500 ms. The
    // agent does not stop when it is talked over, so its answer ends at 7000 ms and is taken as one to the caller.
    assert_eq!(acts, [1900, 4600, 7700]);
    assert_eq!(hung_up_at, Some(7700));
    assert!(caller.is_finished());
}

#[test]
fn a_caller_without_an_answer_loses_patience() {
    let mut caller = Caller::new(CallerScript::new().answers(vec![0x10; 160]));
    let mut desk = desk();
    caller.step(desk.now, Some(&mut desk.phone));
    assert_eq!(caller.next_due(), Some(desk.origin + ms(20_000)));
    caller.step(desk.origin + ms(19_999), Some(&mut desk.phone));
    assert!(caller.performed().is_empty());
    caller.step(desk.origin + ms(20_000), Some(&mut desk.phone));
    assert_eq!(caller.performed().len(), 1);
}

#[test]
fn a_caller_without_a_stream_can_still_hang_up() {
    let mut caller = Caller::new(CallerScript::new().says_at(ms(100), vec![0; 160]).hangs_up_at(ms(200)));
    let origin = Instant::now();
    assert!(!caller.step(origin, None));
    assert!(!caller.step(origin + ms(100), None));
    assert!(!caller.performed()[0].on_stream);
    assert!(caller.step(origin + ms(200), None));
}

#[test]
fn a_delay_line_keeps_order_through_jitter_and_stalls() {
    let settings = DelaySettings {
        delay: ms(30),
        jitter: ms(20),
        stalls: vec![Stall { after: ms(500), length: ms(300) }],
        random_stalls: Some(RandomStalls { chance: 0.05, longest: ms(200) }),
    };
    let origin = Instant::now();
    let mut line = DelayLine::new(settings, 3);
    let mut arrivals = Vec::new();
    for item in 0..100_u32 {
        let now = origin + ms(20) * item;
        let at = line.push(now, item);
        assert!(at >= now + ms(30));
        assert!(!(origin + ms(500) <= at && at < origin + ms(800)));
        arrivals.push(at);
    }
    assert!(arrivals.is_sorted());
    assert_eq!(line.next_due(), Some(arrivals[0]));
    assert_eq!(line.pop(origin), None);
    let end = origin + ms(10_000);
    assert_eq!(std::iter::from_fn(|| line.pop(end)).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    line.push(end, 1);
    line.cut();
    assert!(line.is_empty() && line.next_due().is_none());
}

#[derive(Debug, Clone)]
enum Move {
    Wait(u64),
    Play(usize),
    Mark,
    Clear,
    Say(usize),
    Nonsense(String),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (0_u64..400).prop_map(Move::Wait),
        3 => (0_usize..5000).prop_map(Move::Play),
        2 => Just(Move::Mark),
        1 => Just(Move::Clear),
        1 => (0_usize..3000).prop_map(Move::Say),
        1 => ".{0,40}".prop_map(Move::Nonsense),
    ];
    proptest::collection::vec(one, 0..40)
}

fn perform(moves: &[Move], seed: u64) -> Desk {
    let mut config = config();
    config.line = Line::Noisy;
    config.pacing.jitter = ms(30);
    config.pacing.loss = 0.1;
    config.pacing.random_stalls = Some(RandomStalls { chance: 0.02, longest: ms(300) });
    let mut desk = Desk::new(config, seed);
    desk.run_until(ms(0));
    let mut at = 0;
    for (index, step) in moves.iter().enumerate() {
        match step {
            Move::Wait(length) => {
                at += length;
                desk.run_until(ms(at));
            }
            Move::Play(bytes) => desk.play(&vec![u8::try_from(index).unwrap(); *bytes]),
            Move::Mark => desk.mark(&index.to_string()),
            Move::Clear => desk.clear(),
            Move::Say(bytes) => {
                desk.phone.say(desk.now, &vec![0x33; *bytes]);
            }
            Move::Nonsense(text) => desk.phone.receive(desk.now, text),
        }
    }
    desk.run_until(ms(at + 30_000));
    desk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_seed_and_inputs_give_the_same_bytes(moves in moves(), seed: u64) {
        let (first, second) = (perform(&moves, seed), perform(&moves, seed));
        prop_assert_eq!(&first.out, &second.out);
        prop_assert_eq!(first.phone.heard().audio(), second.phone.heard().audio());
    }

    #[test]
    fn every_mark_returns_once_in_order_and_every_byte_is_heard_or_dropped(moves in moves(), seed: u64) {
        let desk = perform(&moves, seed);
        let sent: Vec<_> = moves.iter().enumerate().filter(|(_, step)| matches!(step, Move::Mark)).collect();
        let returned: Vec<_> = desk.marks().into_iter().map(|(_, name)| name).collect();
        prop_assert_eq!(returned, sent.iter().map(|(index, _)| index.to_string()).collect::<Vec<_>>());
        let played: usize = moves.iter().map(|step| if let Move::Play(bytes) = step { *bytes } else { 0 }).sum();
        let dropped: Duration = desk.phone.heard().clears().iter().map(|clear| clear.dropped).sum();
        prop_assert_eq!(desk.phone.heard().length() + dropped, duration_of(count(played)));
        prop_assert!(desk.phone.heard().stretches().windows(2).all(|pair| pair[0].end() < pair[1].start));
    }
}
