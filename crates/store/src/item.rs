//! Between our types and DynamoDB's attributes.
//!
//! A type is stored as its JSON: each field an attribute, none for null. Every item carries the version of its format in
//! `v`; an item of a later version than ours is refused rather than misread. Attributes that we do not know are kept when
//! an item is rewritten, so that two versions of the program can work side by side.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::clock::Moment;
use crate::error::StoreError;
use crate::keys::Key;

/// The version of the formats written here.
pub(crate) const VERSION: u64 = 1;

/// The attribute by which DynamoDB deletes what has expired: Unix seconds.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// The attributes of an item.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// An item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Item(pub(crate) Attributes);

impl Item {
    /// An item with its keys and its version.
    pub(crate) fn new(key: &Key) -> Self {
        Self::default().text("pk", &key.pk).text("sk", &key.sk).number("v", VERSION)
    }

    /// With a text.
    pub(crate) fn text(mut self, name: &str, text: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::S(text.into()));
        self
    }

    /// With a number.
    pub(crate) fn number(mut self, name: &str, number: u64) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::N(number.to_string()));
        self
    }

    /// With a number that may be negative.
    pub(crate) fn signed(mut self, name: &str, number: i64) -> Self {
        self.0.insert(name.to_owned(), AttributeValue::N(number.to_string()));
        self
    }

    /// With the moment after which it is as good as deleted.
    pub(crate) fn expiring(self, at: Moment) -> Self {
        self.number(EXPIRES_AT, at.as_s_rounded_up())
    }

    /// With a text, or without it.
    pub(crate) fn maybe_text(mut self, name: &str, text: Option<String>) -> Self {
        self.0.remove(name);
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// With all fields of a type.
    pub(crate) fn fields<T: Serialize>(mut self, fields: &T) -> Result<Self, StoreError> {
        let what = self.name();
        let value = serde_json::to_value(fields).map_err(|error| StoreError::corrupt(&what, error))?;
        let Value::Object(fields) = value else {
            return Err(StoreError::corrupt(what, "only a type with fields can be an item"));
        };
        for (name, value) in fields {
            if value.is_null() {
                self.0.remove(&name);
            } else {
                self.0.insert(name, attribute(value));
            }
        }
        Ok(self)
    }

    /// Reads the fields of a type.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        let version = self.number_of("v")?;
        if version > VERSION {
            let why = format!("it has format {version}, and this program knows {VERSION}");
            return Err(StoreError::corrupt(self.name(), why));
        }
        let fields = self.0.iter().map(|(name, value)| Ok((name.clone(), json(value)?)));
        let fields: Map<String, Value> =
            fields.collect::<Result<_, &'static str>>().map_err(|why| StoreError::corrupt(self.name(), why))?;
        serde_json::from_value(Value::Object(fields)).map_err(|error| StoreError::corrupt(self.name(), error))
    }

    /// All of it, as a person can read it; what is stored as a text of JSON, as JSON.
    pub(crate) fn as_json(&self) -> Result<Value, StoreError> {
        let fields = self.0.iter().filter(|(name, _)| *name != "pk" && *name != "sk").map(|(name, value)| {
            let value = json(value)?;
            let inner = value.as_str().filter(|text| text.starts_with(['[', '{'])).map(serde_json::from_str::<Value>);
            Ok((name.clone(), inner.and_then(Result::ok).unwrap_or(value)))
        });
        let fields = fields.collect::<Result<Map<String, Value>, &'static str>>();
        fields.map(Value::Object).map_err(|why| StoreError::corrupt(self.name(), why))
    }

    /// The text of this name.
    pub(crate) fn text_of(&self, name: &str) -> Result<&str, StoreError> {
        let text = self.0.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
        text.ok_or_else(|| StoreError::corrupt(self.name(), format!("`{name}` is missing")))
    }

    /// The number of this name.
    pub(crate) fn number_of(&self, name: &str) -> Result<u64, StoreError> {
        let number = self.0.get(name).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
        number.ok_or_else(|| StoreError::corrupt(self.name(), format!("`{name}` is missing")))
    }

    /// Whether its time is over, whatever DynamoDB has not deleted yet.
    pub(crate) fn has_expired(&self, now: Moment) -> bool {
        self.number_of(EXPIRES_AT).is_ok_and(|at| at.saturating_mul(1_000) <= now.as_ms())
    }

    /// What to call it in an error: its keys. (None of them holds a phone number; the index `phone` is no key of an item.)
    fn name(&self) -> String {
        let part = |name| self.0.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
        format!("{} / {}", part("pk"), part("sk"))
    }
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(value) => AttributeValue::N(value.to_string()),
        Value::String(value) => AttributeValue::S(value),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.into_iter().map(|(name, value)| (name, attribute(value))).collect())
        }
    }
}

fn json(attribute: &AttributeValue) -> Result<Value, &'static str> {
    if let AttributeValue::S(text) = attribute {
        return Ok(Value::String(text.clone()));
    }
    if let AttributeValue::N(number) = attribute {
        let whole = number.parse::<u64>().map(Number::from).or_else(|_| number.parse::<i64>().map(Number::from)).ok();
        let number = whole.or_else(|| number.parse().ok().and_then(Number::from_f64));
        return number.map(Value::Number).ok_or("a number is none");
    }
    if let AttributeValue::Bool(value) = attribute {
        return Ok(Value::Bool(*value));
    }
    if let AttributeValue::Null(_) = attribute {
        return Ok(Value::Null);
    }
    if let AttributeValue::L(values) = attribute {
        return values.iter().map(json).collect::<Result<_, _>>().map(Value::Array);
    }
    if let AttributeValue::M(fields) = attribute {
        let fields = fields.iter().map(|(name, value)| Ok((name.clone(), json(value)?)));
        return fields.collect::<Result<_, _>>().map(Value::Object);
    }
    Err("it has an attribute of a kind that is never written")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        text: String,
        number: u64,
        ratio: f64,
        flag: bool,
        none: Option<String>,
        list: Vec<Option<i32>>,
        map: std::collections::BTreeMap<u32, String>,
    }

    fn thing() -> Thing {
        Thing {
            text: String::new(),
            number: u64::MAX,
            ratio: 0.25,
            flag: true,
            none: None,
            list: vec![Some(-1), None],
            map: [(3, "c".to_owned())].into(),
        }
    }

    #[test]
    fn a_type_survives_its_attributes() {
        let item = Item::new(&Key::new("P", "S")).fields(&thing()).unwrap();
        assert!(!item.0.contains_key("none"));
        assert_eq!(item.read::<Thing>().unwrap(), thing());
    }

    #[test]
    fn a_later_format_is_refused() {
        let item = Item::new(&Key::new("P", "S")).fields(&thing()).unwrap().number("v", VERSION + 1);
        assert!(matches!(item.read::<Thing>(), Err(StoreError::Corrupt { what, .. }) if what == "P / S"));
    }

    #[test]
    fn an_item_expires_to_the_second_and_not_before() {
        let item = Item::new(&Key::new("P", "S")).expiring(Moment::from_ms(1_500));
        assert!(!item.has_expired(Moment::from_ms(1_999)));
        assert!(item.has_expired(Moment::from_ms(2_000)));
        assert!(!Item::new(&Key::new("P", "S")).has_expired(Moment::from_ms(u64::MAX)));
    }
}
