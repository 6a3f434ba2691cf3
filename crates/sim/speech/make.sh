#!/usr/bin/env bash
# Speaks every text of utterances.toml into recordings/<id>.wav and writes the list that is compiled in,
# ../src/speech/recordings.rs. Needs flite (English), espeak-ng (Spanish, German), sox, and Python 3.11 or later.
# The same texts give the same bytes: sox neither dithers (-D) nor draws random numbers (-R).
set -euo pipefail
cd "$(dirname "$0")"
raw=$(mktemp --suffix=.wav)
trap 'rm -f "$raw"' EXIT
rm -rf recordings
mkdir recordings

# id, who, language, text: separated by tabs.
utterances() {
    python3 - <<'PY'
import tomllib
with open("utterances.toml", "rb") as file:
    for who, languages in tomllib.load(file).items():
        for language, utterances in languages.items():
            for name, text in utterances:
                print(name, who, language, text, sep="\t")
PY
}

utterances | while IFS=$'\t' read -r id who language text; do
    case $who/$language in
        caller/en) flite -voice rms --setf duration_stretch=0.88 -t "$text" -o "$raw" ;;
        agent/en) flite -voice slt --setf duration_stretch=0.84 -t "$text" -o "$raw" ;;
        caller/*) espeak-ng -v "$language+m3" -s 165 -w "$raw" "$text" ;;
        agent/*) espeak-ng -v "$language+f2" -s 165 -w "$raw" "$text" ;;
    esac
    # A caller speaks through a telephone; an agent's voice has the 16 kHz that the synthesiser makes.
    case $who in
        caller) rate=8000 band=(highpass 180) ;;
        agent) rate=16000 band=(highpass 80) ;;
    esac
    sox -D -R "$raw" -r "$rate" -c 1 -e mu-law -b 8 "recordings/$id.wav" \
        gain -6 "${band[@]}" rate -v "$rate" norm -3 \
        silence 1 0.01 0.6% reverse silence 1 0.01 0.6% reverse pad 0.02 0.06 < /dev/null
done

{
    cat <<'RUST'
//! Every recording of `speech/utterances.toml`, compiled in. Written by `speech/make.sh`: change it there.

use super::bank::{Utterance, Who};

/// Everything that is recorded, callers first.
pub static UTTERANCES: &[Utterance] = &[
RUST
    utterances | while IFS=$'\t' read -r id who language text; do
        cat <<RUST
    Utterance {
        id: "$id",
        who: Who::${who^},
        language: "$language",
        text: "$text",
        wav: include_bytes!("../../speech/recordings/$id.wav"),
    },
RUST
    done
    echo '];'
} > ../src/speech/recordings.rs
