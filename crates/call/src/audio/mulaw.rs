//! G.711 mu-law: the telephone network's eight bits a sample.
//!
//! Decoding is a table of 256 entries made at compile time. Encoding is arithmetic on the position of the highest
//! bit: a table over all inputs would be 64 KB and push the call's own state out of the cache. Both are checked
//! against an independent implementation over every possible input.

/// The code of zero: what Twilio plays as silence, and what fills a gap.
pub const SILENCE: u8 = 0xFF;

/// Frames quieter than this count as silent. Speech on a phone line lies near -20 dBFS, its pauses and line noise
/// below -55.
pub const SILENCE_DBFS: f32 = -50.0;

/// Added to the 14-bit magnitude so that every segment's first step lies at a power of two (ITU-T G.711, table 2a).
const BIAS: u16 = 33;

const DECODED: [i16; 256] = decode_table();

/// The linear value of one code, between -32124 and 32124.
#[inline]
#[must_use]
pub fn decode(code: u8) -> i16 {
    DECODED[usize::from(code)]
}

/// The code nearest to a linear value.
#[inline]
#[must_use]
pub fn encode(linear: i16) -> u8 {
    let sign_mask = linear >> 15;
    // One's complement, so that -32768 has a magnitude too.
    let magnitude = (linear ^ sign_mask).unsigned_abs() >> 2;
    let biased = magnitude + BIAS;
    let segment = (u16::BITS - biased.leading_zeros()).saturating_sub(6);
    let code = if segment > 7 { 0x7F } else { (segment << 4) | (u32::from(biased) >> (segment + 1)) & 0x0F };
    let sign = if sign_mask == 0 { 0x00 } else { 0x80 };
    !(sign | u8::try_from(code).expect("invariant: seven bits fit a byte"))
}

/// Appends the linear values of `codes` to `linear`.
pub fn decode_into(codes: &[u8], linear: &mut Vec<i16>) {
    linear.extend(codes.iter().map(|&code| decode(code)));
}

/// Appends the codes of `linear` to `codes`.
pub fn encode_into(linear: &[i16], codes: &mut Vec<u8>) {
    codes.extend(linear.iter().map(|&value| encode(value)));
}

/// The linear values of `codes`.
#[must_use]
pub fn decoded(codes: &[u8]) -> Vec<i16> {
    codes.iter().map(|&code| decode(code)).collect()
}

/// The codes of `linear`.
#[must_use]
pub fn encoded(linear: &[i16]) -> Vec<u8> {
    linear.iter().map(|&value| encode(value)).collect()
}

/// Appends 16-bit little-endian linear samples, two bytes for each code: the form EVI takes as `linear16`.
pub fn decode_to_le_bytes(codes: &[u8], bytes: &mut Vec<u8>) {
    bytes.reserve(codes.len() * 2);
    for &code in codes {
        bytes.extend_from_slice(&decode(code).to_le_bytes());
    }
}

/// The level in decibels below a full-scale square wave; negative infinity for digital silence or no samples.
#[must_use]
pub fn level_dbfs(codes: &[u8]) -> f32 {
    mean_square(codes).map_or(f32::NEG_INFINITY, |power| 10.0 * (power / (32_768.0 * 32_768.0)).log10())
}

/// Whether nothing that matters is heard in a frame: see [`SILENCE_DBFS`].
#[must_use]
pub fn is_silent(codes: &[u8]) -> bool {
    level_dbfs(codes) < SILENCE_DBFS
}

fn mean_square(codes: &[u8]) -> Option<f32> {
    // At most 32124² a sample: a u64 holds the sum of any slice that memory can hold.
    let sum: u64 = codes.iter().map(|&code| u64::from(decode(code).unsigned_abs()).pow(2)).sum();
    (sum > 0).then(|| sum as f32 / codes.len() as f32)
}

const fn decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    let mut inverted: i16 = 0xFF;
    while code < 256 {
        let segment = (inverted >> 4) & 0x07;
        let step = inverted & 0x0F;
        let magnitude = (((step << 1) + BIAS as i16) << segment) - BIAS as i16;
        table[code] = if inverted & 0x80 == 0 { magnitude << 2 } else { -(magnitude << 2) };
        code += 1;
        inverted -= 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_decodes_as_the_reference_does() {
        for code in 0..=u8::MAX {
            assert_eq!(decode(code), audio_codec_algorithms::decode_ulaw(code), "code {code:#04x}");
        }
    }

    #[test]
    fn every_sample_encodes_as_the_reference_does() {
        for linear in i16::MIN..=i16::MAX {
            assert_eq!(encode(linear), audio_codec_algorithms::encode_ulaw(linear), "sample {linear}");
        }
    }

    #[test]
    fn a_code_survives_the_way_through_linear_except_negative_zero() {
        for code in 0..=u8::MAX {
            let expected = if code == 0x7F { SILENCE } else { code };
            assert_eq!(encode(decode(code)), expected, "code {code:#04x}");
        }
    }

    #[test]
    fn silence_is_zero() {
        assert_eq!(decode(SILENCE), 0);
        assert_eq!(encode(0), SILENCE);
        assert_eq!(level_dbfs(&[SILENCE; 160]), f32::NEG_INFINITY);
        assert_eq!(level_dbfs(&[]), f32::NEG_INFINITY);
    }

    #[test]
    fn levels_are_decibels_below_full_scale() {
        let loudest = level_dbfs(&[0x80, 0x00].repeat(80));
        assert!((-0.2..=0.0).contains(&loudest), "{loudest}");
        let half = level_dbfs(&[encode(16_384), encode(-16_384)].repeat(80));
        assert!((half + 6.02).abs() < 0.3, "{half}");
    }

    #[test]
    fn line_noise_is_silent_and_quiet_speech_is_not() {
        assert!(is_silent(&[encode(40), encode(-40)].repeat(80)));
        assert!(!is_silent(&[encode(400), encode(-400)].repeat(80)));
    }

    #[test]
    fn slices_convert_sample_by_sample() {
        let linear = [0, 1_000, -1_000, i16::MAX, i16::MIN];
        let codes = encoded(&linear);
        let mut appended = vec![SILENCE];
        encode_into(&linear, &mut appended);
        assert_eq!(appended[1..], codes);
        let mut samples = Vec::new();
        decode_into(&codes, &mut samples);
        assert_eq!(samples, decoded(&codes));
        let mut bytes = Vec::new();
        decode_to_le_bytes(&codes, &mut bytes);
        assert_eq!(bytes, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>());
    }
}
