use super::super::bank::{UTTERANCES, Utterance, Who, speak, speak_as, utterance};
use super::*;
use fastrand::Rng;

const END_OF_TURN: Duration = Duration::from_millis(600);
const FRAME: usize = 160;

fn callers() -> impl Iterator<Item = &'static Utterance> {
    UTTERANCES.iter().filter(|utterance| utterance.who == Who::Caller)
}

fn silence(milliseconds: usize) -> Vec<u8> {
    vec![mulaw::SILENCE; milliseconds * 8]
}

/// The turns in a stream that comes in frames of 20 ms.
fn turns(codes: &[u8]) -> Vec<Turn> {
    let mut recogniser = Recogniser::new(END_OF_TURN);
    let mut turns: Vec<Turn> =
        codes.chunks(FRAME).flat_map(|frame| recogniser.push_mulaw(frame)).filter_map(ended).collect();
    turns.extend(recogniser.finish());
    turns
}

fn ended(event: Event) -> Option<Turn> {
    match event {
        Event::SpeechStarted { .. } => None,
        Event::TurnEnded(turn) => Some(turn),
    }
}

/// The ids of all that is recognised, turn by turn; an unrecognised turn is empty.
fn heard(codes: &[u8]) -> Vec<Vec<&'static str>> {
    turns(codes)
        .into_iter()
        .map(|turn| match turn.outcome {
            Outcome::Recognised(matches) => matches.iter().map(|found| found.utterance.id).collect(),
            Outcome::Unrecognised { .. } => Vec::new(),
        })
        .collect()
}

/// An utterance between silences, as a phone would send it.
fn said(utterance: &'static Utterance) -> Vec<u8> {
    [silence(400), utterance.mulaw(), silence(1_000)].concat()
}

fn frames(codes: &[u8]) -> Vec<Vec<u8>> {
    codes.chunks(FRAME).map(<[u8]>::to_vec).collect()
}

#[test]
fn every_utterance_is_recognised_when_the_line_is_clean() {
    for utterance in callers() {
        let turns = turns(&said(utterance));
        assert_eq!(turns.len(), 1, "{}: {turns:?}", utterance.id);
        let Outcome::Recognised(matches) = &turns[0].outcome else { panic!("{}: {turns:?}", utterance.id) };
        assert_eq!(matches.len(), 1, "{}: {matches:?}", utterance.id);
        assert_eq!(matches[0].utterance.id, utterance.id);
        assert!(matches[0].score > 0.99, "{}: {}", utterance.id, matches[0].score);
        assert_eq!(turns[0].text().as_deref(), Some(utterance.text));
    }
}

#[test]
fn where_the_utterance_lies_in_the_frames_does_not_matter() {
    for (number, utterance) in callers().enumerate() {
        let mut codes = vec![mulaw::SILENCE; 1_000 + 37 * number];
        codes.extend(utterance.mulaw());
        codes.extend(silence(900));
        assert_eq!(heard(&codes), [[utterance.id]]);
    }
}

#[test]
fn two_per_cent_of_lost_frames_do_no_harm() {
    let mut rng = Rng::with_seed(1);
    for utterance in callers() {
        for _ in 0..10 {
            let mut frames = frames(&said(utterance));
            for frame in &mut frames {
                if rng.f32() < 0.02 {
                    frame.fill(mulaw::SILENCE);
                }
            }
            assert_eq!(heard(&frames.concat()), [[utterance.id]]);
        }
    }
}

#[test]
fn frames_that_are_missing_or_late_do_no_harm() {
    let mut rng = Rng::with_seed(2);
    for utterance in callers() {
        let clean = frames(&said(utterance));
        let inside = 22..clean.len() - 55;
        for count in 1..=2 {
            let at = rng.usize(inside.clone());
            let mut missing = clean.clone();
            missing.drain(at..at + count);
            assert_eq!(heard(&missing.concat()), [[utterance.id]], "{count} missing at {at}");
            let mut late = clean.clone();
            late.splice(at..at, std::iter::repeat_n(silence(20), count));
            assert_eq!(heard(&late.concat()), [[utterance.id]], "{count} late at {at}");
        }
    }
}

#[test]
fn a_stall_within_a_sentence_does_no_harm() {
    let book = utterance("caller-book").unwrap();
    for stall in [4, 11, 22] {
        let mut frames = frames(&said(book));
        frames.splice(55..55, std::iter::repeat_n(silence(20), stall));
        assert_eq!(heard(&frames.concat()), [["caller-book"]], "{stall} frames");
    }
}

#[test]
fn gain_and_noise_of_the_line_do_no_harm() {
    let mut rng = Rng::with_seed(3);
    for utterance in callers() {
        for gain in [0.6, 1.4] {
            let samples: Vec<i16> = mulaw::decoded(&said(utterance))
                .iter()
                .map(|&sample| scaled(f32::from(sample), gain) + rng.i16(-40..=40))
                .collect();
            assert_eq!(heard(&mulaw::encoded(&samples)), [[utterance.id]], "gain {gain}");
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what leaves room for the noise")]
fn scaled(sample: f32, gain: f32) -> i16 {
    (sample * gain).clamp(-32_000.0, 32_000.0) as i16
}

#[test]
fn two_utterances_with_a_long_pause_are_two_turns() {
    let all: Vec<_> = callers().collect();
    for pair in all.windows(2) {
        let codes = [said(pair[0]), said(pair[1])].concat();
        assert_eq!(heard(&codes), [[pair[0].id], [pair[1].id]]);
    }
}

#[test]
fn two_utterances_with_a_short_pause_are_one_turn_with_both() {
    let all: Vec<_> = callers().collect();
    for pair in all.windows(2) {
        let codes = [silence(100), pair[0].mulaw(), silence(300), pair[1].mulaw(), silence(800)].concat();
        assert_eq!(heard(&codes), [[pair[0].id, pair[1].id]]);
    }
}

#[test]
fn babble_and_noise_are_heard_but_not_recognised() {
    let mut rng = Rng::with_seed(4);
    let noise: Vec<u8> = (0..24_000).map(|_| mulaw::encode(rng.i16(-6_000..6_000))).collect();
    assert_eq!(heard(&[silence(300), noise, silence(900)].concat()), [[""; 0]]);
    for text in ["I would rather have a pony, if that is possible", "Qué hora es", "yes yes yes no"] {
        let babble = speak_as(Who::Caller, text, 8_000);
        let codes = [silence(300), mulaw::encoded(&babble.samples), silence(900)].concat();
        assert_eq!(heard(&codes), [[""; 0]], "{text}");
    }
}

#[test]
fn the_agents_voice_is_not_taken_for_the_callers() {
    for agent in UTTERANCES.iter().filter(|utterance| utterance.who == Who::Agent) {
        let turns = heard(&said(agent));
        assert!(!turns.is_empty() && turns.iter().all(Vec::is_empty), "{}: {turns:?}", agent.id);
    }
    // The same words in the wrong voice are not enough.
    let codes = mulaw::encoded(&speak("Goodbye.", 8_000).samples);
    assert_eq!(heard(&[silence(300), codes, silence(900)].concat()), [[""; 0]]);
}

#[test]
fn half_an_utterance_is_not_recognised() {
    for utterance in callers().filter(|utterance| utterance.text.len() > 12) {
        let whole = utterance.mulaw();
        let half = [silence(300), whole[..whole.len() / 2].to_vec(), silence(900)].concat();
        assert!(!heard(&half).concat().contains(&utterance.id), "{}", utterance.id);
    }
}

#[test]
fn silence_and_clicks_are_no_turn() {
    assert!(turns(&silence(3_000)).is_empty());
    let click = [silence(500), vec![0x00; 100], silence(1_500)].concat();
    assert!(turns(&click).is_empty());
}

#[test]
fn beginning_and_end_of_a_turn_are_told_on_time() {
    let yes = utterance("caller-yes").unwrap();
    let mut recogniser = Recogniser::new(END_OF_TURN);
    let mut events = Vec::new();
    for (number, frame) in [said(yes), silence(1_000)].concat().chunks(FRAME).enumerate() {
        let now = Duration::from_millis(20) * u32::try_from(number + 1).unwrap();
        events.extend(recogniser.push_mulaw(frame).into_iter().map(|event| (now, event)));
    }
    let [(started_now, Event::SpeechStarted { at }), (ended_now, Event::TurnEnded(turn))] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!((400..480).contains(&at.as_millis()), "{at:?}");
    assert!(*started_now - *at <= Duration::from_millis(50));
    assert_eq!(turn.start, *at);
    let spoken = Duration::from_millis(400) + yes.duration();
    assert!(turn.end <= spoken && spoken - turn.end < Duration::from_millis(250), "{:?} {spoken:?}", turn.end);
    let waited = *ended_now - turn.end;
    assert!(waited >= END_OF_TURN && waited <= END_OF_TURN + Duration::from_millis(30), "{waited:?}");
}

#[test]
fn how_long_somebody_speaks_is_known_while_they_speak() {
    let mut recogniser = Recogniser::new(END_OF_TURN);
    assert_eq!(recogniser.speaking_for(), None);
    let mut longest = Duration::ZERO;
    for frame in said(utterance("caller-book").unwrap()).chunks(FRAME) {
        recogniser.push_mulaw(frame);
        longest = longest.max(recogniser.speaking_for().unwrap_or_default());
    }
    assert!(longest > Duration::from_millis(1_000), "{longest:?}");
    assert_eq!(recogniser.speaking_for(), None);
}

#[test]
fn a_turn_that_never_ends_is_ended() {
    let endless = speak_as(Who::Caller, &"word ".repeat(170), 8_000);
    let turns = turns(&mulaw::encoded(&endless.samples));
    assert!(turns.len() >= 2, "{}", turns.len());
    assert!(turns.iter().all(|turn| turn.end - turn.start <= Duration::from_secs(30)));
}

#[test]
fn how_the_stream_is_cut_does_not_matter() {
    let codes = [said(utterance("caller-book").unwrap()), said(utterance("caller-de-yes").unwrap())].concat();
    let expected = turns(&codes);
    assert_eq!(expected.len(), 2);
    for size in [1, 79, 160, 333, 100_000] {
        let mut recogniser = Recogniser::new(END_OF_TURN);
        let found: Vec<Turn> =
            codes.chunks(size).flat_map(|piece| recogniser.push_mulaw(piece)).filter_map(ended).collect();
        assert_eq!(found, expected, "pieces of {size}");
        assert_eq!(recogniser.position(), Duration::from_micros(codes.len() as u64 * 125));
    }
}

#[test]
fn ending_a_turn_by_hand_recognises_what_was_said() {
    let mut recogniser = Recogniser::new(Duration::from_secs(5));
    recogniser.push_mulaw(&said(utterance("caller-goodbye").unwrap()));
    assert_eq!(recogniser.finish().unwrap().text().as_deref(), Some("Goodbye."));
    assert_eq!(recogniser.finish(), None);
}
