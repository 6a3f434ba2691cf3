//! Writing a document: by template, with attributes in a fixed order, so that equal documents are equal text.

use std::time::Duration;

use super::{Connect, Dial, Method, RejectReason, Response, Say, Verb, Webhook};

/// Twilio wants it at byte 0.
const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

impl Response {
    /// The document. Its size is the caller's to check, with [`super::check_size`], if a part of it is unbounded.
    pub fn to_xml(&self) -> String {
        let mut xml = Xml(String::from(DECLARATION));
        if self.verbs.is_empty() {
            xml.0.push_str("<Response/>");
            return xml.0;
        }
        xml.open("Response");
        xml.inside();
        for verb in &self.verbs {
            write_verb(&mut xml, verb);
        }
        xml.close("Response");
        xml.0
    }
}

fn write_verb(xml: &mut Xml, verb: &Verb) {
    match verb {
        Verb::Connect(connect) => write_connect(xml, connect),
        Verb::Say(Say { text, voice, language }) => {
            xml.open("Say");
            xml.some_attribute("voice", voice.as_deref());
            xml.some_attribute("language", language.as_deref());
            xml.text_and_close("Say", text);
        }
        Verb::Play { url } => {
            xml.open("Play");
            xml.text_and_close("Play", url);
        }
        Verb::Pause { length } => {
            xml.open("Pause");
            xml.attribute("length", &whole_seconds(*length));
            xml.empty();
        }
        Verb::Redirect(webhook) => {
            xml.open("Redirect");
            xml.method("method", webhook.method);
            xml.text_and_close("Redirect", &webhook.url);
        }
        Verb::Dial(dial) => write_dial(xml, dial),
        Verb::Hangup => {
            xml.open("Hangup");
            xml.empty();
        }
        Verb::Reject(reason) => {
            xml.open("Reject");
            match reason {
                RejectReason::Rejected => {}
                RejectReason::Busy => xml.attribute("reason", reason.as_str()),
            }
            xml.empty();
        }
    }
}

fn write_connect(xml: &mut Xml, connect: &Connect) {
    let stream = &connect.stream;
    xml.open("Connect");
    xml.webhook("action", "method", connect.action.as_ref());
    xml.inside();
    xml.open("Stream");
    xml.attribute("url", &stream.url);
    xml.some_attribute("name", stream.name.as_deref());
    xml.webhook("statusCallback", "statusCallbackMethod", stream.status_callback.as_ref());
    if stream.parameters.is_empty() {
        xml.empty();
    } else {
        xml.inside();
        for (name, value) in &stream.parameters {
            xml.open("Parameter");
            xml.attribute("name", name);
            xml.attribute("value", value);
            xml.empty();
        }
        xml.close("Stream");
    }
    xml.close("Connect");
}

fn write_dial(xml: &mut Xml, dial: &Dial) {
    xml.open("Dial");
    xml.webhook("action", "method", dial.action.as_ref());
    xml.some_attribute("callerId", dial.caller_id.as_ref().map(|number| number.as_str()));
    if let Some(timeout) = dial.timeout {
        xml.attribute("timeout", &whole_seconds(timeout));
    }
    if let Some(limit) = dial.time_limit {
        xml.attribute("timeLimit", &whole_seconds(limit));
    }
    xml.inside();
    xml.open("Number");
    xml.text_and_close("Number", &dial.number);
    xml.close("Dial");
}

fn whole_seconds(length: Duration) -> String {
    length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0)).to_string()
}

/// Text that grows element by element: `open`, attributes, then one of `empty`, `inside` or `text_and_close`.
struct Xml(String);

impl Xml {
    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.0.push(' ');
        self.0.push_str(name);
        self.0.push_str("=\"");
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                // Left alone, these three would be read as spaces.
                '\t' => self.0.push_str("&#9;"),
                '\n' => self.0.push_str("&#10;"),
                '\r' => self.0.push_str("&#13;"),
                _ => self.character(character),
            }
        }
        self.0.push('"');
    }

    fn some_attribute(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.attribute(name, value);
        }
    }

    /// The default is not written: everything that is written is something that can be wrong.
    fn method(&mut self, name: &str, method: Method) {
        match method {
            Method::Post => {}
            Method::Get => self.attribute(name, method.as_str()),
        }
    }

    fn webhook(&mut self, url: &str, method: &str, webhook: Option<&Webhook>) {
        if let Some(webhook) = webhook {
            self.attribute(url, &webhook.url);
            self.method(method, webhook.method);
        }
    }

    fn empty(&mut self) {
        self.0.push_str("/>");
    }

    fn inside(&mut self) {
        self.0.push('>');
    }

    fn text_and_close(&mut self, name: &str, text: &str) {
        self.inside();
        for character in text.chars() {
            match character {
                // Left alone, it would be read as a line feed.
                '\r' => self.0.push_str("&#13;"),
                _ => self.character(character),
            }
        }
        self.close(name);
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    fn character(&mut self, character: char) {
        match character {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            _ if is_xml_character(character) => self.0.push(character),
            // Dropped: not even a character reference may stand for it.
            _ => {}
        }
    }
}

/// XML 1.0, section 2.2.
pub(super) fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::super::Stream;
    use super::*;

    fn connect() -> Verb {
        Verb::Connect(Connect {
            action: Some(Webhook::post("https://api.example.com/twilio/voice/next?call=call_1&epoch=1#rc=2")),
            stream: Stream {
                url: "wss://media.example.com/media-stream/node-a".into(),
                name: None,
                status_callback: Some(Webhook::post("https://api.example.com/twilio/stream?call=call_1")),
                parameters: vec![("call".into(), "call_1".into()), ("token".into(), "OPAQUE".into())],
            },
        })
    }

    #[test]
    fn an_inbound_call_is_connected() {
        insta::assert_snapshot!(Response::from([connect()]).to_xml());
    }

    #[test]
    fn the_next_step_hang_up() {
        insta::assert_snapshot!(Response::from([Verb::Hangup]).to_xml());
    }

    #[test]
    fn the_next_step_transfer() {
        let dial = Verb::Dial(Dial {
            number: "+12025550123".into(),
            caller_id: Some("+12025550100".into()),
            action: Some(Webhook::post("https://api.example.com/twilio/voice/next?call=call_1&epoch=1")),
            timeout: Some(Duration::from_secs(20)),
            time_limit: Some(Duration::from_secs(1_200)),
        });
        insta::assert_snapshot!(Response::from([dial]).to_xml());
    }

    #[test]
    fn the_next_step_apologise() {
        let say = Say {
            text: "I'm sorry, <something> went wrong & I can't go on.".into(),
            voice: Some("Polly.Joanna".into()),
            language: Some("en-US".into()),
        };
        insta::assert_snapshot!(Response::from([Verb::Say(say), Verb::Hangup]).to_xml());
    }

    #[test]
    fn a_rejected_call() {
        insta::assert_snapshot!(Response::from([Verb::Reject(RejectReason::Busy)]).to_xml());
        assert!(
            Response::from([Verb::Reject(RejectReason::Rejected)]).to_xml().ends_with("<Response><Reject/></Response>")
        );
    }

    #[test]
    fn the_fallback_speaks_one_sentence_and_tries_once_more() {
        let response = Response::new()
            .then(Verb::Say(Say::new("One moment, please.")))
            .then(Verb::Pause { length: Duration::from_millis(1_200) })
            .then(Verb::Redirect(Webhook::post("https://api.example.com/twilio/voice?retry=1&x=y")))
            .then(Verb::Hangup);
        insta::assert_snapshot!(response.to_xml());
    }

    #[test]
    fn an_empty_response() {
        insta::assert_snapshot!(Response::new().to_xml());
    }

    #[test]
    fn a_file_is_played_and_a_get_is_said_to_be_one() {
        let response = Response::new()
            .then(Verb::Play { url: "https://api.example.com/lines/en/sorry.wav?a=1&b=2".into() })
            .then(Verb::Redirect(Webhook::get("https://api.example.com/v")));
        insta::assert_snapshot!(response.to_xml());
    }

    #[test]
    fn no_text_breaks_out_of_its_element() {
        let hostile = "</Say><Hangup/>&lt;]]>\u{0}\u{8}\u{ffff}\u{fffe}\r\n\té😀";
        let xml = Response::from([Verb::Say(Say::new(hostile))]).to_xml();
        assert!(xml.ends_with("<Say>&lt;/Say&gt;&lt;Hangup/&gt;&amp;lt;]]&gt;&#13;\n\té😀</Say></Response>"), "{xml}");
    }

    #[test]
    fn no_attribute_breaks_out_of_its_quotes() {
        let say = Say { text: String::new(), voice: Some("\" x='1'\n\r\t<>&\u{1}".into()), language: None };
        let xml = Response::from([Verb::Say(say)]).to_xml();
        assert!(xml.contains(r#"<Say voice="&quot; x=&apos;1&apos;&#10;&#13;&#9;&lt;&gt;&amp;"></Say>"#), "{xml}");
    }
}
