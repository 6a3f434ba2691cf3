//! The messages Twilio sends on a stream, for the simulated Twilio.
//!
//! [`Phone`] keeps the two counters that Twilio keeps, so that sequence and chunk numbers are right by construction:
//! one sequence over everything from `start` on, one chunk count over the audio of a track. Counters and timestamps are strings
//! of digits, as on the real wire. The order of messages is the caller's to keep.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::outbound::write_json_string;
use crate::twilio::sid::{AccountSid, CallSid, StreamSid};
use crate::twilio::twiml::read::Track;

/// Twilio's end of a stream. Every method appends one message to `out`. A two-way stream carries the inbound track alone.
#[derive(Debug, Clone)]
pub struct Phone {
    stream_sid: StreamSid,
    account_sid: AccountSid,
    call_sid: CallSid,
    sequence_number: u64,
    chunk: u64,
    outbound_chunk: u64,
}

impl Phone {
    /// A stream that has sent nothing yet.
    pub fn new(stream_sid: StreamSid, account_sid: AccountSid, call_sid: CallSid) -> Self {
        Self { stream_sid, account_sid, call_sid, sequence_number: 0, chunk: 0, outbound_chunk: 0 }
    }

    /// The stream.
    pub fn stream_sid(&self) -> &StreamSid {
        &self.stream_sid
    }

    /// The first message, which carries neither a number nor the stream.
    pub fn connected(&self, out: &mut String) {
        out.push_str(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
    }

    /// The second message of a two-way stream.
    pub fn start(&mut self, custom_parameters: &BTreeMap<String, String>, out: &mut String) {
        self.start_of(&[Track::Inbound], custom_parameters, out);
    }

    /// The second message, of a stream with these tracks.
    pub fn start_of(&mut self, tracks: &[Track], custom_parameters: &BTreeMap<String, String>, out: &mut String) {
        self.head("start", out);
        let tracks: Vec<String> = tracks.iter().map(|track| format!("\"{}\"", track.as_str())).collect();
        put(
            out,
            format_args!(
                r#","start":{{"accountSid":"{}","streamSid":"{}","callSid":"{}","tracks":[{}],"#,
                self.account_sid,
                self.stream_sid,
                self.call_sid,
                tracks.join(",")
            ),
        );
        out.push_str(r#""mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"#);
        out.push_str(r#""customParameters":{"#);
        for (at, (name, value)) in custom_parameters.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_json_string(name, out);
            out.push(':');
            write_json_string(value, out);
        }
        out.push_str("}}");
        self.tail(out);
    }

    /// Caller audio as mu-law bytes, `timestamp_ms` after the start of the stream.
    pub fn media(&mut self, timestamp_ms: u64, payload: &[u8], out: &mut String) {
        self.media_of(Track::Inbound, timestamp_ms, payload, out);
    }

    /// Audio of one track as mu-law bytes, `timestamp_ms` after the start of the stream.
    pub fn media_of(&mut self, track: Track, timestamp_ms: u64, payload: &[u8], out: &mut String) {
        let chunk = match track {
            Track::Inbound => &mut self.chunk,
            Track::Outbound => &mut self.outbound_chunk,
        };
        *chunk += 1;
        let (chunk, track) = (*chunk, track.as_str());
        self.head("media", out);
        put(out, format_args!(r#","media":{{"track":"{track}","chunk":"{chunk}","timestamp":"{timestamp_ms}""#));
        out.push_str(r#","payload":""#);
        STANDARD.encode_string(payload, out);
        out.push_str("\"}");
        self.tail(out);
    }

    /// Counts a chunk that Twilio recorded and then dropped under congestion: its number is never sent.
    pub fn drop_media(&mut self) {
        self.chunk += 1;
    }

    /// A pressed key. On this event the track is spelled with `_track`.
    pub fn dtmf(&mut self, digit: char, out: &mut String) {
        self.head("dtmf", out);
        out.push_str(r#","dtmf":{"track":"inbound_track","digit":"#);
        write_json_string(digit.encode_utf8(&mut [0; 4]), out);
        out.push('}');
        self.tail(out);
    }

    /// A mark that comes back.
    pub fn mark(&mut self, name: &str, out: &mut String) {
        self.head("mark", out);
        out.push_str(r#","mark":{"name":"#);
        write_json_string(name, out);
        out.push('}');
        self.tail(out);
    }

    /// The last message.
    pub fn stop(&mut self, out: &mut String) {
        self.head("stop", out);
        put(out, format_args!(r#","stop":{{"accountSid":"{}","callSid":"{}"}}"#, self.account_sid, self.call_sid));
        self.tail(out);
    }

    fn head(&mut self, event: &str, out: &mut String) {
        self.sequence_number += 1;
        put(out, format_args!(r#"{{"event":"{event}","sequenceNumber":"{}""#, self.sequence_number));
    }

    fn tail(&self, out: &mut String) {
        put(out, format_args!(r#","streamSid":"{}"}}"#, self.stream_sid));
    }
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("invariant: writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_reads_as_documented_from_first_to_last_message() {
        let mut phone = Phone::new(StreamSid::from_number(1), AccountSid::from_number(2), CallSid::from_number(3));
        let mut lines = Vec::new();
        let mut line = |write: &mut dyn FnMut(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            serde_json::from_str::<serde_json::Value>(&out).unwrap();
            lines.push(out);
        };
        line(&mut |out| phone.connected(out));
        line(&mut |out| phone.start(&BTreeMap::from([("token".into(), "a\"b".into())]), out));
        line(&mut |out| phone.media(0, &[0xff; 3], out));
        line(&mut |out| {
            phone.drop_media();
            phone.media(40, &[0xff; 3], out);
        });
        line(&mut |out| phone.dtmf('#', out));
        line(&mut |out| phone.mark("1:1", out));
        line(&mut |out| phone.stop(out));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
