//! Links to engines, and the silence they leave: through the public API alone.

mod rig;

use call::agent::EngineKind;
use call::journal::{Cover, EndReason, Kind, LinkCause, NextStep, Speaker, StreamEnd, Turn};
use call::{Command, Input, LinkEvent, LinkRequest, PhoneEvent};
use rig::{Did, PLAIN, Rig, agent, chat, setup, voice};

fn opened(rig: &Rig) -> Vec<(u64, LinkRequest)> {
    rig.did
        .iter()
        .filter_map(|(ms, did)| if let Did::Open(_, request) = did { Some((*ms, request.clone())) } else { None })
        .collect()
}

#[test]
fn an_engine_that_refuses_gives_way_to_the_next_at_once() {
    let mut rig = Rig::new(setup(agent(PLAIN), &[EngineKind::Hume, EngineKind::OpenAi]));
    rig.run(30);
    rig.link(LinkEvent::Refused(LinkCause::Status { status: 401 }));
    assert_eq!(opened(&rig).last(), Some(&(30, LinkRequest::OpenAi)));
    assert!(rig.journal().iter().any(|kind| matches!(
        kind,
        Kind::EngineRefused { engine: EngineKind::Hume, why: LinkCause::Status { status: 401 } }
    )));
}

#[test]
fn an_engine_that_does_not_answer_gives_way_too() {
    let mut rig = Rig::new(setup(agent(PLAIN), &[EngineKind::Hume, EngineKind::OpenAi]));
    rig.run(2_600);
    assert_eq!(opened(&rig).last(), Some(&(2_500, LinkRequest::OpenAi)));
}

#[test]
fn with_no_engine_left_the_caller_hears_an_apology() {
    let mut rig = Rig::new(setup(agent(PLAIN), &[EngineKind::Hume]));
    rig.link(LinkEvent::Refused(LinkCause::Status { status: 410 }));
    assert!(!rig.finished, "there is nobody to apologise to before the stream");
    rig.start_stream();
    rig.run_quiet(100);
    assert!(
        rig.did
            .iter()
            .any(|(_, did)| matches!(did, Did::NextStep(NextStep::Apologise { reason: EndReason::NoEngine, .. })))
    );
    assert!(rig.finished);
}

#[test]
fn a_lost_engine_is_resumed_in_the_same_chat_group_with_its_settings_sent_again() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.forget();
    rig.link(LinkEvent::Lost(None));
    let LinkRequest::Hume(connect) = opened(&rig).pop().unwrap().1 else { panic!("Hume is dialled again") };
    assert_eq!(connect.resumed_chat_group_id.as_deref(), Some("group-1"));
    rig.run_quiet(300);
    rig.hume_ready("group-1");
    let sent = rig.sent();
    assert!(sent[0].contains("session_settings") && sent[0].contains("Answer the phone."), "{sent:?}");
    assert!(
        sent[1].contains("user_input") && sent[1].contains("I need an appointment."),
        "the unanswered words are asked again: {sent:?}"
    );
    assert!(
        rig.journal()
            .iter()
            .any(|kind| matches!(kind, Kind::EngineResumed { gap_ms: 300, covered_by: Cover::Nothing, .. }))
    );
}

#[test]
fn a_short_line_covers_a_longer_loss_and_the_sentence_before_it_ends_first() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten.", 1_000);
    let said = rig.ms();
    rig.link(LinkEvent::Lost(None));
    rig.run_refused(900);
    assert_eq!(rig.first(|did| *did == Did::Clear), None);
    rig.run_refused(3_000);
    let line = rig.first(
        |did| matches!(did, Did::Journal(entry) if matches!(&entry.kind, Kind::LinePlayed { line } if line == "hold")),
    );
    let silence = line.unwrap() - (said + 1_000);
    assert!(silence <= 1_500, "{silence} ms of silence");
    // Then the tone goes on without a gap.
    let frames = rig.frames();
    rig.run_refused(4_000);
    assert!(rig.frames() > frames + 150);
    let before = opened(&rig).len();
    while opened(&rig).len() == before {
        rig.run_quiet(20);
    }
    rig.hume_ready("group-1");
    assert!(
        rig.journal().iter().any(|kind| matches!(kind, Kind::EngineResumed { covered_by: Cover::Tone, .. })),
        "{:#?}",
        rig.journal()
    );
}

#[test]
fn a_lost_engine_is_given_up_for_the_next_after_two_seconds() {
    let mut rig = Rig::new(setup(agent(PLAIN), &[EngineKind::Hume, EngineKind::OpenAi]));
    rig.hume_ready("group-1");
    rig.hume_says("g", "Hello.", 500);
    rig.hume_end();
    rig.start_stream();
    rig.run_quiet(1_000);
    let lost = rig.ms();
    rig.link(LinkEvent::Lost(Some(1011)));
    rig.run_refused(2_100);
    let (at, _) = opened(&rig).into_iter().find(|(_, request)| *request == LinkRequest::OpenAi).unwrap();
    assert!((1_900..=2_300).contains(&(at - lost)), "{}", at - lost);
    assert!(opened(&rig).len() >= 4, "it was dialled more than once: {:?}", opened(&rig));
}

#[test]
fn an_engine_that_cannot_be_had_any_more_is_not_dialled_again() {
    let mut rig = Rig::greeted();
    rig.link(LinkEvent::Lost(None));
    rig.link(LinkEvent::Refused(LinkCause::Status { status: 403 }));
    rig.run_quiet(4_000);
    assert!(rig.did.iter().any(|(_, did)| matches!(did, Did::NextStep(NextStep::Apologise { .. }))));
}

#[test]
fn what_the_caller_says_while_nobody_listens_is_heard_later() {
    let mut rig = Rig::greeted();
    rig.link(LinkEvent::Lost(None));
    rig.forget();
    rig.run_speaking(600);
    assert_eq!(rig.audio_sent(), 0);
    rig.hume_ready("group-1");
    // EVI says nothing about how fast it can listen: twice the pace, until there is no delay left.
    rig.run_quiet(200);
    assert_eq!(rig.audio_sent(), 2 + 10 * 2);
    rig.run_quiet(600);
    assert_eq!(rig.audio_sent(), 30 + 40);
}

#[test]
fn a_greeting_that_a_resumed_engine_repeats_is_not_played() {
    let mut rig = Rig::greeted();
    rig.link(LinkEvent::Lost(None));
    rig.run_quiet(100);
    rig.hume_ready("group-1");
    rig.forget();
    rig.hume_says("again", "Hello, this is Riverside Dental. How can I help?", 1_000);
    rig.hume_end();
    rig.run_quiet(1_500);
    assert_eq!(rig.frames(), 0);
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("b", "How can I help?", 500);
    rig.run_quiet(100);
    assert!(rig.frames() > 0, "after the caller's words it is an answer");
}

#[test]
fn a_session_is_rolled_over_before_its_limit_at_a_quiet_moment() {
    let mut long = setup(agent(PLAIN), &[EngineKind::Hume]);
    long.call_ms_max = 4 * 3_600_000;
    let mut rig = Rig::greeted_with(long);
    // Half an hour, with a word now and then so that nobody takes the line for dead.
    'call: for _ in 0..1_800 / 30 {
        for _ in 0..300 {
            rig.run(100);
            if opened(&rig).len() > 1 {
                break 'call;
            }
        }
        rig.hume_hears("Still there?", false);
        rig.hume_says("x", "Yes.", 200);
        rig.hume_end();
    }
    let opens = opened(&rig);
    assert_eq!(opens.len(), 2, "a fresh session was dialled: {:#?}", rig.journal());
    assert!(opens[1].0 >= 1_620_000 && opens[1].0 < 1_790_000, "{}", opens[1].0);
    let LinkRequest::Hume(connect) = &opens[1].1 else { panic!("the same engine") };
    assert_eq!(connect.resumed_chat_group_id.as_deref(), Some("group-1"));
    assert!(
        !rig.did.iter().any(|(_, did)| matches!(did, Did::Close(_))),
        "the old session works until the new one is ready"
    );
    rig.hume_ready("group-1");
    rig.run(1_000);
    assert!(rig.did.iter().any(|(_, did)| matches!(did, Did::Close(link) if link.seat == 1)));
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::EngineLost { why: LinkCause::RolledOver, .. })));
}

#[test]
fn an_engine_that_owes_an_answer_is_covered_then_given_up() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    let asked = rig.ms();
    rig.forget();
    rig.run_quiet(11_000);
    let line =
        rig.first(|did| matches!(did, Did::Journal(entry) if matches!(entry.kind, Kind::LinePlayed { .. }))).unwrap();
    assert!((4_000..4_100).contains(&(line - asked)));
    let lost = rig.first(|did| matches!(did, Did::Journal(entry) if matches!(entry.kind, Kind::EngineLost { why: LinkCause::Stalled, .. }))).unwrap();
    assert!((10_000..10_100).contains(&(lost - asked)));
}

#[test]
fn an_engine_that_does_not_notice_speech_is_given_up() {
    let mut rig = Rig::greeted();
    rig.run_speaking(1_000);
    rig.forget();
    rig.run_quiet(12_000);
    assert!(
        rig.journal().iter().any(|kind| matches!(kind, Kind::LinePlayed { line } if line == "hold")),
        "it is covered first"
    );
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::EngineLost { why: LinkCause::Stalled, .. })));
}

#[test]
fn a_prepared_call_whose_stream_never_comes_lets_the_engine_go() {
    let mut rig = Rig::ready();
    rig.hume_says("greet", "Hello, this is Riverside Dental. How can I help?", 1_000);
    rig.hume_end();
    rig.run(70_000);
    assert!(rig.finished);
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::StreamEnded { why: StreamEnd::NeverCame })));
    let link = rig.open_link();
    assert!(rig.did.iter().any(|(_, did)| *did == Did::Close(link)));
}

#[test]
fn a_drained_call_is_handed_over_between_turns() {
    let mut rig = Rig::greeted();
    rig.hume_hears("I need an appointment.", false);
    rig.hume_says("a", "We have Tuesday at ten.", 1_500);
    rig.hume_end();
    rig.run_quiet(200);
    let drained = rig.ms();
    rig.command(Command::Drain { within_ms: 12_000 });
    rig.run_quiet(4_000);
    let over = rig.first(|did| *did == Did::ClosePhone).unwrap() - drained;
    assert!((1_300..3_000).contains(&over), "{over}");
    assert!(rig.did.iter().any(|(_, did)| *did == Did::NextStep(NextStep::Continue)));
    assert_eq!(rig.turns().last().unwrap().heard_text, "We have Tuesday at ten.");
}

#[test]
fn a_call_on_a_node_that_goes_down_goes_on_until_the_time_runs_out() {
    let mut rig = Rig::greeted();
    let drained = rig.ms();
    rig.command(Command::Drain { within_ms: 60_000 });
    rig.run_quiet(44_000);
    assert!(rig.first(|did| *did == Did::ClosePhone).is_none(), "most calls end by themselves in this time");
    rig.run_quiet(3_000);
    let over = rig.first(|did| *did == Did::ClosePhone).unwrap() - drained;
    assert!((44_900..46_500).contains(&over), "{over}");
}

#[test]
fn a_drain_has_an_end_even_if_nobody_stops_talking() {
    let mut rig = Rig::greeted();
    rig.command(Command::Drain { within_ms: 2_000 });
    rig.run_speaking(2_500);
    assert!(rig.finished);
}

#[test]
fn the_next_node_goes_on_with_what_was_said() {
    let turn = |n, speaker, text: &str| Turn {
        n,
        speaker,
        text: text.into(),
        heard_text: text.into(),
        approximate: false,
        start_ms: 0,
        end_ms: 1_000,
        heard_ms: 1_000,
        interrupted: false,
        engine: Some(EngineKind::Hume),
        expressions: Vec::new(),
    };
    let mut next = setup(agent(PLAIN), &[EngineKind::Hume]);
    next.epoch = 2;
    next.greeted = true;
    next.offset_ms = 20_000;
    next.chat = Some(chat("group-1"));
    next.history = vec![turn(1, Speaker::Agent, "Hello."), turn(2, Speaker::Caller, "I need an appointment.")];
    let mut rig = Rig::new(next);
    let LinkRequest::Hume(connect) = opened(&rig).pop().unwrap().1 else { panic!("Hume") };
    assert_eq!(connect.resumed_chat_group_id.as_deref(), Some("group-1"));
    rig.hume_ready("group-1");
    assert!(rig.sent().iter().any(|text| text.contains("user_input") && text.contains("I need an appointment.")));
    assert!(!rig.sent().iter().any(|text| text.contains("assistant_input")), "it does not greet again");
    rig.hume_says("a", "We have Tuesday at ten.", 500);
    rig.hume_end();
    rig.start_stream();
    assert!(rig.frames() > 0);
    rig.run_quiet(1_000);
    let spoken = rig.turns().pop().unwrap();
    assert_eq!((spoken.n, spoken.start_ms), (3, 20_000));
}

#[test]
fn missing_frames_are_filled_and_late_ones_still_go_up() {
    let mut rig = Rig::greeted();
    rig.forget();
    rig.run_speaking(200);
    assert_eq!(rig.audio_sent(), 10);
    // A stall of 400 ms: silence takes the place of what does not come.
    rig.run(400);
    let filled = rig.audio_sent() - 10;
    assert!((9..=11).contains(&filled), "in the middle of speech the patience is 200 ms: {filled}");
    // Then all of it comes at once: each frame still goes up.
    rig.forget();
    for _ in 0..20 {
        rig.media(&voice());
    }
    assert_eq!(rig.audio_sent(), 20);
    // The silence that ends the turn goes up first; the debt is repaid out of what follows.
    rig.forget();
    rig.run_quiet(1_200);
    assert_eq!(rig.audio_sent(), 60);
    rig.forget();
    rig.run_quiet(1_800);
    let sent = rig.audio_sent();
    assert!((90 - filled - 2..=90 - filled + 2).contains(&sent), "{sent} of 90 silent frames went up");
    rig.forget();
    rig.run_quiet(200);
    assert_eq!(rig.audio_sent(), 10, "no delay is left");
}

#[test]
fn a_gap_in_the_timestamps_is_filled_at_once() {
    let mut rig = Rig::greeted();
    rig.run_speaking(200);
    rig.forget();
    rig.run(20);
    let ahead = 2_000 + 200 + 100;
    rig.input(Input::Phone(PhoneEvent::Media { timestamp_ms: ahead, payload: &voice() }));
    assert_eq!(rig.audio_sent(), 6);
}

#[test]
fn a_timestamp_that_cannot_be_true_spoils_nothing() {
    let mut rig = Rig::greeted();
    rig.input(Input::Phone(PhoneEvent::Media { timestamp_ms: u64::MAX - 3, payload: &voice() }));
    rig.forget();
    rig.run_speaking(200);
    rig.run_quiet(200);
    assert!((19..=21).contains(&rig.audio_sent()), "{}", rig.audio_sent());
}

#[test]
fn the_longest_call_ends_with_a_word() {
    let mut limited = setup(agent(PLAIN), &[EngineKind::Hume]);
    limited.call_ms_max = 5_000;
    let mut rig = Rig::new(limited);
    rig.hume_ready("group-1");
    rig.start_stream();
    rig.run_quiet(15_000);
    assert!(
        rig.did.iter().any(|(_, did)| matches!(did, Did::NextStep(NextStep::HangUp { reason: EndReason::Limit, .. })))
    );
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::LinePlayed { line } if line == "sorry")));
}

#[test]
fn malformed_and_unknown_messages_are_counted_and_the_call_goes_on() {
    let mut rig = Rig::greeted();
    rig.link(LinkEvent::Text("{"));
    rig.link(LinkEvent::Text(r#"{"type":"something_new"}"#));
    rig.link(LinkEvent::Binary);
    rig.input(Input::Phone(PhoneEvent::Malformed));
    rig.run_quiet(10_100);
    assert!(rig.journal().iter().any(|kind| matches!(kind, Kind::Measured(m) if m.malformed == 3 && m.unknown == 1)));
    assert!(!rig.finished);
}

#[test]
fn a_prepared_call_that_is_let_go_says_nothing_about_what_comes_next() {
    let mut rig = Rig::ready();
    rig.command(Command::HangUp { by: call::journal::EndedBy::System });
    assert!(rig.finished);
    assert!(!rig.did.iter().any(|(_, did)| matches!(did, Did::NextStep(_))), "the epoch may be another node's by now");
}
