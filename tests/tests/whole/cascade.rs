//! A whole call on the cascade: what was said arrives at Deepgram, what Cartesia speaks is heard, and Groq booked.

use std::time::Duration;

use call::audio::mulaw;
use call::journal::{Kind, Speaker};
use serde_json::json;
use sim::speech::{speak, utterance};
use whole_calls::judge::PhoneSide;
use whole_calls::people::{BOOKING, says};
use whole_calls::{CascadeOptions, House, NUMBER, Options, judge};

use crate::voice::{nothing_was_held_against_us, the_recording_has_both_voices, the_tool_was_used};

const PATIENCE: Duration = Duration::from_secs(120);

/// Deepgram is sent whole pieces of 80 ms: of the last one, up to so many frames stay behind.
const FRAMES_LEFT_MAX: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_through_the_cascade_is_heard_understood_recorded_and_written_down() {
    let machine = crate::alone().await;
    let options = Options { evi: None, openai: None, cascade: Some(CascadeOptions::default()), ..Options::default() };
    let house = House::start(options).await.unwrap();
    let sid = house.call_in(NUMBER, says(&BOOKING));
    let twilio = house.ended(sid, PATIENCE).await.unwrap();
    let id = house.record_of(sid).await.unwrap()["id"].as_str().unwrap().to_owned();
    let record = house.final_record(&id, PATIENCE).await.unwrap();
    let journal = house.journal(&id, 1).await.unwrap();
    drop(machine);

    nothing_was_held_against_us(&house, &twilio);
    assert!(house.cascade().complaints().is_empty(), "{:?}", house.cascade().complaints());
    let found = ["direction", "status", "ended_by", "end_reason", "engine", "agent"].map(|field| record[field].clone());
    let wanted = json!(["inbound", "completed", "agent", "said_goodbye", "cascade", "receptionist"]);
    assert_eq!(json!(found), wanted, "{record:#}\n{}", judge::outline(&journal));
    assert_eq!(record["engines_tried"], json!(["cascade"]));
    judge::is_complete(&journal, "booking");

    // The phone's own mu-law arrives at Deepgram, to the byte, and its words in the transcript.
    let phone = PhoneSide::of(&twilio.streams[0]);
    let deepgram = house.cascade().heard();
    let frames = judge::frames(&judge::sent_by(&phone), &deepgram.audio);
    assert!(frames.sent > 200 && frames.sent - frames.in_order <= FRAMES_LEFT_MAX, "{frames:?}");
    assert!(frames.duplicated.is_empty() && frames.reordered.is_empty(), "{frames:?}");
    let turns = house.transcript(&id).await.unwrap();
    let said: Vec<&str> = BOOKING.iter().map(|id| utterance(id).unwrap().text).collect();
    assert_eq!(judge::words_of(&turns, Speaker::Caller), said);

    // What Cartesia spoke is heard whole, and is what the transcript says.
    let spoken = house.cascade().spoken();
    let heard = phone.heard.timeline(phone.started);
    assert!(spoken.len() >= 5, "{spoken:?}");
    let mut from = 0;
    for piece in spoken.iter().filter(|piece| !piece.text.trim().is_empty()) {
        let voice = mulaw::encoded(&speak(&piece.text, 8_000).samples);
        let at = heard[from..].windows(voice.len()).position(|part| part == voice);
        from += at.unwrap_or_else(|| panic!("{piece:?} is not heard whole, in its turn")) + voice.len();
    }
    let agent_said = judge::words_of(&turns, Speaker::Agent).join(" ");
    let texts: Vec<&str> = spoken.iter().map(|piece| piece.text.trim()).filter(|text| !text.is_empty()).collect();
    assert_eq!(agent_said, texts.join(" "));
    let whole = |turn: &call::journal::Turn| turn.speaker == Speaker::Caller || turn.heard_text == turn.text;
    assert!(turns.iter().all(|turn| !turn.interrupted && whole(turn)), "{turns:#?}");
    the_tool_was_used(&journal, "record_booking", "Alex Morgan");

    let disclosed_ms = judge::find(&journal, |entry| match &entry.kind {
        Kind::DisclosureHeard { end_ms, .. } => Some(*end_ms),
        _ => None,
    });
    the_recording_has_both_voices(&house, &id, &twilio, disclosed_ms.unwrap()).await;
}
