//! Which of the caller's recordings a stretch of sound contains.
//!
//! Two stages. The *envelope* (loudness and brightness every 10 ms, pauses left out) is compared with that of every
//! recording and leaves a few candidates; it bears inserted silence and small losses. The *waveform* decides: from an
//! aligned landmark on, every 20 ms of the recording is correlated with what was heard. Where the two drift apart
//! (frames that were lost, or silence that was put in), the alignment follows by whole frames. The score is the share
//! of the recording's sounding blocks that were found; neither gain nor noise of the line enters into it.

use super::bank::{UTTERANCES, Utterance, Who};
use super::recogniser::{HOP, level_db};
use super::signal::{Part, Signal, energy, halved};
use std::sync::OnceLock;

/// The waveform is compared in blocks of one phone frame.
const BLOCK: usize = 160;

/// Sound is speech to the matcher down to this far below the loudest of it: the gain must not decide what counts.
const LOUD_RANGE_DB: f32 = 30.0;

/// But nothing below this is.
const LOUD_DB_MIN: f32 = -52.0;

/// A block is found if it correlates at least this well: at equal level of speech and noise it still does.
const BLOCK_CORRELATION: f32 = 0.7;

/// The alignment moves only to where several blocks together fit this well: a vowel alone resembles itself elsewhere.
const SHIFT_CORRELATION: f32 = 0.88;
const SHIFT_BLOCKS: usize = 4;

/// A landmark must fit this well to begin with.
const LANDMARK_CORRELATION: f32 = 0.88;

/// The share of a recording that must be found.
const SCORE_MIN: f32 = 0.7;

/// Candidates that the envelope leaves.
const CANDIDATES: usize = 12;

/// How much an onset may be off, in hops: three frames.
const ONSET_HOPS: usize = 6;

/// A short first sound (the T of "Tuesday") may or may not count as the onset, so that a recording may begin this many
/// hops before what was taken for its onset, and its second sound this many after.
const BEFORE_ONSET_HOPS: usize = 25;
const AFTER_ONSET_HOPS: usize = 15;

/// The envelope of the beginning alone is compared too, because later parts may be displaced: 600 ms.
const PREFIX_HOPS: usize = 60;

/// And without the first 200 ms, because the displacement may be there.
const FIRST_SOUND_HOPS: usize = 20;

/// Less than this says nothing about a recording: 150 ms.
const SHORTEST_HOPS: usize = 15;

/// How far missing frames, or silence that was put in, may displace a recording's next part, in blocks: 80 ms and 1 s.
const SHIFT_EARLIER_MAX: isize = 4;
const SHIFT_LATER_MAX: isize = 50;

/// So many frames in a row may be lost without the alignment being given up.
const LOST_BLOCKS_MAX: usize = 5;

/// After so many sounds that begin no recording, the rest of the turn is not looked at: it is noise, or words that
/// nobody recorded.
const FAILURES_MAX: usize = 4;

/// How often a recording may be displaced. Only a wrong one asks for more.
const SHIFTS_MAX: usize = 10;

/// A recording that was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Which.
    pub utterance: &'static Utterance,
    /// The share of it that was found, 0 to 1.
    pub score: f32,
}

/// The recordings in `samples`, in order, and the best one that did not suffice.
pub(super) fn matches(samples: &[i16]) -> (Vec<Match>, Option<Match>) {
    let heard = Heard::new(samples);
    let mut found = Vec::new();
    let mut nearest: Option<Match> = None;
    let mut from = 0;
    let mut failures = 0;
    while let Some(onset) = heard.onset_after(from)
        && failures < FAILURES_MAX
    {
        let begin = onset.saturating_sub(BEFORE_ONSET_HOPS).max(from);
        let starts = heard.starts(begin, onset + AFTER_ONSET_HOPS);
        let best = candidates(&heard, begin)
            .into_iter()
            .filter_map(|template| follow(template, &heard, &starts))
            .inspect(|place| {
                if nearest.is_none_or(|best| best.score < place.score()) {
                    nearest = Some(Match { utterance: place.template.utterance, score: place.score() });
                }
            })
            .filter(|place| place.score() >= SCORE_MIN)
            // Of two that fit, one is the beginning of the other.
            .max_by_key(|place| place.found);
        match best {
            Some(place) => {
                found.push(Match { utterance: place.template.utterance, score: place.score() });
                from = place.end / HOP;
            }
            // Not known: try again where the sound next begins.
            None => {
                failures += 1;
                from = heard.pause_after(onset);
            }
        }
    }
    (found, nearest)
}

/// A recording prepared for comparison.
struct Template {
    utterance: &'static Utterance,
    /// From the first loud hop on.
    samples: Vec<f32>,
    halved: Vec<f32>,
    envelope: Vec<Feature>,
    /// Blocks above this level must be found.
    loud_db: f32,
    /// The hops with which its first sounds begin: 0, and perhaps another.
    starts: Vec<usize>,
    /// Where short loud stretches lie, for the first alignment.
    landmarks: Vec<usize>,
}

/// Loudness, and brightness (loudness of the differences), in decibels.
type Feature = [f32; 2];

fn templates() -> &'static [Template] {
    static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();
    TEMPLATES
        .get_or_init(|| UTTERANCES.iter().filter(|utterance| utterance.who == Who::Caller).map(Template::new).collect())
}

impl Template {
    fn new(utterance: &'static Utterance) -> Self {
        let samples = utterance.pcm(8_000);
        let heard = Heard::new(&samples);
        let all_starts = heard.starts(0, heard.features.len());
        let first = all_starts.first().copied().unwrap_or(0);
        let starts = all_starts.iter().map(|start| start - first).filter(|&start| start <= AFTER_ONSET_HOPS).collect();
        let envelope = heard.sounding_from(first).collect();
        let samples = heard.full.samples[first * HOP..].to_vec();
        let halved = halved(&samples);
        let mut landmarks: Vec<usize> = [(0, 1_600), (1_000, 2_600), (2_000, 4_000), (3_600, 6_000), (5_600, 8_800)]
            .iter()
            .filter_map(|&(from, to)| loudest(&halved, from / 2, to / 2).map(|at| 2 * at))
            .collect();
        landmarks.dedup();
        Self { utterance, samples, halved, envelope, loud_db: heard.loud_db, starts, landmarks }
    }
}

/// A landmark that fits this well need not be confirmed by another.
const LANDMARK_CERTAIN: f32 = 0.995;

/// Length of a landmark: 40 ms hold several periods of any voice.
const LANDMARK: usize = 320;

/// Where the loudest landmark lies, in sound at half the rate.
fn loudest(samples: &[f32], from: usize, to: usize) -> Option<usize> {
    let last = samples.len().min(to).checked_sub(LANDMARK / 2)?;
    (from..=last)
        .step_by(HOP / 2)
        .max_by(|&a, &b| energy(&samples[a..a + LANDMARK / 2]).total_cmp(&energy(&samples[b..b + LANDMARK / 2])))
}

/// Sound and its envelope.
struct Heard {
    full: Signal,
    halved: Signal,
    features: Vec<Feature>,
    loud_db: f32,
}

impl Heard {
    fn new(samples: &[i16]) -> Self {
        let features: Vec<Feature> =
            samples.as_chunks::<HOP>().0.iter().map(|hop| [level_db(hop), brightness_db(hop)]).collect();
        let loudest = features.iter().map(|feature| feature[0]).fold(f32::NEG_INFINITY, f32::max);
        let samples: Vec<f32> = samples.iter().map(|&sample| f32::from(sample)).collect();
        let halved = Signal::new(halved(&samples));
        Self { full: Signal::new(samples), halved, features, loud_db: (loudest - LOUD_RANGE_DB).max(LOUD_DB_MIN) }
    }

    fn is_loud(&self, hop: usize) -> bool {
        self.features.get(hop).is_some_and(|feature| feature[0] > self.loud_db)
    }

    /// The first hop from `hop` on with which at least three loud ones begin.
    fn onset_after(&self, hop: usize) -> Option<usize> {
        (hop..self.features.len()).find(|&at| (at..at + 3).all(|hop| self.is_loud(hop)))
    }

    /// The hops from `from` to `to` with which a sound begins after two quiet ones.
    fn starts(&self, from: usize, to: usize) -> Vec<usize> {
        (from..=to)
            .filter(|&at| self.is_loud(at) && (from.max(at.saturating_sub(2))..at).all(|hop| !self.is_loud(hop)))
            .collect()
    }

    /// The first hop after `hop` that is followed by three quiet ones.
    fn pause_after(&self, hop: usize) -> usize {
        (hop + 1..self.features.len())
            .find(|&at| (at..at + 3).all(|hop| !self.is_loud(hop)))
            .unwrap_or(self.features.len())
    }

    /// The envelope from `hop` on without its pauses.
    fn sounding_from(&self, hop: usize) -> impl Iterator<Item = Feature> {
        self.features.iter().skip(hop).filter(|feature| feature[0] > self.loud_db).copied()
    }
}

fn brightness_db(hop: &[i16]) -> f32 {
    let sum: f32 = hop.array_windows::<2>().map(|&[a, b]| (f32::from(b) - f32::from(a)).powi(2)).sum();
    // The floor keeps rounding noise from looking like structure.
    10.0 * (sum / hop.len() as f32 + 100.0).log10()
}

/// The recordings whose envelope is nearest to what begins at hop `begin`.
fn candidates(heard: &Heard, begin: usize) -> Vec<&'static Template> {
    let longest = templates().iter().map(|template| template.envelope.len()).max().unwrap_or(0);
    let envelope: Vec<Feature> = heard.sounding_from(begin).take(longest + 2 * ONSET_HOPS).collect();
    let mut scored: Vec<(f32, &Template)> =
        templates().iter().map(|template| (likeness(&template.envelope, &envelope), template)).collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(CANDIDATES).map(|(_, template)| template).collect()
}

/// The best correlation of the whole envelope, of its beginning, or of all but its first sounds, over all offsets that
/// an onset may be off.
fn likeness(template: &[Feature], heard: &[Feature]) -> f32 {
    let end = template.len();
    let mut best = f32::NEG_INFINITY;
    for part in [0..end, 0..end.min(PREFIX_HOPS), end.min(FIRST_SOUND_HOPS)..end] {
        for late in 0..=2 * ONSET_HOPS {
            // From "the beginning was lost" to "something came before".
            let from = (part.start + late).saturating_sub(ONSET_HOPS);
            let skipped = (ONSET_HOPS).saturating_sub(part.start + late);
            let Some(own) = template.get(part.start + skipped..part.end) else { continue };
            // What was heard may be a little shorter, if frames are missing.
            let Some(heard) = heard.get(from..heard.len().min(from + own.len())) else { continue };
            if own.len() >= SHORTEST_HOPS && heard.len() * 4 >= own.len() * 3 {
                best = best.max(envelope_correlation(&own[..heard.len()], heard));
            }
        }
    }
    best
}

fn envelope_correlation(a: &[Feature], b: &[Feature]) -> f32 {
    (0..2)
        .map(|part| {
            let count = a.len() as f32;
            let (mut sum_a, mut sum_b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (x, y) in a.iter().zip(b) {
                let (x, y) = (x[part], y[part]);
                sum_a += x;
                sum_b += y;
                aa += x * x;
                bb += y * y;
                ab += x * y;
            }
            let covariance = ab - sum_a * sum_b / count;
            let variances = (aa - sum_a * sum_a / count) * (bb - sum_b * sum_b / count);
            0.5 * covariance / variances.max(1e-6).sqrt()
        })
        .sum()
}

/// Where and how much of a recording was found.
struct Place {
    template: &'static Template,
    /// Sounding blocks that were found, of how many.
    found: usize,
    blocks: usize,
    /// Where it ends in what was heard, in samples.
    end: usize,
}

impl Place {
    fn score(&self) -> f32 {
        self.found as f32 / self.blocks.max(1) as f32
    }
}

/// Follows a recording through what was heard, if it begins with one of the sounds that begin at `starts`.
fn follow(template: &'static Template, heard: &Heard, starts: &[usize]) -> Option<Place> {
    let mut lag = first_lag(template, heard, starts)?;
    let heard = &heard.full;
    let mut place = Place { template, found: 0, blocks: 0, end: 0 };
    let mut shifts = 0;
    let blocks = template.samples.len() / BLOCK;
    let fits = |number: usize, lag: isize| {
        heard.correlation(&Part::new(&template.samples, number * BLOCK, BLOCK), lag) >= BLOCK_CORRELATION
    };
    for number in 0..blocks {
        let at = number * BLOCK;
        if block_level_db(&template.samples[at..at + BLOCK]) <= template.loud_db {
            continue;
        }
        place.blocks += 1;
        if !fits(number, lag) {
            // Frames are lost if a later one is where it should be; else the rest may lie elsewhere. Said words can be
            // repeated ("wait, wait"), so a place that still fits goes before one that fits as well.
            if (number + 1..blocks.min(number + 1 + LOST_BLOCKS_MAX)).any(|later| fits(later, lag)) {
                continue;
            }
            shifts += 1;
            if shifts > SHIFTS_MAX {
                continue;
            }
            let Some(shifted) = displaced(template, heard, at, lag) else { continue };
            lag = shifted;
        }
        place.found += 1;
        place.end = (at + BLOCK).saturating_add_signed(lag);
    }
    Some(place)
}

/// The offset of the recording in what was heard, in samples, by the landmark that fits best.
fn first_lag(template: &Template, heard: &Heard, starts: &[usize]) -> Option<isize> {
    let reach = isize::try_from(ONSET_HOPS * HOP).ok()?;
    let mut expected: Vec<isize> = starts
        .iter()
        .flat_map(|&start| template.starts.iter().map(move |&own| (start * HOP).checked_signed_diff(own * HOP)))
        .flatten()
        .collect();
    expected.sort_unstable();
    // Two expectations that lie near each other are one search.
    expected.dedup_by(|next, kept| *next - *kept <= reach / 2);
    let mut best: Option<(f32, isize)> = None;
    for &at in &template.landmarks {
        let landmark = Part::new(&template.samples, at, LANDMARK);
        let fit = |lag: isize| (heard.full.correlation(&landmark, lag), lag);
        let small = Part::new(&template.halved, at / 2, LANDMARK / 2);
        let small_fit = |lag: isize| (heard.halved.correlation(&small, lag), 2 * lag);
        for &expected in &expected {
            // A vowel has a peak at each period of the voice; which is the highest only the full rate tells.
            let middle = expected / 2;
            let coarse: Vec<(f32, isize)> = (middle - reach / 2..=middle + reach / 2).map(small_fit).collect();
            let highest = coarse.iter().map(|(fit, _)| *fit).fold(0.0, f32::max);
            let peaks = coarse.iter().filter(|(fit, _)| *fit >= 0.85 * highest && highest > 0.6);
            let fine = peaks.flat_map(|&(_, lag)| [fit(lag - 1), fit(lag), fit(lag + 1)]);
            best = fine.chain(best).max_by(|(a, _), (b, _)| a.total_cmp(b));
            if let Some((fit, lag)) = best
                && fit > LANDMARK_CERTAIN
            {
                return Some(lag);
            }
        }
    }
    best.filter(|(fit, _)| *fit >= LANDMARK_CORRELATION).map(|(_, lag)| lag)
}

/// The offset, by whole frames away from `lag`, at which the recording goes on best from `at`.
fn displaced(template: &Template, heard: &Signal, at: usize, lag: isize) -> Option<isize> {
    let length = (template.samples.len() - at).min(SHIFT_BLOCKS * BLOCK) / BLOCK * BLOCK;
    if length < 2 * BLOCK {
        return None;
    }
    let part = Part::new(&template.samples, at, length);
    let block = isize::try_from(BLOCK).ok()?;
    (-SHIFT_EARLIER_MAX..=SHIFT_LATER_MAX)
        .map(|blocks| lag + blocks * block)
        .map(|lag| (heard.correlation(&part, lag), lag))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(fit, _)| *fit >= SHIFT_CORRELATION)
        .map(|(_, lag)| lag)
}

fn block_level_db(block: &[f32]) -> f32 {
    10.0 * ((energy(block) / block.len() as f32 + 1e-3) / (32_768.0 * 32_768.0)).log10()
}
