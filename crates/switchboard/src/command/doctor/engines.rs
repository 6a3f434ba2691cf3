//! Which engines the running program leaves alone, because calls found that they refuse or do not come back.

use serde::Deserialize;

use crate::api::Api;
use crate::checks::Check;

/// Of `/status`, what is looked at here.
#[derive(Debug, Deserialize)]
struct Status {
    engines: Vec<Engine>,
}

#[derive(Debug, Deserialize)]
struct Engine {
    engine: String,
    state: String,
    tried_again_in_s: Option<u64>,
}

/// One finding for each engine that is not offered to calls now.
pub(super) async fn left_alone(api: &Api) -> Vec<Check> {
    match api.get::<Status>("/status").await {
        Ok(status) => status.engines.iter().filter_map(finding).collect(),
        Err(error) => vec![Check::doubtful(
            "Engines",
            format!("the running program does not say which it offers: {error}"),
            "look at its log",
        )],
    }
}

fn finding(engine: &Engine) -> Option<Check> {
    let when = engine.tried_again_in_s.map_or_else(|| "later".to_owned(), |seconds| format!("in {seconds} s"));
    let found = match engine.state.as_str() {
        "offered" => return None,
        "on_trial" => "refused calls, and one is trying it again now".to_owned(),
        _ => format!("is left alone, because it refused a call or was lost in one; tried again by a call {when}"),
    };
    let remedy =
        format!("the journal of a recent call says why; check the credentials and the account of {}", engine.engine);
    Some(Check::doubtful(format!("Engine {}", engine.engine), found, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Verdict;

    #[test]
    fn an_engine_that_is_left_alone_is_a_finding_and_an_offered_one_is_none() {
        let status = r#"{"node":"n","engines":[{"engine":"hume","state":"left_alone","tried_again_in_s":582},
            {"engine":"openai","state":"offered"}]}"#;
        let status: Status = serde_json::from_str(status).unwrap();
        let found: Vec<Check> = status.engines.iter().filter_map(finding).collect();
        assert_eq!((found.len(), found[0].verdict, found[0].what.as_str()), (1, Verdict::Doubtful, "Engine hume"));
        assert!(found[0].found.contains("in 582 s"), "{}", found[0].found);
    }
}
