//! One engine ends in mid-call and the next goes on: the caller's silence, measured at the ear.
//!
//! **What is promised**: 1.5 s to the bundled line, 4 s to the next engine's first word, both from the moment at which
//! neither side can be heard any more. **What is measured**: what the simulated phone played and said, sample by sample.
//! To each promise [`NOISE`] is added, for a machine with two cores that runs all of this at once.

use std::ops::Range;
use std::time::Duration;

use call::audio::mulaw;
use call::journal::{Entry, Kind};
use serde_json::{Value, json};
use sim::cartesia::CartesiaConfig;
use sim::deepgram::DeepgramConfig;
use sim::evi::EviConfig;
use sim::evi::fault::{Fault, Faults, HandshakeFault, Mishap, Moment, Scripted};
use sim::openai::OpenAiConfig;
use sim::phone::{Act, CallerScript, Cue};
use sim::speech::speak;
use sim::twilio::Callee;
use whole_calls::judge::PhoneSide;
use whole_calls::people::say;
use whole_calls::{CascadeOptions, House, Options, judge};

const PATIENCE: Duration = Duration::from_secs(90);

/// From the beginning of the silence to the bundled line, or to anything else that is said.
const LINE_WITHIN: Duration = Duration::from_millis(1_500);

/// From the beginning of the silence to the next engine's first word.
const NEXT_WITHIN: Duration = Duration::from_secs(4);

/// What this machine adds: scheduling, and the quiet with which recorded words begin and end.
const NOISE: Duration = Duration::from_millis(300);

/// Linear values beyond this are a voice; the comfort tone stays below.
const LOUD: u16 = 500;

/// Pauses within speech are shorter.
const PAUSE: usize = 400 * 8;

/// A call in which one engine gives way to another.
struct Switched {
    journal: Vec<Entry>,
    record: Value,
    phone: PhoneSide,
}

impl Switched {
    /// Calls somebody who asks for the hours, waits for the answer as long as it takes, asks again, and says goodbye.
    async fn call(house: &House, engine: &str) -> Self {
        let patient = || Cue::AgentDone { silence: Duration::from_secs(3), patience: Some(Duration::from_secs(12)) };
        let script = CallerScript::new()
            .answers(say("caller-hours"))
            .then(patient(), Act::Say(say("caller-repeat")))
            .then(patient(), Act::Say(say("caller-thanks-bye")));
        let to = "+12025550151";
        house.twilio.set_callee(to, Callee::answers(Duration::from_millis(200), script));
        let body = json!({"to": to, "agent": "three", "engine": engine});
        let placed = house.place("switch", &body).await.unwrap();
        assert_eq!(placed.status, 202, "{}", placed.json());
        let id = placed.json()["id"].as_str().unwrap().to_owned();
        let record = house.final_record(&id, PATIENCE).await.unwrap();
        let journal = house.journal(&id, 1).await.unwrap();
        let twilio = house.twilio.call(record["twilio_sid"].as_str().unwrap().parse().unwrap()).unwrap();
        assert!(twilio.streams.iter().all(|stream| stream.phone().violations().is_empty()));
        judge::is_complete(&journal, engine);
        Self { phone: PhoneSide::of(&twilio.streams[0]), record, journal }
    }

    /// The call went from one engine to the other, and on to its proper end.
    fn went(&self, from: &str, to: &str) {
        let outline = judge::outline(&self.journal);
        assert_eq!(self.record["engines_tried"], json!([from, to]), "{outline}");
        assert_eq!(self.record["engine"], to, "{outline}");
        assert_eq!((&self.record["status"], &self.record["end_reason"]), (&json!("completed"), &json!("said_goodbye")));
        let resumed = judge::find(&self.journal, |entry| match &entry.kind {
            Kind::EngineResumed { engine, .. } => Some(engine.as_str().to_owned()),
            _ => None,
        });
        assert_eq!(resumed.as_deref(), Some(to), "{outline}");
    }

    /// When the first of these happened, after the stream's start.
    fn at(&self, is: impl Fn(&Kind) -> bool) -> Duration {
        let at =
            |is: &dyn Fn(&Kind) -> bool| judge::find(&self.journal, |entry| is(&entry.kind).then_some(entry.at_ms));
        let start = at(&|kind| matches!(kind, Kind::StreamStarted { .. })).unwrap();
        let found = at(&is).unwrap_or_else(|| panic!("it never happened:\n{}", judge::outline(&self.journal)));
        Duration::from_millis(found.saturating_sub(start))
    }

    /// When neither side could be heard any more: the end of what was being said when this happened, or of what was said
    /// last before it.
    fn silent_from(&self, trouble: Duration) -> Duration {
        // What the next engine says may follow without a pause: it is not what was being said.
        let mut heard = self.phone.heard.timeline(self.phone.started);
        if self.journal.iter().any(|entry| matches!(entry.kind, Kind::EngineResumed { .. })) {
            heard.truncate(samples(self.at(|kind| matches!(kind, Kind::EngineResumed { .. }))));
        }
        let ear = voiced(&heard);
        let frames = self.phone.sent.iter().filter(|frame| frame.speech && !frame.is_silent());
        let mouth = frames.map(|frame| frame.timestamp..frame.timestamp + Duration::from_millis(20));
        let before = ear.into_iter().chain(mouth).filter(|said| said.start < trouble);
        before.map(|said| said.end).max().unwrap()
    }

    /// From the beginning of the silence to the first voice after it.
    fn to_a_voice(&self, from: Duration) -> Duration {
        let heard = self.phone.heard.timeline(self.phone.started);
        let next = voiced(&heard[samples(from).min(heard.len())..]).into_iter().next();
        next.unwrap_or_else(|| panic!("nothing was heard any more:\n{}", judge::outline(&self.journal))).start
    }

    /// From there to the first word of this sentence, spoken as mu-law.
    fn to_the_words(&self, from: Duration, text: &str) -> Duration {
        let voice = mulaw::encoded(&speak(text, 8_000).samples);
        let beginning = &voice[..voice.len().min(4_000)];
        let heard = self.phone.heard.timeline(self.phone.started);
        let at = heard[samples(from)..].windows(beginning.len()).position(|part| part == beginning);
        let at = at.unwrap_or_else(|| panic!("{text:?} is not heard:\n{}", judge::outline(&self.journal)));
        duration(at + voiced(&voice).first().map_or(0, |said| samples(said.start)))
    }

    /// Judges both promises, and says what was measured.
    fn is_within(&self, what: &str, from: Duration, next: &str) {
        let (voice, word) = (self.to_a_voice(from), self.to_the_words(from, next));
        tracing::info!("{what}: silent from {from:?}, a voice after {voice:?}, the next engine's after {word:?}");
        assert!(voice <= LINE_WITHIN + NOISE, "{what}: {voice:?} of silence\n{}", judge::outline(&self.journal));
        assert!(word <= NEXT_WITHIN + NOISE, "{what}: {word:?} to {next:?}\n{}", judge::outline(&self.journal));
    }
}

fn samples(length: Duration) -> usize {
    usize::try_from(length.as_micros() / 125).unwrap()
}

fn duration(samples: usize) -> Duration {
    Duration::from_micros(u64::try_from(samples).unwrap() * 125)
}

/// Where there is a voice, pauses within it included.
fn voiced(codes: &[u8]) -> Vec<Range<Duration>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, &code) in codes.iter().enumerate() {
        if mulaw::decode(code).unsigned_abs() <= LOUD {
            continue;
        }
        match found.last_mut() {
            Some(last) if at - last.end < PAUSE => last.end = at + 1,
            Some(_) | None => found.push(at..at + 1),
        }
    }
    found.into_iter().map(|said| duration(said.start)..duration(said.end)).collect()
}

fn refused_from_then_on(status: u16) -> impl Iterator<Item = Scripted> {
    (2..40).map(move |nth| Fault::Handshake(HandshakeFault::Refuse(status)).on(nth))
}

fn first_words_of_openai(house: &House) -> String {
    house.openai().records().last().unwrap().1.said.first().unwrap().text.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evi_cut_in_mid_sentence_without_a_way_back_gives_way_to_openai() {
    let _machine = crate::alone().await;
    let cut = Fault::midway(Moment::Spoken { nth: 2, audio: Duration::from_millis(500) }, Mishap::Drop).on(1);
    let faults = Faults::scripted(std::iter::once(cut).chain(refused_from_then_on(503)));
    let house =
        House::start(Options { evi: Some((EviConfig::default(), faults)), ..Options::default() }).await.unwrap();
    let call = Switched::call(&house, "hume").await;
    call.went("hume", "openai");
    let from = call.silent_from(call.at(|kind| matches!(kind, Kind::EngineLost { .. })));
    call.is_within("EVI cut in mid-sentence", from, &first_words_of_openai(&house));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai_at_the_end_of_its_session_gives_way_to_the_cascade() {
    let _machine = crate::alone().await;
    // It takes no other session, so that the end of this one cannot be avoided.
    // It speaks no faster than it is heard, and the end comes in the middle of its answer.
    let config = OpenAiConfig { session_max: Duration::from_secs(7), speed: 1, ..OpenAiConfig::default() };
    let options = Options {
        evi: None,
        openai: Some((config, Faults::scripted(refused_from_then_on(429)))),
        cascade: Some(CascadeOptions::default()),
        ..Options::default()
    };
    let house = House::start(options).await.unwrap();
    let call = Switched::call(&house, "openai").await;
    call.went("openai", "cascade");
    let from = call.silent_from(call.at(|kind| matches!(kind, Kind::EngineLost { .. })));
    let spoken = house.cascade().spoken();
    call.is_within("OpenAI at its limit", from, &spoken.first().unwrap().text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deepgram_that_stalls_while_the_caller_speaks_gives_way_to_openai() {
    let _machine = crate::alone().await;
    let stall =
        Fault::midway(Moment::Sentence { nth: 1, after: Duration::from_millis(300) }, Mishap::Stall(None)).on(1);
    let deepgram = Faults::scripted(std::iter::once(stall).chain(refused_from_then_on(503)));
    let defaults = CascadeOptions::default();
    let cascade = CascadeOptions { deepgram: (DeepgramConfig::default(), deepgram), ..defaults };
    let house = House::start(Options { evi: None, cascade: Some(cascade), ..Options::default() }).await.unwrap();
    let call = Switched::call(&house, "cascade").await;
    call.went("cascade", "openai");
    let trouble = call.at(|kind| matches!(kind, Kind::EngineLost { .. } | Kind::LinePlayed { .. }));
    call.is_within("Deepgram stalled", call.silent_from(trouble), &first_words_of_openai(&house));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cartesia_whose_contexts_die_gives_way_to_openai() {
    let _machine = crate::alone().await;
    // The answer's context dies half a second into it, and the socket that might speak the rest with it.
    let moment = Moment::Spoken { nth: 2, audio: Duration::from_millis(500) };
    let dies = [Fault::midway(moment, Mishap::FailedTurn).on(1), Fault::midway(moment, Mishap::Drop).on(1)];
    let cartesia = Faults::scripted(dies.into_iter().chain(refused_from_then_on(503)));
    let cascade = CascadeOptions { cartesia: (CartesiaConfig::default(), cartesia), ..CascadeOptions::default() };
    let house = House::start(Options { evi: None, cascade: Some(cascade), ..Options::default() }).await.unwrap();
    let call = Switched::call(&house, "cascade").await;
    call.went("cascade", "openai");
    let trouble = call.at(|kind| matches!(kind, Kind::EngineLost { .. } | Kind::LinePlayed { .. }));
    call.is_within("Cartesia's contexts died", call.silent_from(trouble), &first_words_of_openai(&house));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_of_cartesia_that_dies_costs_the_caller_no_engine() {
    let _machine = crate::alone().await;
    // The context in which the answer would be spoken dies before its first sound.
    let dies = Fault::midway(Moment::Sentence { nth: 1, after: Duration::from_millis(200) }, Mishap::FailedTurn).on(1);
    let cartesia = (CartesiaConfig::default(), Faults::scripted([dies]));
    let cascade = CascadeOptions { cartesia, ..CascadeOptions::default() };
    let options = Options { evi: None, openai: None, cascade: Some(cascade), ..Options::default() };
    let house = House::start(options).await.unwrap();
    let call = Switched::call(&house, "cascade").await;
    assert_eq!(call.record["engines_tried"], json!(["cascade"]), "{}", judge::outline(&call.journal));
    assert_eq!(call.record["end_reason"], "said_goodbye");
    let died = house.cascade().cartesia.with_model(|model| model.fault_counts().clone());
    assert_eq!(died.get("failed turn"), Some(&1), "{died:?}");
    assert!(!call.journal.iter().any(|entry| matches!(entry.kind, Kind::EngineLost { .. })));
    let told = call.at(|kind| matches!(kind, Kind::EngineError { .. }));
    let silence = call.to_a_voice(call.silent_from(told));
    assert!(silence <= LINE_WITHIN + NOISE, "{silence:?}\n{}", judge::outline(&call.journal));
}
