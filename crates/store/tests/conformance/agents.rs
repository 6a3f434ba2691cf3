//! Agents.

use store::StoreError;

use crate::world::{World, agent};

#[tokio::test]
async fn saving_makes_a_version_only_when_something_changed() {
    let world = World::new().await;
    let mut survey = agent("survey");
    assert_eq!(world.store.save_agent(&survey).await.unwrap().version, 1);
    assert_eq!(world.store.save_agent(&survey).await.unwrap().version, 1);
    survey.greeting = "Hello!".into();
    assert_eq!(world.store.save_agent(&survey).await.unwrap().version, 2);
    assert_eq!(world.store.agent("survey").await.unwrap().agent, survey);
    assert_eq!(world.store.agent_version("survey", 1).await.unwrap().agent, agent("survey"));
    for missing in [world.store.agent("nobody").await, world.store.agent_version("survey", 3).await] {
        assert!(matches!(missing, Err(StoreError::NotFound(_))));
    }
}

#[tokio::test]
async fn those_who_save_at_the_same_time_get_versions_of_their_own() {
    let world = World::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (store, mut agent) = (world.store.clone(), agent("survey"));
        agent.greeting = format!("Hello {n}!");
        tasks.spawn(async move { store.save_agent(&agent).await.unwrap().version });
    }
    let mut versions = tasks.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    world.store.save_agent(&agent("receptionist")).await.unwrap();
    let all = world.store.agents().await.unwrap();
    let latest: Vec<_> = all.iter().map(|saved| (saved.agent.name.as_str(), saved.version)).collect();
    assert_eq!(latest, [("receptionist", 1), ("survey", 6)]);
}
