use super::*;
use proptest::prelude::*;

const MONO_24K: Header = Header { encoding: Encoding::Pcm16, rate: 24_000, channels: 1 };

fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(body);
    if body.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"WAVE".to_vec();
    body.extend(chunks.concat());
    chunk(b"RIFF", &body)
}

fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut body = Vec::new();
    body.extend_from_slice(&tag.to_le_bytes());
    body.extend_from_slice(&channels.to_le_bytes());
    body.extend_from_slice(&rate.to_le_bytes());
    body.extend_from_slice(&(rate.wrapping_mul(u32::from(block))).to_le_bytes());
    body.extend_from_slice(&block.to_le_bytes());
    body.extend_from_slice(&bits.to_le_bytes());
    body
}

fn samples_bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

#[test]
fn a_plain_file_of_any_rate_is_read() {
    for rate in [8_000, 16_000, 22_050, 24_000, 44_100, 48_000] {
        let file = write_pcm16(rate, &[1, -2, 300, i16::MIN, i16::MAX]);
        let wav = read(&file).unwrap();
        assert_eq!(wav, Wav { rate, channels: 1, samples: vec![1, -2, 300, i16::MIN, i16::MAX] });
    }
}

#[test]
fn two_channels_are_mixed_down_to_their_mean() {
    let body = samples_bytes(&[100, 200, -100, -300, i16::MAX, i16::MAX, i16::MIN, i16::MIN]);
    let file = riff(&[chunk(b"fmt ", &format(1, 2, 48_000, 16)), chunk(b"data", &body)]);
    let wav = read(&file).unwrap();
    assert_eq!((wav.channels, wav.samples), (2, vec![150, -200, i16::MAX, i16::MIN]));
}

#[test]
fn mulaw_is_read_with_one_and_two_channels() {
    let wav = read(&write_mulaw(8_000, 1, &[0xFF, 0x00, 0x80])).unwrap();
    assert_eq!(wav, Wav { rate: 8_000, channels: 1, samples: vec![0, -32_124, 32_124] });
    let wav = read(&write_mulaw(8_000, 2, &[0x00, 0x80])).unwrap();
    assert_eq!(wav, Wav { rate: 8_000, channels: 2, samples: vec![0] });
}

#[test]
fn an_extensible_header_names_its_real_format_further_on() {
    let mut extensible = format(0xFFFE, 1, 24_000, 16);
    extensible.extend_from_slice(&22_u16.to_le_bytes());
    extensible.extend_from_slice(&16_u16.to_le_bytes());
    extensible.extend_from_slice(&4_u32.to_le_bytes());
    extensible.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    let file = riff(&[chunk(b"fmt ", &extensible), chunk(b"data", &samples_bytes(&[7, 8]))]);
    assert_eq!(read(&file).unwrap().samples, [7, 8]);
    let cut = riff(&[chunk(b"fmt ", &extensible[..18]), chunk(b"data", &samples_bytes(&[7, 8]))]);
    assert_eq!(read(&cut), Err(Error::NoFormat));
}

#[test]
fn other_chunks_before_the_sound_are_skipped_with_their_padding() {
    let file = riff(&[
        chunk(b"LIST", b"INFOISFT\x05\0\0\0abcde"),
        chunk(b"fmt ", &format(1, 1, 22_050, 16)),
        chunk(b"fact", &2_u32.to_le_bytes()),
        chunk(b"odd ", b"xyz"),
        chunk(b"data", &samples_bytes(&[5, 6])),
        chunk(b"LIST", b"after"),
    ]);
    assert_eq!(read(&file).unwrap().samples, [5, 6]);
}

#[test]
fn a_streamed_file_is_read_to_its_end_whatever_its_size_field_says() {
    let samples = samples_bytes(&[1, 2, 3]);
    for size in [0, u32::MAX, u32::MAX - 1, 1_000_000] {
        let mut file = MONO_24K.streamed();
        let at = file.len() - 4;
        file[at..].copy_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&samples);
        assert_eq!(read(&file).unwrap().samples, [1, 2, 3], "size {size}");
    }
}

#[test]
fn an_empty_sound_before_other_chunks_stays_empty() {
    let file = riff(&[chunk(b"fmt ", &format(1, 1, 8_000, 16)), chunk(b"data", &[]), chunk(b"LIST", b"note")]);
    assert_eq!(read(&file).unwrap().samples, [0_i16; 0]);
    assert_eq!(read(&MONO_24K.with_data(0)).unwrap().samples, [0_i16; 0]);
}

#[test]
fn half_a_sample_at_the_end_is_left_out() {
    let mut file = MONO_24K.streamed();
    file.extend_from_slice(&[1, 0, 2, 0, 3]);
    assert_eq!(read(&file).unwrap().samples, [1, 2]);
    let stereo = riff(&[chunk(b"fmt ", &format(1, 2, 8_000, 16)), chunk(b"data", &samples_bytes(&[1, 3, 9]))]);
    assert_eq!(read(&stereo).unwrap().samples, [2]);
}

#[test]
fn what_is_not_a_wav_says_why() {
    let data = chunk(b"data", &[0, 0]);
    assert_eq!(read(b""), Err(Error::NotWav));
    assert_eq!(read(&[0; 320]), Err(Error::NotWav));
    assert_eq!(read(b"ID3\x03\0\0\0\0\0\0\0\0\0\0\0"), Err(Error::NotWav));
    assert_eq!(read(b"RIFF\x04\0\0\0WAVE"), Err(Error::NoFormat));
    assert_eq!(read(&riff(std::slice::from_ref(&data))), Err(Error::NoFormat));
    assert_eq!(read(&riff(&[chunk(b"fmt ", &[1, 0, 1, 0]), data.clone()])), Err(Error::NoFormat));
    assert_eq!(read(&riff(&[chunk(b"fmt ", &format(1, 1, 8_000, 16))])), Err(Error::NoData));
    assert_eq!(read(&riff(&[chunk(b"fmt ", &format(1, 1, 0, 16)), data.clone()])), Err(Error::Rate(0)));
    assert_eq!(read(&riff(&[chunk(b"fmt ", &format(1, 1, 900_000, 16)), data.clone()])), Err(Error::Rate(900_000)));
    for (tag, bits, channels) in [(3, 32, 1), (6, 8, 1), (1, 24, 1), (1, 16, 6), (1, 16, 0), (85, 0, 2)] {
        let file = riff(&[chunk(b"fmt ", &format(tag, channels, 8_000, bits)), data.clone()]);
        assert_eq!(read(&file), Err(Error::Unsupported { format: tag, bits, channels }));
    }
}

#[test]
fn a_header_has_the_bytes_that_players_expect() {
    let header = MONO_24K.with_data(1_000);
    assert_eq!(header.len(), MONO_24K.size());
    assert_eq!(&header[..8], b"RIFF\x0c\x04\0\0");
    assert_eq!(&header[8..24], b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    assert_eq!(&header[24..44], b"\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0data\xe8\x03\0\0");
    let recording = Header { encoding: Encoding::MuLaw, rate: 8_000, channels: 2 };
    let header = recording.with_data(16_000);
    assert_eq!(header.len(), recording.size());
    assert_eq!(&header[16..38], b"\x12\0\0\0\x07\0\x02\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x08\0\0\0");
    assert_eq!(&header[38..58], b"fact\x04\0\0\0\x40\x1f\0\0data\x80\x3e\0\0");
}

#[test]
fn a_header_written_first_can_be_put_right_later() {
    let header = Header { encoding: Encoding::MuLaw, rate: 8_000, channels: 2 };
    let mut file = header.streamed();
    file.extend_from_slice(&[0x11; 320]);
    assert_eq!(layout(&file).unwrap().data, 58..378);
    let right = header.with_data(320);
    file[..right.len()].copy_from_slice(&right);
    assert_eq!(layout(&file).unwrap().data, 58..378);
    assert_eq!(usize::try_from(u32::from_le_bytes(*file[4..].first_chunk().unwrap())).unwrap(), file.len() - 8);
    assert_eq!(header.with_data(u64::MAX), header.streamed());
}

#[test]
fn an_odd_number_of_bytes_is_padded() {
    let file = write_mulaw(8_000, 1, &[1, 2, 3]);
    assert_eq!(file.len() % 2, 0);
    assert_eq!(layout(&file).unwrap().data.len(), 3);
    assert_eq!(usize::try_from(u32::from_le_bytes(*file[4..].first_chunk().unwrap())).unwrap(), file.len() - 8);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let mut file = b"RIFF\xff\xff\xff\xffWAVE".to_vec();
        file.extend_from_slice(&bytes);
        let _ = read(&file);
        file.splice(12..12, chunk(b"fmt ", &format(1, 2, 8_000, 16)));
        let _ = read(&file);
    }

    #[test]
    fn what_is_written_is_read_again(rate in 1_u32..=RATE_MAX, samples in prop::collection::vec(any::<i16>(), 0..500)) {
        prop_assert_eq!(read(&write_pcm16(rate, &samples)), Ok(Wav { rate, channels: 1, samples }));
    }
}
