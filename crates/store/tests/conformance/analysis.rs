//! A verdict, a correction beside it, and the outcome that the call shows.

use std::time::Duration;

use call::outcome::{Outcome, Verdict};
use store::{Correction, Erasure, Judgement, Status, StoreError, WorkItem, WorkKind};

use crate::world::{World, at, fact};

fn judgement(outcome: Outcome, seconds: u64) -> Judgement {
    let verdict = Verdict {
        outcome,
        confidence: 1.0,
        evidence: Some("You are booked.".into()),
        evidence_turn: Some(4),
        evidence_found: true,
        fields: [("when".to_owned(), "Tuesday".to_owned())].into(),
        reason: String::new(),
    };
    Judgement { verdict, model: "gemini-3.5-flash-lite".into(), judged_at: at(seconds) }
}

#[tokio::test]
async fn a_persons_word_counts_before_a_judges_and_both_are_kept() {
    let world = World::new().await;
    let id = world.inbound().await.0.id;
    assert_eq!(world.store.analysis(id).await.unwrap(), None);
    let call = world.store.record_judgement(id, judgement(Outcome::Yes, 1)).await.unwrap();
    assert_eq!(call.outcome, Some(Outcome::Yes));
    assert_eq!(world.store.call(id).await.unwrap().outcome, Some(Outcome::Yes));
    let correction =
        Correction { outcome: Outcome::No, note: Some("a test call".into()), by: "olga".into(), at: at(2) };
    world.store.correct_outcome(id, correction.clone()).await.unwrap();
    // Judged again: the verdict is replaced, the person's word stays in force.
    let call = world.store.record_judgement(id, judgement(Outcome::Unclear, 3)).await.unwrap();
    assert_eq!(call.outcome, Some(Outcome::No));
    let analysis = world.store.analysis(id).await.unwrap().unwrap();
    assert_eq!(analysis.judgement, Some(judgement(Outcome::Unclear, 3)));
    assert_eq!(analysis.correction, Some(correction));
}

#[tokio::test]
async fn several_that_change_it_at_once_take_turns() {
    let world = World::new().await;
    let id = world.inbound().await.0.id;
    let correction = Correction { outcome: Outcome::No, note: None, by: "olga".into(), at: at(2) };
    let (judged, corrected) = tokio::join!(
        world.store.record_judgement(id, judgement(Outcome::Yes, 1)),
        world.store.correct_outcome(id, correction),
    );
    judged.unwrap();
    corrected.unwrap();
    let analysis = world.store.analysis(id).await.unwrap().unwrap();
    assert!(analysis.judgement.is_some() && analysis.correction.is_some());
    assert_eq!(world.store.call(id).await.unwrap().outcome, Some(Outcome::No));
    world.store.record_status(id, fact(Status::Completed, 30)).await.unwrap();
    assert_eq!(world.store.erase_call(id, "owner").await.unwrap(), Erasure::Begun);
    world.store.remove_parts(id).await.unwrap();
    assert_eq!(world.store.analysis(id).await.unwrap(), None, "it goes with its call");
    let gone = world.store.record_judgement(id, judgement(Outcome::Yes, 1)).await;
    assert!(gone.as_ref().is_err_and(StoreError::is_gone), "and does not bring it back");
}

#[tokio::test]
async fn each_change_is_told_by_itself_and_what_could_not_be_told_goes_with_the_call() {
    let world = World::new().await;
    let id = world.inbound().await.0.id;
    world.store.record_status(id, fact(Status::Completed, 30)).await.unwrap();
    world.store.record_judgement(id, judgement(Outcome::Yes, 1)).await.unwrap();
    world.store.record_judgement(id, judgement(Outcome::Yes, 1)).await.unwrap();
    world.store.record_judgement(id, judgement(Outcome::Yes, 2)).await.unwrap();
    assert_eq!(world.store.analysis(id).await.unwrap().unwrap().revision, 2, "the same verdict twice is one");
    for _ in 0..WorkItem::ATTEMPTS_MAX {
        for leased in world.store.claim_work(100, Duration::from_secs(60)).await.unwrap() {
            world.store.fail_work(&leased, "nobody listens").await.unwrap();
        }
        world.clock.advance(Duration::from_secs(3_600));
    }
    let told = async || {
        let dead = world.store.dead_work().await.unwrap().into_iter();
        dead.filter(|item| item.kind == WorkKind::TellAnalyzed).collect::<Vec<_>>()
    };
    let mut dead = told().await;
    dead.sort_by_key(|item| item.occasion.unwrap().number);
    let ids: Vec<_> = dead.iter().map(|item| item.id.clone()).collect();
    assert_eq!(ids, [format!("tell_analyzed.{id}.1"), format!("tell_analyzed.{id}.2")]);
    assert_eq!(world.store.retry_work(&ids[0]).await.unwrap().occasion, dead[0].occasion, "the same event again");
    assert_eq!(world.store.erase_call(id, "owner").await.unwrap(), Erasure::Begun);
    world.store.remove_parts(id).await.unwrap();
    assert_eq!(told().await, []);
}
