//! `outcomes score`: how well the configured judge judges.

use functions::config::Lookup;
use functions::judge::Judge;

use crate::cli::Output;
use crate::environment::Environment;
use crate::outcomes::{Score, Share, judged, labelled};
use crate::problem::{Failure, Problem};
use crate::terminal::{Screen, Style};

use super::calls::json_line;

/// Progress is shown each time so many calls are judged.
const PROGRESS_EVERY: usize = 10;

pub(super) async fn score(output: Output, environment: &Environment, screen: &mut Screen) -> Result<(), Failure> {
    let source = |name: &str| environment.lookup(name);
    let judge = Judge::read(&mut Lookup::new(&source)).map_err(|error| {
        Failure::Problems(error.0.iter().map(|wrong| Problem::new(&wrong.name, &wrong.what, &wrong.remedy)).collect())
    })?;
    let calls = labelled();
    let mut score = Score::of(&judge);
    let mut progress = Screen::stderr();
    for (n, call) in calls.iter().enumerate() {
        score.count(call, &judged(&judge, call).await);
        if !score.is_local_rule && (n + 1) % PROGRESS_EVERY == 0 {
            progress.line(&format!("{} of {} calls are judged", n + 1, calls.len()));
        }
    }
    if output.json {
        return json_line(screen, &score);
    }
    show(&score, screen);
    Ok(())
}

fn show(score: &Score, screen: &mut Screen) {
    screen.line(&format!("Judged by {}", screen.paint(Style::Strong, &score.model)));
    if score.is_local_rule {
        let warning = "This is a rule on phrases, fitted to these very calls, and no model: GEMINI_API_KEY is not set.";
        screen.line(&screen.paint(Style::Warn, warning));
    }
    screen.line(&format!(
        "{} of {} calls right ({:.0} %)",
        score.total.right,
        score.total.calls,
        score.accuracy * 100.0
    ));
    screen.line(&format!("{} verdicts quote a sentence that was said\n", score.evidence_found));
    let judged = ["yes", "no", "unclear", "none"];
    let rows = score.confusion.iter().map(|(label, row)| {
        let counts = judged.iter().map(|judged| row.get(judged).copied().unwrap_or_default().to_string());
        std::iter::once((*label).to_owned()).chain(counts).collect::<Vec<_>>()
    });
    screen.table(&["labelled", "judged yes", "judged no", "unclear", "no verdict"], &rows.collect::<Vec<_>>());
    let shares = |name: &str, share: &Share| vec![name.to_owned(), share.calls.to_string(), share.right.to_string()];
    screen.line("");
    let rows: Vec<_> = score.by_language.iter().map(|(name, share)| shares(name, share)).collect();
    screen.table(&["language", "calls", "right"], &rows);
    screen.line("");
    let rows: Vec<_> = score.by_kind.iter().map(|(name, share)| shares(name, share)).collect();
    screen.table(&["kind", "calls", "right"], &rows);
    if !score.wrong.is_empty() {
        screen.line("");
        let rows = score.wrong.iter().map(|wrong| {
            let judged = wrong.judged.map_or("none", call::outcome::Outcome::as_str);
            vec![wrong.name.clone(), wrong.expected.as_str().to_owned(), judged.to_owned(), wrong.reason.clone()]
        });
        screen.table(&["wrong", "labelled", "judged", "because"], &rows.collect::<Vec<_>>());
    }
}
