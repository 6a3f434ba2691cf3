//! A small tree of elements, as much XML as TwiML needs.
//!
//! Stricter than the tokenizer underneath: one root, nothing but space around it, no document type (whose entities
//! could grow without bound), no name that is none, no character that XML forbids. Depth is bounded because the
//! deepest TwiML is four levels.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::super::write::is_xml_character;

/// Deeper than any TwiML, shallow enough for any stack.
const DEPTH_MAX: usize = 32;

/// An element, its attributes in order, and what is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) content: Vec<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Element(Element),
    Text(String),
}

impl Element {
    pub(super) fn children(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    /// Whether there is text directly inside that is more than space.
    pub(super) fn has_text(&self) -> bool {
        self.content.iter().any(|content| match content {
            Content::Element(_) => false,
            Content::Text(text) => !text.trim().is_empty(),
        })
    }

    /// The text inside, through all children.
    pub(super) fn all_text(&self) -> String {
        let mut text = String::new();
        self.collect_text(&mut text);
        text
    }

    fn collect_text(&self, text: &mut String) {
        for content in &self.content {
            match content {
                Content::Element(element) => element.collect_text(text),
                Content::Text(part) => text.push_str(part),
            }
        }
    }
}

/// Reads the one element of a document, or says in a few words why it is none.
pub(super) fn parse(document: &str) -> Result<Element, String> {
    if document.starts_with('\u{feff}') {
        return Err("a byte order mark before the document".into());
    }
    if !document.chars().all(is_xml_character) {
        return Err("a character that XML does not allow".into());
    }
    let mut reader = Reader::from_str(document);
    reader.config_mut().check_comments = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(format!("elements nested more than {DEPTH_MAX} deep"));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => place(element(&start)?, &mut open, &mut root)?,
            Event::End(_) => {
                // The tokenizer has matched the names; without an open element it reports the end itself.
                let element = open.pop().ok_or("an end without a start")?;
                place(element, &mut open, &mut root)?;
            }
            Event::Text(text) => {
                let text = text.xml10_content().map_err(|error| error.to_string())?;
                if text.contains("]]>") {
                    return Err("]]> in text".into());
                }
                put_text(&text, &mut open)?;
            }
            Event::CData(text) => {
                put_data(&text.xml10_content().map_err(|error| error.to_string())?, &mut open)?;
            }
            Event::GeneralRef(reference) => put_data(&resolve(&reference)?, &mut open)?,
            Event::Decl(declaration) => {
                if !first {
                    return Err("something before the declaration".into());
                }
                declaration.version().map_err(|error| error.to_string())?;
            }
            Event::DocType(_) => return Err("a document type".into()),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
        first = false;
    }
    if let Some(element) = open.last() {
        return Err(format!("{} is not closed", element.name));
    }
    root.ok_or_else(|| "no element".into())
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = name(start.name().as_ref())?;
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.value.contains(&b'<') {
            return Err("< in an attribute".into());
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        if !value.chars().all(is_xml_character) {
            return Err("a reference to a character that XML does not allow".into());
        }
        attributes.push((self::name(attribute.key.as_ref())?, value.into_owned()));
    }
    Ok(Element { name, attributes, content: Vec::new() })
}

fn name(bytes: &[u8]) -> Result<String, String> {
    let name = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let starts = |character: char| character.is_alphabetic() || character == '_' || character == ':';
    let continues = |character: char| starts(character) || character.is_numeric() || matches!(character, '-' | '.');
    if name.starts_with(starts) && name.chars().all(continues) {
        Ok(name.to_owned())
    } else {
        Err(format!("{name:?} is not a name"))
    }
}

fn place(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), String> {
    if let Some(parent) = open.last_mut() {
        parent.content.push(Content::Element(element));
    } else if root.replace(element).is_some() {
        return Err("more than one element at the top".into());
    }
    Ok(())
}

fn put_text(text: &str, open: &mut [Element]) -> Result<(), String> {
    if open.is_empty() && text.trim().is_empty() {
        return Ok(());
    }
    put_data(text, open)
}

fn put_data(text: &str, open: &mut [Element]) -> Result<(), String> {
    let parent = open.last_mut().ok_or("text outside the document's element")?;
    match parent.content.last_mut() {
        Some(Content::Text(before)) => before.push_str(text),
        Some(Content::Element(_)) | None => parent.content.push(Content::Text(text.to_owned())),
    }
    Ok(())
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        if is_xml_character(character) {
            return Ok(character.to_string());
        }
        return Err("a reference to a character that XML does not allow".into());
    }
    let name = reference.decode().map_err(|error| error.to_string())?;
    let text = match &*name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(format!("an unknown entity {name:?}")),
    };
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_run_together_and_references_resolved() {
        let root =
            parse("<?xml version=\"1.0\"?><!-- c --><a b='x &amp; &#233;'>1 &lt; 2<![CDATA[<&>]]><c/>&#x41;</a>\n")
                .unwrap();
        assert_eq!(root.attributes, [("b".to_owned(), "x & é".to_owned())]);
        assert_eq!(root.all_text(), "1 < 2<&>A");
        assert_eq!(root.children().count(), 1);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let deep = "<a>".repeat(100);
        for document in [
            "",
            " ",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>text",
            "<a b='1' b='2'/>",
            "<a b=1/>",
            "<a b/>",
            "<a>&nbsp;</a>",
            "<a>&</a>",
            "<a b='&'/>",
            "<a b='<'/>",
            "<a>]]></a>",
            "<a>&#0;</a>",
            "<a>&#xffff;</a>",
            "<a b='&#1;'/>",
            "<a>\u{1}</a>",
            "\u{feff}<a/>",
            " <?xml version=\"1.0\"?><a/>",
            "<!DOCTYPE a><a/>",
            "<1a/>",
            "<a 1='2'/>",
            "<a><!-- -- --></a>",
            "<a",
            "<![CDATA[x]]>",
            "&amp;<a/>",
            &deep,
        ] {
            assert!(parse(document).is_err(), "{document}");
        }
    }
}
