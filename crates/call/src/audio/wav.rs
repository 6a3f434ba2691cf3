//! WAV files, read leniently and written strictly.
//!
//! EVI sends each piece of its voice as a whole WAV file and says the sample rate only there: 24 kHz and 48 kHz have
//! both been seen (Hume: EVI chat, `audio_output`), so rate and layout always come from the header. Writers that
//! stream leave wrong sizes behind; what is really there counts. Recordings are written as mu-law with a header
//! whose length does not depend on the data, so that it can be written first and put right at the end.
//!
//! Compressed formats other than mu-law, and more than two channels, are refused with a reason.

use super::mulaw;
use std::ops::Range;
use thiserror::Error;

/// The longest plausible sample rate; a higher one is a broken header.
const RATE_MAX: u32 = 192_000;

const FORMAT_PCM: u16 = 1;
const FORMAT_MULAW: u16 = 7;
const FORMAT_EXTENSIBLE: u16 = 0xFFFE;

/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 16-bit little-endian linear samples.
    Pcm16,
    /// G.711 mu-law, one byte a sample.
    MuLaw,
}

impl Encoding {
    /// Bytes that one sample of one channel takes.
    #[must_use]
    pub fn sample_bytes(self) -> usize {
        match self {
            Self::Pcm16 => 2,
            Self::MuLaw => 1,
        }
    }
}

/// A file's sound, mixed down to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Samples a second.
    pub rate: u32,
    /// Channels in the file; `samples` is their mean.
    pub channels: u16,
    /// Linear samples, one for each moment.
    pub samples: Vec<i16>,
}

/// What a file's header says and where its sound lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// How samples are stored.
    pub encoding: Encoding,
    /// Samples a second and channel.
    pub rate: u32,
    /// One or two.
    pub channels: u16,
    /// The sound's bytes within the file, a whole number of samples.
    pub data: Range<usize>,
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// It does not begin with `RIFF` and `WAVE`: bare samples, or another container.
    #[error("find a RIFF/WAVE header")]
    NotWav,
    /// The sound, or the end of the file, comes before a usable `fmt ` chunk.
    #[error("find a complete `fmt ` chunk before the sound")]
    NoFormat,
    /// There is no `data` chunk.
    #[error("find a `data` chunk")]
    NoData,
    /// The format is a valid one that we do not read.
    #[error("read WAV format {format} with {bits} bits in {channels} channels")]
    Unsupported {
        /// The format tag: 1 is PCM, 7 is mu-law.
        format: u16,
        /// Bits a sample.
        bits: u16,
        /// Channels.
        channels: u16,
    },
    /// No sound has this sample rate.
    #[error("believe a sample rate of {0} Hz")]
    Rate(u32),
}

/// Reads a whole file.
///
/// # Errors
/// If the header is missing, broken, or of a format that is not read; the reason says which.
pub fn read(file: &[u8]) -> Result<Wav, Error> {
    let layout = layout(file)?;
    let interleaved = &file[layout.data];
    let samples = match (layout.encoding, layout.channels) {
        (Encoding::Pcm16, 1) => pcm16(interleaved).collect(),
        (Encoding::Pcm16, _) => mixed_down(pcm16(interleaved)),
        (Encoding::MuLaw, 1) => mulaw::decoded(interleaved),
        (Encoding::MuLaw, _) => mixed_down(interleaved.iter().map(|&code| mulaw::decode(code))),
    };
    Ok(Wav { rate: layout.rate, channels: layout.channels, samples })
}

/// Reads a file's header only.
///
/// # Errors
/// As [`read`].
pub fn layout(file: &[u8]) -> Result<Layout, Error> {
    if file.len() < 12 || &file[..4] != b"RIFF" || &file[8..12] != b"WAVE" {
        return Err(Error::NotWav);
    }
    let mut format: Option<(Encoding, u32, u16)> = None;
    let mut at = 12;
    while let Some((id, size)) = chunk_header(file, at) {
        let body = at + 8;
        if &id == b"data" {
            let (encoding, rate, channels) = format.ok_or(Error::NoFormat)?;
            let data = sound(file, body, size);
            let whole = data.len() - data.len() % (encoding.sample_bytes() * usize::from(channels));
            return Ok(Layout { encoding, rate, channels, data: data.start..data.start + whole });
        }
        let end = body.saturating_add(size).min(file.len());
        if &id == b"fmt " {
            format = Some(parse_format(&file[body..end])?);
        }
        // Chunks begin at even offsets; an odd one is followed by a byte of padding.
        at = body.saturating_add(size).saturating_add(size % 2);
    }
    Err(if format.is_none() { Error::NoFormat } else { Error::NoData })
}

/// A header for sound of a known or still unknown length. Its own length depends on the encoding alone, so that the
/// header written first with [`Header::streamed`] can later be overwritten by [`Header::with_data`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How samples are stored.
    pub encoding: Encoding,
    /// Samples a second and channel.
    pub rate: u32,
    /// One or two; a recording has the caller on the left and the agent on the right.
    pub channels: u16,
}

impl Header {
    /// The header's length in bytes: the offset at which the sound begins.
    #[must_use]
    pub fn size(self) -> usize {
        match self.encoding {
            Encoding::Pcm16 => 44,
            // Formats other than PCM carry an (empty) extension and a `fact` chunk.
            Encoding::MuLaw => 58,
        }
    }

    /// The header of a file whose sound is still being written: readers take all that follows.
    #[must_use]
    pub fn streamed(self) -> Vec<u8> {
        self.bytes(u32::MAX, u32::MAX)
    }

    /// The header of a file with `data_bytes` of sound. An odd number must be followed by one byte of padding.
    /// A WAV file cannot say more than 4 GiB; longer sound gets the header of a streamed file.
    #[must_use]
    pub fn with_data(self, data_bytes: u64) -> Vec<u8> {
        let padded = data_bytes.saturating_add(data_bytes % 2);
        let around = (self.size() - 8) as u64;
        match (u32::try_from(data_bytes), u32::try_from(padded.saturating_add(around))) {
            (Ok(data), Ok(riff)) => self.bytes(riff, data),
            (Err(_), _) | (_, Err(_)) => self.streamed(),
        }
    }

    fn bytes(self, riff_bytes: u32, data_bytes: u32) -> Vec<u8> {
        let (format, format_bytes): (u16, u32) = match self.encoding {
            Encoding::Pcm16 => (FORMAT_PCM, 16),
            Encoding::MuLaw => (FORMAT_MULAW, 18),
        };
        let sample_bytes: u16 = match self.encoding {
            Encoding::Pcm16 => 2,
            Encoding::MuLaw => 1,
        };
        let block_bytes = sample_bytes * self.channels;
        let mut bytes = Vec::with_capacity(self.size());
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&riff_bytes.to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt ");
        bytes.extend_from_slice(&format_bytes.to_le_bytes());
        bytes.extend_from_slice(&format.to_le_bytes());
        bytes.extend_from_slice(&self.channels.to_le_bytes());
        bytes.extend_from_slice(&self.rate.to_le_bytes());
        bytes.extend_from_slice(&(self.rate * u32::from(block_bytes)).to_le_bytes());
        bytes.extend_from_slice(&block_bytes.to_le_bytes());
        bytes.extend_from_slice(&(sample_bytes * 8).to_le_bytes());
        if self.encoding == Encoding::MuLaw {
            bytes.extend_from_slice(&0_u16.to_le_bytes());
            bytes.extend_from_slice(b"fact");
            bytes.extend_from_slice(&4_u32.to_le_bytes());
            bytes.extend_from_slice(&(data_bytes / u32::from(block_bytes.max(1))).to_le_bytes());
        }
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&data_bytes.to_le_bytes());
        bytes
    }
}

/// A whole file of 16-bit linear samples in one channel.
#[must_use]
pub fn write_pcm16(rate: u32, samples: &[i16]) -> Vec<u8> {
    let header = Header { encoding: Encoding::Pcm16, rate, channels: 1 };
    let mut file = header.with_data(samples.len() as u64 * 2);
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// A whole file of mu-law in one channel, or two if `codes` is interleaved.
#[must_use]
pub fn write_mulaw(rate: u32, channels: u16, codes: &[u8]) -> Vec<u8> {
    let header = Header { encoding: Encoding::MuLaw, rate, channels };
    let mut file = header.with_data(codes.len() as u64);
    file.extend_from_slice(codes);
    if codes.len() % 2 == 1 {
        file.push(0);
    }
    file
}

fn chunk_header(file: &[u8], at: usize) -> Option<([u8; 4], usize)> {
    let header = file.get(at..at.checked_add(8)?)?;
    let (id, size) = header.split_first_chunk::<4>()?;
    let size = u32::from_le_bytes(*size.first_chunk::<4>()?);
    Some((*id, usize::try_from(size).unwrap_or(usize::MAX)))
}

/// Where the sound lies, whatever a streaming writer left in its size field.
fn sound(file: &[u8], body: usize, size: usize) -> Range<usize> {
    let there = file.len() - body;
    // Zero means "not known yet", unless what follows is another chunk: then there is no sound.
    let unknown = size == 0 && !ends_with_chunks(file, body);
    let length = if unknown { there } else { size.min(there) };
    body..body + length
}

/// Whether everything from `at` to the end of the file is a sequence of named chunks.
fn ends_with_chunks(file: &[u8], mut at: usize) -> bool {
    while let Some((id, size)) = chunk_header(file, at) {
        if !id.iter().all(u8::is_ascii_graphic) {
            return false;
        }
        at = at.saturating_add(8).saturating_add(size).saturating_add(size % 2);
    }
    at == file.len() || at == file.len() + 1
}

fn parse_format(chunk: &[u8]) -> Result<(Encoding, u32, u16), Error> {
    let word = |at: usize| chunk.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let (Some(tag), Some(channels), Some(rate_low), Some(rate_high), Some(bits)) =
        (word(0), word(2), word(4), word(6), word(14))
    else {
        return Err(Error::NoFormat);
    };
    let rate = u32::from(rate_low) | u32::from(rate_high) << 16;
    // An extensible header keeps the real tag in the first two bytes of its sub-format.
    let format = if tag == FORMAT_EXTENSIBLE { word(24).ok_or(Error::NoFormat)? } else { tag };
    if !(1..=RATE_MAX).contains(&rate) {
        return Err(Error::Rate(rate));
    }
    match (format, bits, channels) {
        (FORMAT_PCM, 16, 1 | 2) => Ok((Encoding::Pcm16, rate, channels)),
        (FORMAT_MULAW, 8, 1 | 2) => Ok((Encoding::MuLaw, rate, channels)),
        _ => Err(Error::Unsupported { format, bits, channels }),
    }
}

fn pcm16(bytes: &[u8]) -> impl Iterator<Item = i16> {
    bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair))
}

fn mixed_down(interleaved: impl Iterator<Item = i16>) -> Vec<i16> {
    let mut samples = interleaved;
    let mut mixed = Vec::new();
    while let (Some(left), Some(right)) = (samples.next(), samples.next()) {
        mixed.push(left.midpoint(right));
    }
    mixed
}

#[cfg(test)]
mod tests;
