//! WAV files as EVI sends them, and as it might.
//!
//! Every `audio_output` carries a complete file. A plain 44-byte header is what was seen in use; a client that counts
//! on it breaks with the first file that carries a `LIST` chunk, so that layout is available too.

/// What a file looks like around its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WavLayout {
    /// `RIFF`, `fmt ` of 16 bytes, `data`: 44 bytes before the first sample.
    Plain,
    /// A `LIST` chunk of odd length, with its padding byte, between `fmt ` and `data`.
    List,
    /// `WAVE_FORMAT_EXTENSIBLE`: a `fmt ` chunk of 40 bytes.
    Extensible,
    /// Sizes of `0xFFFFFFFF`, as written by a program that streams.
    UnknownSizes,
}

/// A mono 16-bit PCM file. `padding` bytes follow the samples in a chunk of their own, which readers skip.
pub(crate) fn file(samples: &[i16], rate: u32, layout: WavLayout, padding: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(samples.len() * 2 + padding + 80);
    body.extend_from_slice(b"WAVE");
    chunk(&mut body, b"fmt ", &format(rate, layout));
    if layout == WavLayout::List {
        chunk(&mut body, b"LIST", b"INFOISFT\x05\0\0\0sound");
    }
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let data_at = body.len() + 4;
    chunk(&mut body, b"data", &data);
    if padding > 0 && layout != WavLayout::UnknownSizes {
        chunk(&mut body, b"junk", &vec![0; padding]);
    }
    let mut size = length(body.len());
    if layout == WavLayout::UnknownSizes {
        size = u32::MAX;
        body[data_at..data_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    }
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&size.to_le_bytes());
    file.append(&mut body);
    file
}

fn format(rate: u32, layout: WavLayout) -> Vec<u8> {
    let extensible = layout == WavLayout::Extensible;
    let mut format = Vec::with_capacity(40);
    format.extend_from_slice(&(if extensible { 0xFFFE_u16 } else { 1 }).to_le_bytes());
    format.extend_from_slice(&1_u16.to_le_bytes());
    format.extend_from_slice(&rate.to_le_bytes());
    format.extend_from_slice(&(rate * 2).to_le_bytes());
    format.extend_from_slice(&2_u16.to_le_bytes());
    format.extend_from_slice(&16_u16.to_le_bytes());
    if extensible {
        format.extend_from_slice(&22_u16.to_le_bytes());
        format.extend_from_slice(&16_u16.to_le_bytes());
        format.extend_from_slice(&4_u32.to_le_bytes());
        // The PCM sub-format's GUID.
        format.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    }
    format
}

fn chunk(body: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    body.extend_from_slice(name);
    body.extend_from_slice(&length(content.len()).to_le_bytes());
    body.extend_from_slice(content);
    if content.len() % 2 == 1 {
        body.push(0);
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("invariant: a sentence is far shorter than four gigabytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_header_is_44_bytes_with_correct_sizes() {
        let file = file(&[1, -1, 300], 24_000, WavLayout::Plain, 0);
        assert_eq!(file.len(), 44 + 6);
        assert_eq!(file[4..8], 42_u32.to_le_bytes());
        assert_eq!(file[24..28], 24_000_u32.to_le_bytes());
        assert_eq!(file[40..44], 6_u32.to_le_bytes());
        assert_eq!(file[44..], [1, 0, 255, 255, 44, 1]);
    }

    #[test]
    fn every_layout_is_read_back_by_our_own_reader() {
        let samples: Vec<i16> = (0..480).map(|n| n * 7).collect();
        for layout in [WavLayout::Plain, WavLayout::List, WavLayout::Extensible, WavLayout::UnknownSizes] {
            for padding in [0, 33] {
                let file = file(&samples, 48_000, layout, padding);
                let wav = call::audio::wav::read(&file).unwrap_or_else(|error| panic!("{layout:?}: {error}"));
                assert_eq!((wav.rate, &wav.samples), (48_000, &samples));
            }
        }
    }
}
