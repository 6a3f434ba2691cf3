//! What every call is made of, told of each engine.

use std::time::Duration;

use call::agent::EngineKind;
use call::journal::{EndReason, Kind, LinkCause, NextStep, Speaker};
use call::{Command, Input, LinkEvent, LinkRequest};

use crate::peer::{PEERS, Peer, tell_json};
use crate::rig::{Did, PLAIN, Rig, agent, setup};

const GREETING: &str = "Hello, this is Riverside Dental. How can I help?";

/// A call with this engine whose greeting was heard.
fn greeted(peer: Peer, others: &[EngineKind]) -> Rig {
    let engines: Vec<EngineKind> = [peer.0].into_iter().chain(others.iter().copied()).collect();
    let mut rig = Rig::new(setup(agent(PLAIN), &engines));
    peer.becomes_ready(&mut rig);
    peer.says_what_it_was_asked(&mut rig, GREETING, 1_000);
    rig.start_stream();
    rig.run_quiet(2_000);
    rig
}

fn last_agent_turn(rig: &Rig) -> call::journal::Turn {
    rig.turns().into_iter().rfind(|turn| turn.speaker == Speaker::Agent).expect("the agent has spoken")
}

fn opened(rig: &Rig, leads: impl Fn(&LinkRequest) -> bool) -> usize {
    rig.did.iter().filter(|(_, did)| matches!(did, Did::Open(_, request) if leads(request))).count()
}

fn has(rig: &Rig, what: impl Fn(&Kind) -> bool) -> bool {
    rig.journal().into_iter().any(what)
}

#[test]
fn the_greeting_is_asked_for_before_the_stream_and_heard_at_its_start() {
    for peer in PEERS {
        let mut rig = Rig::new(setup(agent(PLAIN), &[peer.0]));
        peer.becomes_ready(&mut rig);
        assert_eq!(peer.was_asked_to_say(&rig).as_deref(), Some(GREETING), "{peer:?}");
        peer.says_what_it_was_asked(&mut rig, GREETING, 1_000);
        assert_eq!(rig.frames(), 0, "{peer:?}: nobody listens yet");
        rig.start_stream();
        assert_eq!(rig.frames(), 10, "{peer:?}: the lead at once");
        rig.run_quiet(1_500);
        let turn = last_agent_turn(&rig);
        assert_eq!((turn.heard_text.as_str(), turn.heard_ms, turn.engine), (GREETING, 1_000, Some(peer.0)));
        assert!(!turn.interrupted && !turn.approximate, "{peer:?}: {turn:?}");
    }
}

#[test]
fn a_turn_of_the_caller_is_answered() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "I need an appointment.");
        peer.says(&mut rig, "a", "We have Tuesday at ten.", 1_200);
        rig.run_quiet(2_000);
        let said: Vec<(Speaker, String)> =
            rig.turns().into_iter().map(|turn| (turn.speaker, turn.heard_text)).collect();
        let expected = [
            (Speaker::Agent, GREETING.to_owned()),
            (Speaker::Caller, "I need an appointment.".to_owned()),
            (Speaker::Agent, "We have Tuesday at ten.".to_owned()),
        ];
        assert_eq!(said, expected, "{peer:?}");
    }
}

#[test]
fn an_interruption_while_the_engine_still_sends_cuts_the_agent_off_at_once() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "I need an appointment.");
        peer.begins_to_say(&mut rig, "a", "We have Tuesday at ten and Thursday at three.", 3_000);
        rig.run_quiet(1_000);
        let before = rig.did.len();
        peer.is_interrupted(&mut rig, "No, wait");
        let to_phone = rig.did[before..]
            .iter()
            .map(|(_, did)| did)
            .find(|did| matches!(did, Did::Frame(_) | Did::Mark(_) | Did::Clear));
        assert_eq!(to_phone, Some(&Did::Clear), "{peer:?}: nothing comes before the clear");
        let turn = last_agent_turn(&rig);
        assert!(turn.interrupted && (980..=1_020).contains(&turn.heard_ms), "{peer:?}: {turn:?}");
        assert_eq!(turn.heard_text, "We have Tuesday", "{peer:?}: nine words in three seconds");
    }
}

#[test]
fn words_over_a_turn_that_was_sent_long_ago_cut_it_off() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "I need an appointment.");
        peer.says(&mut rig, "a", "We have Tuesday at ten and Thursday at three.", 3_000);
        rig.run_quiet(1_000);
        rig.forget();
        if peer.0 != EngineKind::OpenAi {
            // OpenAI tells of speech before it knows any words.
            peer.hears_words(&mut rig, "Mm-hmm.");
            assert_eq!(rig.first(|did| *did == Did::Clear), None, "{peer:?}: a listening sound cuts nothing");
        }
        peer.hears_words(&mut rig, "No, wait");
        assert!(rig.first(|did| *did == Did::Clear).is_some(), "{peer:?}");
        assert_eq!(last_agent_turn(&rig).heard_text, "We have Tuesday", "{peer:?}");
    }
}

#[test]
fn audio_of_a_turn_that_was_cut_off_is_never_heard_when_it_comes_late() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "I need an appointment.");
        peer.begins_to_say(&mut rig, "a", "We have Tuesday at ten.", 1_000);
        rig.run_quiet(500);
        let context = crate::peer::texts_to_speak(&rig).pop();
        peer.is_interrupted(&mut rig, "No, wait");
        rig.forget();
        match (peer.0, context) {
            (EngineKind::Hume, _) => rig.hume_audio("a", 500),
            (EngineKind::OpenAi, _) => {
                let link = peer.main_link(&rig);
                let late = serde_json::json!({"type":"response.output_audio.delta","event_id":"e","response_id":"a","item_id":"item-a","output_index":0,"content_index":0,"delta":"/////w=="});
                tell_json(&mut rig, link, &late);
            }
            (EngineKind::Cascade, context) => {
                let (context, _) = context.expect("it has spoken");
                crate::peer::cartesia(
                    &mut rig,
                    &serde_json::json!({"type":"chunk","context_id":context,"data":"/////w==","done":false,"status_code":206,"step_time":1.0}),
                );
            }
        }
        rig.run_quiet(200);
        assert_eq!(rig.frames(), 0, "{peer:?}");
    }
}

#[test]
fn a_tool_is_run_and_its_answer_told() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "Is my order ready?");
        peer.says_and_calls(&mut rig, "a", "", 0, Some(("t1", "look_up")));
        assert!(rig.first(|did| *did == Did::Tool("t1".into())).is_some(), "{peer:?}");
        rig.run_quiet(300);
        rig.input(Input::Tool { id: "t1", answer: Ok("it is ready at noon") });
        assert!(peer.was_told_by_tool(&rig, "it is ready at noon"), "{peer:?}");
        peer.says(&mut rig, "b", "It is ready at noon.", 1_000);
        rig.run_quiet(2_000);
        assert_eq!(last_agent_turn(&rig).heard_text, "It is ready at noon.", "{peer:?}");
    }
}

#[test]
fn the_goodbye_is_heard_before_the_agent_hangs_up() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "That is all, thanks.");
        peer.says_and_calls(&mut rig, "bye", "You are all set. Goodbye!", 1_500, Some(("t1", "hang_up")));
        let asked = rig.ms();
        rig.run_quiet(3_000);
        let closed = rig.first(|did| *did == Did::ClosePhone).expect("the line is closed");
        assert!((1_480..1_800).contains(&(closed - asked)), "{peer:?}: {}", closed - asked);
        assert_eq!(last_agent_turn(&rig).heard_text, "You are all set. Goodbye!", "{peer:?}");
        let left_open = rig.did.iter().filter_map(|(_, did)| match did {
            Did::Open(link, _) => Some(link),
            _ => None,
        });
        let left_open: Vec<_> =
            left_open.filter(|link| !rig.did.iter().any(|(_, did)| *did == Did::Close(**link))).collect();
        assert!(left_open.is_empty(), "{peer:?} leaves {left_open:?} open");
    }
}

#[test]
fn a_caller_who_hangs_up_ends_every_link() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "I need an appointment.");
        rig.input(Input::Phone(call::PhoneEvent::Stopped));
        assert!(rig.finished, "{peer:?}");
        for (_, did) in &rig.did {
            if let Did::Open(link, request) = did {
                assert!(rig.did.iter().any(|(_, did)| *did == Did::Close(*link)), "{peer:?}: {request:?} is left open");
            }
        }
    }
}

#[test]
fn a_caller_who_says_nothing_is_waited_for_and_then_let_go() {
    for peer in PEERS {
        let mut script = agent(PLAIN);
        script.limits.caller_silence_s_max = 10;
        let mut rig = Rig::new(setup(script, &[peer.0]));
        peer.becomes_ready(&mut rig);
        peer.says_what_it_was_asked(&mut rig, GREETING, 1_000);
        rig.start_stream();
        rig.run_quiet(9_000);
        assert!(!rig.finished, "{peer:?}");
        rig.run_quiet(8_000);
        assert!(rig.finished, "{peer:?}");
        assert!(
            rig.did
                .iter()
                .any(|(_, did)| matches!(did, Did::NextStep(NextStep::HangUp { reason: EndReason::Limit, .. }))),
            "{peer:?}"
        );
    }
}

#[test]
fn an_engine_that_refuses_gives_way_to_the_next_at_once() {
    for peer in PEERS {
        let next = PEERS.into_iter().find(|other| other != &peer).expect("there are three");
        let mut rig = Rig::new(setup(agent(PLAIN), &[peer.0, next.0]));
        rig.run(30);
        peer.refuses(&mut rig, 401);
        assert!(
            has(
                &rig,
                |kind| matches!(kind, Kind::EngineRefused { engine, why: LinkCause::Status { status: 401 } } if *engine == peer.0)
            ),
            "{peer:?}"
        );
        next.becomes_ready(&mut rig);
        assert_eq!(next.was_asked_to_say(&rig).as_deref(), Some(GREETING), "{peer:?} gives way to {next:?}");
    }
}

#[test]
fn a_dropped_connection_is_back_within_two_seconds_and_what_was_asked_is_answered() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        peer.hears(&mut rig, "I need an appointment.");
        let dropped = rig.ms();
        peer.drops(&mut rig);
        rig.run_quiet(200);
        match peer.0 {
            EngineKind::Hume | EngineKind::OpenAi => peer.becomes_ready(&mut rig),
            EngineKind::Cascade => {
                let link = peer.main_link(&rig);
                rig.input(Input::Link(link, LinkEvent::Opened));
                tell_json(&mut rig, link, &serde_json::json!({"type":"Connected","request_id":"r2","sequence_id":0}));
                rig.flux = Some(link);
            }
        }
        peer.says(&mut rig, "b", "We have Tuesday at ten.", 1_000);
        assert!(rig.ms() - dropped < 2_000);
        rig.run_quiet(2_500);
        assert_eq!(last_agent_turn(&rig).heard_text, "We have Tuesday at ten.", "{peer:?}");
        assert!(!rig.finished, "{peer:?}");
    }
}

#[test]
fn an_engine_that_does_not_come_back_gives_way_with_what_was_said() {
    for peer in PEERS {
        let next = PEERS.into_iter().find(|other| other != &peer).expect("there are three");
        let mut rig = greeted(peer, &[next.0]);
        peer.hears(&mut rig, "I need an appointment.");
        let lost = rig.ms();
        peer.drops(&mut rig);
        // Every dial of the lost engine is refused until the other is dialled.
        let leads_to = move |request: &LinkRequest| match next.0 {
            EngineKind::Hume => matches!(request, LinkRequest::Hume(_)),
            EngineKind::OpenAi => matches!(request, LinkRequest::OpenAi),
            EngineKind::Cascade => matches!(request, LinkRequest::Deepgram(_)),
        };
        while opened(&rig, leads_to) == 0 {
            rig.run_quiet(100);
            if opened(&rig, leads_to) == 0 {
                let link = peer.main_link(&rig);
                rig.input(Input::Link(link, LinkEvent::Refused(LinkCause::Unreachable)));
            }
            assert!(rig.ms() - lost < 3_000, "{peer:?}: the next engine's turn has come");
        }
        assert!(rig.ms() - lost <= 2_200, "{peer:?}: {} ms", rig.ms() - lost);
        let line = rig
            .first(|did| matches!(did, Did::Journal(entry) if matches!(&entry.kind, Kind::LinePlayed { line } if line == "hold")));
        assert!(line.is_some_and(|at| at - lost <= 1_500), "{peer:?}: the caller is not left in silence: {line:?}");
        next.becomes_ready(&mut rig);
        rig.run_quiet(40);
        let told = rig.did.iter().any(|(_, did)| match did {
            Did::Send(_, text) | Did::Open(_, LinkRequest::Groq(text)) => text.contains("I need an appointment."),
            _ => false,
        });
        assert!(told, "{next:?} is told what the caller said");
        next.says(&mut rig, "b", "We have Tuesday at ten.", 1_000);
        rig.run_quiet(5_000);
        let turn = last_agent_turn(&rig);
        assert_eq!((turn.engine, turn.heard_text.as_str()), (Some(next.0), "We have Tuesday at ten."), "{peer:?}");
    }
}

#[test]
fn before_a_session_limit_a_fresh_session_sits_beside_the_old_one() {
    for peer in PEERS {
        let mut long = setup(agent(PLAIN), &[peer.0]);
        long.call_ms_max = 2 * 3_600_000;
        let mut rig = Rig::new(long);
        peer.becomes_ready(&mut rig);
        peer.says_what_it_was_asked(&mut rig, GREETING, 1_000);
        rig.start_stream();
        rig.run_quiet(2_000);
        let limit = match peer.0 {
            EngineKind::Hume => Some(1_800),
            EngineKind::OpenAi => Some(3_600),
            // None of the three vendors publishes one.
            EngineKind::Cascade => None,
        };
        let leads = |request: &LinkRequest| !matches!(request, LinkRequest::Groq(_) | LinkRequest::Cartesia);
        let before = opened(&rig, leads);
        // The caller says a word now and then, or the call would end.
        let minutes = limit.unwrap_or(3_600) / 60;
        for _ in 0..minutes {
            rig.run_quiet(60_000);
            if limit.is_some() && opened(&rig, leads) > before {
                break;
            }
            peer.hears(&mut rig, "Go on.");
            peer.says(&mut rig, "x", "Certainly.", 500);
        }
        match limit {
            Some(limit) => {
                assert!(opened(&rig, leads) > before, "{peer:?}: a fresh session is dialled");
                assert!(Duration::from_millis(rig.ms()) < Duration::from_secs(limit), "{peer:?}");
            }
            None => assert_eq!(opened(&rig, leads), before, "{peer:?}: nothing to roll over"),
        }
        assert!(
            !has(&rig, |kind| matches!(kind, Kind::EngineLost { why, .. } if *why != LinkCause::RolledOver)),
            "{peer:?}"
        );
    }
}

#[test]
fn what_an_operator_asks_for_is_said_word_for_word() {
    for peer in PEERS {
        let mut rig = greeted(peer, &[]);
        rig.forget();
        rig.command(Command::Say { text: "Please hold the line.".into() });
        assert_eq!(peer.was_asked_to_say(&rig).as_deref(), Some("Please hold the line."), "{peer:?}");
        peer.says_what_it_was_asked(&mut rig, "Please hold the line.", 800);
        rig.run_quiet(1_500);
        assert_eq!(last_agent_turn(&rig).heard_text, "Please hold the line.", "{peer:?}");
    }
}
