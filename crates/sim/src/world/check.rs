//! What must be true of every call, whatever went wrong in it.

#![expect(clippy::wildcard_enum_match_arm, reason = "a check looks at the few kinds it is about")]

mod cascade;
mod twice;

use std::time::{Duration, Instant};

use call::audio::mulaw;
use call::journal::{Cover, EndedBy, Kind, NextStep, Speaker};

use super::{Stream, World};
use crate::phone::StreamEnd as PhoneEnd;
use crate::speech::alignment;

/// How far the record of what was heard may be from the ear, per interruption and turn: the tail that Twilio plays after
/// a `clear`, the ways' jitter, and the last frame's filling.
const HEARD_WITHIN: Duration = Duration::from_millis(90);

/// How much is not known of a turn whose mark was lost: the pace of the marks.
const MARK_LOST: Duration = Duration::from_millis(500);

/// The longest silence that the caller may meet when it is the agent's turn: the filler comes after 4 s.
const SILENCE_MAX: Duration = Duration::from_millis(5_600);

/// The longest silence after an engine was lost: the promise is 1.5 s, and the ways have their share.
const SILENCE_LOST_MAX: Duration = Duration::from_millis(2_000);

/// Everything that is not as it must be, in words. Empty for a good call.
#[must_use]
pub fn mistakes(world: &World) -> Vec<String> {
    let mut mistakes = world.mistakes.clone();
    violations(world, &mut mistakes);
    heard_is_true(world, &mut mistakes);
    never_silent(world, &mut mistakes);
    caller_is_heard(world, &mut mistakes);
    sessions(world, &mut mistakes);
    endings(world, &mut mistakes);
    words(world, &mut mistakes);
    twice::mistakes(world, &mut mistakes);
    cascade::mistakes(world, &mut mistakes);
    mistakes
}

fn at(world: &World, instant: Instant) -> f64 {
    instant.saturating_duration_since(world.began).as_secs_f64()
}

fn violations(world: &World, mistakes: &mut Vec<String>) {
    for violation in world.streams.iter().flat_map(|stream| stream.phone.violations()) {
        mistakes.push(format!("{:.3} Twilio {}: {}", at(world, violation.at), violation.code, violation.detail));
    }
}

/// What the journal says was heard is what the ear heard.
fn heard_is_true(world: &World, mistakes: &mut Vec<String>) {
    for (index, stream) in world.streams.iter().enumerate() {
        let epoch = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let entries = || world.journal.iter().filter(|entry| entry.epoch == epoch).map(|entry| &entry.kind);
        let died = !entries().any(|kind| matches!(kind, Kind::StreamEnded { .. }));
        let tone = entries()
            .any(|kind| matches!(kind, Kind::EngineResumed { covered_by: Cover::Tone | Cover::Line, .. }))
            || entries().any(|kind| matches!(kind, Kind::LinePlayed { .. }))
                && entries().any(|kind| matches!(kind, Kind::EngineLost { .. } | Kind::EngineRefused { .. }));
        if died || tone {
            continue;
        }
        let mut said = Duration::ZERO;
        let mut turns = 0u32;
        for kind in entries() {
            if let Kind::Turn(turn) = kind
                && turn.speaker == Speaker::Agent
            {
                said += Duration::from_millis(turn.heard_ms);
                turns += 1;
            }
        }
        let cuts = u32::try_from(stream.phone.heard().clears().len()).unwrap_or(u32::MAX);
        let ear = stream.phone.heard().length();
        // Without a mark the call does not know how long the hang-up was on its way.
        let unknown_way = matches!(stream.phone.ended(), Some(PhoneEnd::Stopped(_)))
            && stream.phone.heard().marks().iter().all(|mark| mark.returned.is_none());
        let allowed = HEARD_WITHIN * u32::from(unknown_way)
            + HEARD_WITHIN * (cuts + 1)
            + Duration::from_millis(25) * turns
            // Without its mark, nobody knows more of a turn than that its time has come.
            + MARK_LOST * world.faults.get("mark lost").map_or(0, |_| cuts + 1);
        if ear.abs_diff(said) > allowed {
            mistakes.push(format!(
                "epoch {epoch}: the journal says {said:?} were heard, the ear heard {ear:?} (within {allowed:?})"
            ));
        }
    }
}

/// The caller is never left in silence when it is the agent's turn.
fn never_silent(world: &World, mistakes: &mut Vec<String>) {
    for stream in &world.streams {
        let (Some(started), Some(over)) = (stream.started, stream_over(stream)) else { continue };
        let heard = stream.phone.heard();
        // The moments at which the agent's side owes something: the start, and the end of what the caller said.
        let mut owed = vec![started];
        owed.extend(
            world.caller.performed().iter().filter(|act| act.on_stream && act.from >= started).map(|act| act.until),
        );
        for since in owed {
            let next_sound = heard
                .stretches()
                .iter()
                .find(|stretch| stretch.end() > since)
                .map_or(over, |stretch| stretch.start.max(since));
            let next_word = world.caller.performed().iter().find(|act| act.from > since).map_or(over, |act| act.from);
            let silence = next_sound.min(next_word).min(over).saturating_duration_since(since);
            if silence > SILENCE_MAX {
                mistakes.push(format!("{:.3} the caller hears nothing for {silence:?}", at(world, since)));
            }
        }
        for entry in &world.journal {
            let Kind::EngineLost { why, .. } = &entry.kind else { continue };
            if *why == call::journal::LinkCause::RolledOver {
                continue;
            }
            let lost = world.began + Duration::from_millis(entry.at_ms.saturating_sub(world.wall_ms(world.began)));
            if lost < started || lost >= over {
                continue;
            }
            let back = world.journal.iter().find_map(|later| {
                let resumed = matches!(later.kind, Kind::EngineResumed { .. }) && later.at_ms >= entry.at_ms;
                resumed.then(|| world.began + Duration::from_millis(later.at_ms - world.wall_ms(world.began)))
            });
            let quiet_from = heard
                .stretches()
                .iter()
                .filter(|stretch| stretch.start <= lost + Duration::from_millis(300))
                .map(|stretch| stretch.end())
                .max()
                .unwrap_or(lost)
                .max(lost);
            // Nobody is talked over: while the caller speaks, there is no silence.
            let acts = world.caller.performed().iter().filter(|act| act.on_stream);
            let quiet_from = acts.fold(quiet_from, |quiet, act| {
                if act.from <= quiet + Duration::from_millis(1_500) { quiet.max(act.until) } else { quiet }
            });
            let sound = heard
                .stretches()
                .iter()
                .find(|stretch| stretch.start > quiet_from)
                .map_or(over, |stretch| stretch.start);
            let silence = sound.min(back.unwrap_or(over)).min(over).saturating_duration_since(quiet_from);
            if silence > SILENCE_LOST_MAX {
                mistakes
                    .push(format!("{:.3} no line for {silence:?} after the engine was lost", at(world, quiet_from)));
            }
        }
    }
}

fn stream_over(stream: &Stream) -> Option<Instant> {
    [stream.ended, stream.finished].into_iter().flatten().min()
}

/// Every frame of the caller's speech goes up once, in order, while one engine listens throughout.
fn caller_is_heard(world: &World, mistakes: &mut Vec<String>) {
    let [stream] = world.streams.as_slice() else { return };
    let Some(over) = stream_over(stream) else { return };
    if world.journal.iter().any(|entry| matches!(entry.kind, Kind::EngineLost { .. } | Kind::EngineRefused { .. })) {
        return;
    }
    let received = match (
        world.evi.records().collect::<Vec<_>>().as_slice(),
        world.openai.records().collect::<Vec<_>>().as_slice(),
    ) {
        ([], []) => match world.cascade.deepgram.records().collect::<Vec<_>>().as_slice() {
            [(_, deepgram)] => deepgram.audio.clone(),
            _ => return,
        },
        ([(_, evi)], []) => evi
            .audio
            .chunks_exact(2)
            .map(|pair| mulaw::encode(i16::from_le_bytes([pair[0], pair[1]])))
            .collect::<Vec<u8>>(),
        ([], [(_, openai)]) => openai.audio.clone(),
        _ => return,
    };
    // What is still under way when the call ends never arrives; a frame is some 100 ms under way at most.
    let margin = Duration::from_millis(600);
    let sent: Vec<u8> = stream
        .phone
        .sent()
        .iter()
        .filter(|frame| frame.was_delivered() && !frame.is_silent() && frame.at + margin < over)
        .flat_map(|frame| frame.audio)
        .collect();
    let result = alignment(&sent, &received);
    if !result.lost.is_empty() || !result.duplicated.is_empty() || !result.reordered.is_empty() {
        mistakes.push(format!(
            "of {} frames of speech {} were lost, {} came twice, {} out of order",
            sent.len() / 160,
            result.lost.len(),
            result.duplicated.len(),
            result.reordered.len()
        ));
    }
}

/// Every session is told who it is, and resumes where it can; nothing we send is refused.
fn sessions(world: &World, mistakes: &mut Vec<String>) {
    let mut group: Option<String> = None;
    for (_, record) in world.evi.records() {
        if record.audio_bytes > 0 && !record.settings.iter().any(|settings| settings.system_prompt.is_some()) {
            mistakes.push(format!("chat {} got audio but no settings", record.chat_id));
        }
        if record.audio_bytes > 0 {
            let refused = world
                .journal
                .iter()
                .any(|entry| matches!(&entry.kind, Kind::EngineError { code, .. } if code == "resume_refused"));
            // What another engine said in between is not in the vendor's chat.
            let another = world.openai.records().any(|(_, record)| record.audio_bytes > 0)
                || world.cascade.deepgram.records().any(|(_, record)| record.audio_bytes > 0);
            if group.is_some() && !record.resumed && !refused && !another {
                mistakes.push(format!("chat {} does not resume the one before", record.chat_id));
            }
            group = Some(record.chat_group_id.clone());
        }
        for code in record.errors.iter().filter(|code| ["E0100", "E0101", "E0201"].contains(&code.as_str())) {
            mistakes.push(format!("EVI refused a message of ours with {code}"));
        }
    }
    for (_, record) in world.openai.records() {
        // Two are races that the vendor documents as harmless; the third is how it tells of a session's limit.
        let harmless = ["response_cancel_not_active", "conversation_already_has_active_response", "session_expired"];
        for code in record.errors.iter().filter(|code| !harmless.contains(&code.as_str())) {
            mistakes.push(format!("OpenAI refused a message of ours with {code}"));
        }
    }
}

/// The end is noticed, written down, and not rushed.
fn endings(world: &World, mistakes: &mut Vec<String>) {
    for (index, stream) in world.streams.iter().enumerate() {
        if let (Some(PhoneEnd::Stopped(at_phone)), finished) = (stream.phone.ended(), stream.finished) {
            let noticed = finished.unwrap_or(world.now);
            if noticed.saturating_duration_since(at_phone) > Duration::from_secs(1) {
                mistakes.push(format!("{:.3} the caller hung up, and the call went on", at(world, at_phone)));
            }
        }
        let epoch = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let ends = world
            .journal
            .iter()
            .filter(|entry| entry.epoch == epoch && matches!(entry.kind, Kind::StreamEnded { .. }))
            .count();
        let last_is_end = world
            .journal
            .iter()
            .rev()
            .find(|entry| entry.epoch == epoch)
            .is_some_and(|entry| matches!(entry.kind, Kind::StreamEnded { .. }));
        if ends > 1 || (ends == 1 && !last_is_end) {
            mistakes.push(format!("epoch {epoch} has {ends} ends, and something after one"));
        }
    }
    if let Some(NextStep::HangUp { ended_by: EndedBy::Agent, .. }) = &world.ended_with
        && let Some(turn) = world.journal.iter().rev().find_map(|entry| match &entry.kind {
            Kind::Turn(turn) if turn.speaker == Speaker::Agent => Some(turn),
            _ => None,
        })
        && turn.heard_text != turn.text
    {
        mistakes.push(format!("the agent hung up in the middle of {:?}", turn.text));
    }
    // What the journal says is one thing; when the line is closed for a goodbye, the ear must have it.
    if let (Some(NextStep::HangUp { ended_by: EndedBy::Agent, .. }), Some(stream)) =
        (&world.ended_with, world.streams.last())
        && let (Some(ended), Some(last)) = (stream.ended, stream.phone.heard().arrivals().last())
        && !matches!(stream.phone.ended(), Some(PhoneEnd::Stopped(_)))
        && stream.phone.heard().clears().last().is_none_or(|clear| clear.at < last.at)
    {
        let heard_out = last.sounds_at + Duration::from_micros(last.bytes as u64 * 125);
        if ended < heard_out {
            mistakes.push(format!(
                "{:.3} the line was closed {:?} before the goodbye was heard",
                at(world, ended),
                heard_out - ended
            ));
        }
    }
    let never_ended = world.streams.last().is_some_and(|stream| stream.finished.is_none())
        && world.streams.last().is_some_and(|stream| stream.ended.is_some());
    if never_ended {
        mistakes.push("the call never ended".to_owned());
    }
}

/// Greeted once, told that it is recorded before anything is, and written down as it was understood.
fn words(world: &World, mistakes: &mut Vec<String>) {
    let script = &world.setup.script;
    let heard_turns = || {
        world.journal.iter().filter_map(|entry| match &entry.kind {
            Kind::Turn(turn) if turn.speaker == Speaker::Agent && turn.heard_text == turn.text => Some(turn),
            _ => None,
        })
    };
    if !script.greeting.is_empty() {
        let greetings = heard_turns().filter(|turn| turn.text.trim() == script.greeting.trim()).count();
        if greetings > 1 {
            mistakes.push(format!("the caller was greeted {greetings} times"));
        }
    }
    let disclosed_at = world
        .journal
        .iter()
        .find(|entry| matches!(entry.kind, Kind::DisclosureHeard { .. }))
        .map(|entry| (entry.epoch, entry.seq));
    if !script.disclosure.is_empty() {
        let first_reply = world.journal.iter().find(|entry| {
            matches!(&entry.kind, Kind::Turn(turn) if turn.speaker == Speaker::Agent && turn.engine.is_some() && turn.heard_ms > 0 && turn.text != script.disclosure)
        });
        if let Some(reply) = first_reply
            && disclosed_at.is_none_or(|disclosed| disclosed > (reply.epoch, reply.seq))
            && !world
                .journal
                .iter()
                .any(|entry| matches!(entry.kind, Kind::EngineLost { .. } | Kind::Interrupted { .. }))
            // Who was asked for patience by a bundled line may have spoken before the disclosure could begin.
            && !world.journal.iter().any(|entry| matches!(entry.kind, Kind::LinePlayed { .. }))
        {
            mistakes.push("the agent spoke before the disclosure was heard".to_owned());
        }
        if disclosed_at.is_none() && world.recorded.iter().any(|(_, recorded)| recorded.track == Speaker::Caller) {
            mistakes.push("the caller was recorded without having been told".to_owned());
        }
    }
    for entry in &world.journal {
        if let Kind::Turn(turn) = &entry.kind
            && turn.speaker == Speaker::Agent
            && turn.text.trim().is_empty()
            && turn.heard_ms > 100
            // An engine that was lost took the words with it.
            && !world.journal.iter().any(|entry| matches!(entry.kind, Kind::EngineLost { .. }))
        {
            mistakes.push(format!("turn {} was heard for {} ms and has no words", turn.n, turn.heard_ms));
        }
    }
    let understood: Vec<&String> = world
        .evi
        .records()
        .flat_map(|(_, record)| &record.heard)
        .chain(world.openai.records().flat_map(|(_, record)| &record.heard))
        .chain(world.cascade.deepgram.records().flat_map(|(_, record)| &record.heard))
        .collect();
    // What two streams heard of one turn is one text that neither of them heard.
    let pieced = world.cascade.deepgram.records().count() > 1;
    for entry in &world.journal {
        if let Kind::Turn(turn) = &entry.kind
            && turn.speaker == Speaker::Caller
            && !turn.text.is_empty()
            && !pieced
            && !understood.contains(&&turn.text)
        {
            mistakes.push(format!("the transcript has {:?}, which no engine heard", turn.text));
        }
    }
}
