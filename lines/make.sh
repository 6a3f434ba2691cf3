#!/usr/bin/env bash
# Speaks every lines/<language>/<name>.txt into the .wav beside it: mu-law, 8 kHz, mono.
# Needs flite (English), espeak-ng (the other languages) and sox; run it after changing a text.
set -euo pipefail
cd "$(dirname "$0")"
raw=$(mktemp --suffix=.wav)
trap 'rm -f "$raw"' EXIT

for text in */*.txt; do
    language=${text%%/*}
    if [ "$language" = en ]; then
        flite -voice slt --setf duration_stretch=0.82 -f "$text" -o "$raw"
    else
        espeak-ng -v "$language+f2" -s 190 -f "$text" -w "$raw"
    fi
    # Quiet at both ends is cut, the level set, and the band limited to the telephone's before the rate is lowered.
    # -D and -R: no dither and no chance, the same text gives the same bytes.
    sox -D -R "$raw" -r 8000 -c 1 -e mu-law -b 8 "${text%.txt}.wav" \
        gain -4 highpass 180 compand 0.01,0.15 6:-40,-26,-20,-14,0,-6 0 -90 0.02 rate -v 8000 norm -2 \
        silence 1 0.01 0.6% reverse silence 1 0.01 0.6% reverse pad 0.02 0.04
done
