//! A call's conversation as text, for people and for players. What is shown of the agent is what was heard.

use std::fmt::Write as _;

use call::journal::{Speaker, Turn};

/// A cue that lasts no time at all is not shown by players.
const CUE_MS_MIN: u64 = 200;

/// One line per turn: when, who, what.
pub(crate) fn as_text(turns: &[Turn]) -> String {
    let mut text = String::new();
    for turn in turns {
        let seconds = turn.start_ms / 1_000;
        let cut = if turn.interrupted { " \u{2014}" } else { "" };
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        writeln!(text, "[{minutes:02}:{seconds:02}] {}: {}{cut}", name(turn.speaker), heard(turn))
            .expect("invariant: writing to a String cannot fail");
    }
    text
}

/// WebVTT, with a voice for each speaker.
pub(crate) fn as_vtt(turns: &[Turn]) -> String {
    let mut text = String::from("WEBVTT\n");
    let mut cues: Vec<&Turn> = turns.iter().filter(|turn| !heard(turn).trim().is_empty()).collect();
    // A cue may overlap the one before, and must not begin before it (WebVTT, 4.1). Who talks over somebody may be written
    // down first.
    cues.sort_by_key(|turn| turn.start_ms);
    for turn in cues {
        let end = turn.end_ms.max(turn.start_ms + CUE_MS_MIN);
        // A line break inside a cue would begin another one.
        let words = heard(turn)
            .replace(|c: char| c.is_control(), " ")
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let (from, to) = (timestamp(turn.start_ms), timestamp(end));
        write!(text, "\n{}\n{from} --> {to}\n<v {}>{words}\n", turn.n, name(turn.speaker))
            .expect("invariant: writing to a String cannot fail");
    }
    text
}

fn heard(turn: &Turn) -> &str {
    match turn.speaker {
        Speaker::Caller => &turn.text,
        Speaker::Agent => &turn.heard_text,
    }
}

const fn name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Caller => "Caller",
        Speaker::Agent => "Agent",
    }
}

fn timestamp(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(n: u32, speaker: Speaker, start_ms: u64, text: &str, heard: &str) -> Turn {
        Turn {
            n,
            speaker,
            text: text.to_owned(),
            heard_text: heard.to_owned(),
            approximate: false,
            start_ms,
            end_ms: start_ms + 900,
            heard_ms: 900,
            interrupted: text != heard,
            engine: None,
            expressions: Vec::new(),
        }
    }

    fn talk() -> Vec<Turn> {
        vec![
            turn(1, Speaker::Agent, 0, "Hello, how can I help you?", "Hello, how can I"),
            turn(2, Speaker::Caller, 61_250, "Is <b>Tuesday</b> & noon\nfree?", "Is <b>Tuesday</b> & noon\nfree?"),
        ]
    }

    #[test]
    fn a_transcript_says_what_was_heard_and_where_it_was_cut() {
        insta::assert_snapshot!(as_text(&talk()[..1]), @"[00:00] Agent: Hello, how can I —");
    }

    #[test]
    fn cues_begin_in_order_and_last_whatever_was_written_down() {
        let mut turns =
            vec![turn(2, Speaker::Caller, 5_000, "Wait --> \0no", ""), turn(1, Speaker::Agent, 4_000, "", "So")];
        turns[1].end_ms = 4_000;
        turns.push(turn(3, Speaker::Agent, 6_000, "Never heard.", " "));
        insta::assert_snapshot!(as_vtt(&turns), @r"
        WEBVTT

        1
        00:00:04.000 --> 00:00:04.200
        <v Agent>So

        2
        00:00:05.000 --> 00:00:05.900
        <v Caller>Wait --&gt;  no
        ");
    }

    #[test]
    fn cues_cannot_be_broken_out_of() {
        insta::assert_snapshot!(as_vtt(&talk()), @r"
        WEBVTT

        1
        00:00:00.000 --> 00:00:00.900
        <v Agent>Hello, how can I

        2
        00:01:01.250 --> 00:01:02.150
        <v Caller>Is &lt;b&gt;Tuesday&lt;/b&gt; &amp; noon free?
        ");
    }
}
