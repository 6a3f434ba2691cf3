//! `calls export`: all pages of an export, into a file or to whoever reads the standard output.

use std::io::{IsTerminal as _, Write};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::api::{Api, Part, failure};
use crate::cli::{Export, SheetFormat};
use crate::environment::Environment;
use crate::problem::Failure;

use super::calls::Filters;
use super::running::Running;

/// Cells of the bar.
const BAR_WIDTH: usize = 24;

pub(super) async fn export(export: &Export, environment: Environment) -> Result<(), Failure> {
    let running = Running::to_read(environment).await?;
    let done = fetch(&running.api, export).await;
    running.finish().await;
    done
}

async fn fetch(api: &Api, export: &Export) -> Result<(), Failure> {
    let mut out: Box<dyn Write + Send> = match &export.output {
        Some(file) => Box::new(create(file)?),
        None => Box::new(std::io::stdout()),
    };
    // Pages of JSON are lists; together they must be one. So they are fetched as lines.
    let format = match export.format {
        SheetFormat::Csv => "csv",
        SheetFormat::Json | SheetFormat::Ndjson => "ndjson",
    };
    let mut query = Filters::of(&export.filters);
    query.add("format", Some(format));
    query.add("redact", export.redact.then_some("1"));
    let mut bar = Bar::new(total(api).await);
    let mut path = Some(format!("/v1/export{}", query.finish()));
    let mut joined = Joined { is_json: export.format == SheetFormat::Json, lines: 0 };
    while let Some(next) = path {
        let part: Part = api.part(&next).await.map_err(failure)?;
        joined.write(&mut out, &part.text).context("failed to write the export")?;
        bar.advance(part.calls, part.text.len());
        path = part.next;
    }
    joined.end(&mut out).and_then(|()| out.flush()).context("failed to write the export")?;
    bar.finish();
    Ok(())
}

fn create(file: &Path) -> Result<std::io::BufWriter<std::fs::File>, Failure> {
    let created = std::fs::File::create(file);
    let created = created.with_context(|| format!("failed to create {}", file.display()))?;
    Ok(std::io::BufWriter::new(created))
}

/// How many calls there are that are over: what the bar is full at, if no filter leaves any out.
async fn total(api: &Api) -> u64 {
    let today = jiff::Zoned::now().date();
    let first = today.checked_sub(jiff::Span::new().days(398)).unwrap_or(today);
    let figures: Option<Value> = api.get(&format!("/v1/analytics?from={first}")).await.ok();
    figures.and_then(|figures| figures["totals"]["calls"].as_u64()).unwrap_or(0)
}

/// Lines of JSON as one list, or as they come.
struct Joined {
    is_json: bool,
    lines: usize,
}

impl Joined {
    fn write(&mut self, out: &mut impl Write, text: &str) -> std::io::Result<()> {
        if !self.is_json {
            return out.write_all(text.as_bytes());
        }
        for line in text.lines() {
            out.write_all(if self.lines == 0 { b"[\n" } else { b",\n" })?;
            out.write_all(line.as_bytes())?;
            self.lines += 1;
        }
        Ok(())
    }

    fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.is_json, self.lines) {
            (false, _) => Ok(()),
            (true, 0) => out.write_all(b"[]\n"),
            (true, _) => out.write_all(b"\n]\n"),
        }
    }
}

/// How far it is, on the terminal if there is one. Filters may leave calls out: then it ends before it is full.
struct Bar {
    shown: bool,
    total: u64,
    calls: u64,
    bytes: usize,
}

impl Bar {
    fn new(total: u64) -> Self {
        Self { shown: std::io::stderr().is_terminal(), total, calls: 0, bytes: 0 }
    }

    fn advance(&mut self, calls: u64, bytes: usize) {
        self.calls += calls;
        self.bytes += bytes;
        self.show(&format!("\r{}", self.line()));
    }

    fn finish(&mut self) {
        self.total = self.calls;
        self.show(&format!("\r{}\n", self.line()));
    }

    fn line(&self) -> String {
        let done = self.calls.min(self.total);
        let share = (done * BAR_WIDTH as u64).checked_div(self.total).unwrap_or(BAR_WIDTH as u64);
        let full = usize::try_from(share).unwrap_or(BAR_WIDTH);
        let tenths = self.bytes / 100_000;
        let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR_WIDTH - full));
        format!("{bar}  {} calls, {}.{} MB", self.calls, tenths / 10, tenths % 10)
    }

    fn show(&self, text: &str) {
        if self.shown {
            let mut terminal = std::io::stderr();
            // A terminal that has gone shows nothing; the export goes on.
            drop(terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_one_list_whatever_pages_they_came_in() {
        let written = |pages: &[&str]| {
            let (mut joined, mut out) = (Joined { is_json: true, lines: 0 }, Vec::new());
            for page in pages {
                joined.write(&mut out, page).unwrap();
            }
            joined.end(&mut out).unwrap();
            serde_json::from_slice::<Value>(&out).unwrap()
        };
        assert_eq!(written(&["{\"a\":1}\n{\"a\":2}\n", "", "{\"a\":3}\n"]).as_array().unwrap().len(), 3);
        assert_eq!(written(&[""]), serde_json::json!([]));
    }

    #[test]
    fn the_bar_fills_as_calls_come_and_is_full_at_the_end() {
        let mut bar = Bar { shown: false, total: 200, calls: 0, bytes: 0 };
        bar.advance(50, 1_250_000);
        assert_eq!(bar.line(), "██████░░░░░░░░░░░░░░░░░░  50 calls, 1.2 MB");
        bar.finish();
        assert_eq!(bar.line(), "████████████████████████  50 calls, 1.2 MB");
        assert_eq!(
            Bar { shown: false, total: 0, calls: 0, bytes: 0 }.line().chars().filter(|c| *c == '█').count(),
            BAR_WIDTH
        );
    }
}
