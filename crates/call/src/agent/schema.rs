//! The JSON Schema of a tool's arguments: whether it is one that we can hold the model to, and whether arguments fit it.
//!
//! Only the keywords that a phone agent's tools need are understood, and every other one is refused when the agent is
//! saved: what a schema says is checked in full or not accepted. A library would bring regular expressions, references and
//! formats, and code that fetches schemas from the network, into a crate that has none of this.
//!
//! Promises: arguments that are let through have the types, members, values and bounds of the schema. Left to the
//! tool: everything that takes knowledge of the world.

use serde_json::{Map, Value};

/// The longest JSON Schema of a tool's arguments, in bytes.
const SCHEMA_BYTES_MAX: usize = 8_192;

/// How deep a schema may be nested: models lose their way long before.
const DEPTH_MAX: usize = 8;

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Keywords that say what a value must be.
const RULES: [&str; 13] = [
    "additionalProperties",
    "const",
    "enum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "type",
];

/// Keywords that the model reads, and nobody checks.
const WORDS: [&str; 6] = ["$schema", "default", "description", "examples", "format", "title"];

const EXAMPLE: &str = r#"as in {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}"#;

/// Whether the text is a JSON Schema of an object that arguments can be held to.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!("has {} bytes; at most {SCHEMA_BYTES_MAX} are allowed", text.len()));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(format!("is not a JSON Schema of an object, {EXAMPLE}"));
    }
    schema.as_object().map_or(Ok(()), |schema| check_schema("", schema, DEPTH_MAX))
}

fn check_schema(place: &str, schema: &Map<String, Value>, depth: usize) -> Result<(), String> {
    if depth == 0 {
        return Err(format!("is nested more than {DEPTH_MAX} deep"));
    }
    let at = if place.is_empty() { String::new() } else { format!(" of `{place}`") };
    for keyword in schema.keys() {
        if !RULES.contains(&keyword.as_str()) && !WORDS.contains(&keyword.as_str()) {
            let known = RULES.join(", ");
            return Err(format!("`{keyword}`{at} is not understood here, so nobody would check it; use {known}"));
        }
    }
    let types = types_of(schema);
    if let Some(wrong) = types.iter().find(|name| !TYPES.contains(name)) {
        return Err(format!("`{wrong}`{at} is not a type; allowed are {}", TYPES.join(", ")));
    }
    if schema.get("type").is_some() && types.is_empty() {
        return Err(format!("`type`{at} is neither a type nor a list of types"));
    }
    for name in ["minLength", "maxLength", "minItems", "maxItems"] {
        if schema.get(name).is_some_and(|bound| bound.as_u64().is_none()) {
            return Err(format!("`{name}`{at} is not a whole number, zero or more"));
        }
    }
    for name in ["minimum", "maximum"] {
        if schema.get(name).is_some_and(|bound| bound.as_f64().is_none()) {
            return Err(format!("`{name}`{at} is not a number"));
        }
    }
    if schema.get("enum").is_some_and(|values| values.as_array().is_none_or(Vec::is_empty)) {
        return Err(format!("`enum`{at} is not a list of values"));
    }
    if schema.get("additionalProperties").is_some_and(|allowed| !allowed.is_boolean()) {
        return Err(format!("`additionalProperties`{at} is neither true nor false"));
    }
    if let Some(items) = schema.get("items") {
        let items = items.as_object().ok_or_else(|| format!("`items`{at} is not a schema"))?;
        check_schema(&format!("{place}[]"), items, depth - 1)?;
    }
    check_members(&at, schema, depth)
}

fn check_members(at: &str, schema: &Map<String, Value>, depth: usize) -> Result<(), String> {
    let empty = Map::new();
    let properties = match schema.get("properties") {
        None => &empty,
        Some(Value::Object(properties)) => properties,
        Some(_) => return Err(format!("`properties`{at} is not an object, {EXAMPLE}")),
    };
    for (name, property) in properties {
        let property =
            property.as_object().ok_or_else(|| format!("property `{name}`{at} is not a schema, {EXAMPLE}"))?;
        check_schema(name, property, depth - 1)?;
    }
    let required = match schema.get("required") {
        None => return Ok(()),
        Some(Value::Array(required)) => required,
        Some(_) => return Err(format!("`required`{at} is not a list of names, {EXAMPLE}")),
    };
    for name in required {
        let Some(name) = name.as_str() else {
            return Err(format!("`required`{at} is not a list of names, {EXAMPLE}"));
        };
        if !properties.contains_key(name) {
            return Err(format!("`required`{at} names `{name}`, which is not among the properties"));
        }
    }
    Ok(())
}

fn types_of(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().map(|name| name.as_str().unwrap_or("?")).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

/// Reads a tool's arguments, as a model wrote them, and holds them to the schema.
///
/// # Errors
///
/// What is wrong first, in words for the model.
pub(crate) fn arguments(schema: &str, text: &str) -> Result<Map<String, Value>, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let value: Value = serde_json::from_str(text).map_err(|_| "the arguments are not JSON".to_owned())?;
    let Value::Object(members) = &value else { return Err("the arguments are not a JSON object".to_owned()) };
    // A schema that cannot be read was never saved; nothing can be held to it.
    let schema: Map<String, Value> = serde_json::from_str(schema).unwrap_or_default();
    fit("the arguments", &schema, &value)?;
    Ok(members.clone())
}

fn fit(what: &str, schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let types = types_of(schema);
    if !types.is_empty() && !types.iter().any(|name| is_a(name, value)) {
        return Err(format!("{what} must be of type {}", types.join(" or ")));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array)
        && !values.contains(value)
    {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        return Err(format!("{what} must be one of {}", values.join(", ")));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{what} must be {}", schema["const"]));
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let within = |length: usize, min: &str, max: &str, unit: &str| {
        let length = length as u64;
        if bound(min).is_some_and(|min| length < min) || bound(max).is_some_and(|max| length > max) {
            let (min, max) = (bound(min).unwrap_or(0), bound(max));
            let max = max.map_or_else(|| "or more".to_owned(), |max| format!("to {max}"));
            return Err(format!("{what} must have {min} {max} {unit}"));
        }
        Ok(())
    };
    match value {
        Value::String(text) => within(text.chars().count(), "minLength", "maxLength", "characters"),
        Value::Number(number) => {
            let (number, limit) = (number.as_f64(), |name: &str| schema.get(name).and_then(Value::as_f64));
            match (number, limit("minimum"), limit("maximum")) {
                (Some(number), Some(min), _) if number < min => Err(format!("{what} must be at least {min}")),
                (Some(number), _, Some(max)) if number > max => Err(format!("{what} must be at most {max}")),
                _ => Ok(()),
            }
        }
        Value::Array(items) => {
            within(items.len(), "minItems", "maxItems", "items")?;
            let Some(schema) = schema.get("items").and_then(Value::as_object) else { return Ok(()) };
            items.iter().enumerate().try_for_each(|(n, item)| fit(&format!("item {} of {what}", n + 1), schema, item))
        }
        Value::Object(members) => fit_members(what, schema, members),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

fn fit_members(what: &str, schema: &Map<String, Value>, members: &Map<String, Value>) -> Result<(), String> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<&str> = required.filter(|name| !members.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(format!("{what} must have `{}`", missing.join("` and `")));
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in members {
        match schema.get("properties").and_then(|properties| properties.get(name)).and_then(Value::as_object) {
            Some(schema) => fit(&format!("`{name}`"), schema, value)?,
            None if closed => return Err(format!("{what} must not have `{name}`")),
            None => {}
        }
    }
    Ok(())
}

fn is_a(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        // A number without a fraction is an integer, however it is written (JSON Schema: validation, 6.1.1).
        Value::Number(number) => {
            name == "number" || name == "integer" && number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"required":["day","people"],"properties":{
        "day":{"type":"string","enum":["Tuesday","Thursday"]},"people":{"type":"integer","minimum":1,"maximum":8},
        "note":{"type":["string","null"],"maxLength":5},"names":{"type":"array","maxItems":2,"items":{"type":"string"}}}}"#;

    #[test]
    fn a_schema_that_nobody_would_check_in_full_is_refused() {
        assert_eq!(check(SCHEMA), Ok(()));
        for (property, expected) in [
            (r#"{"pattern":"a+"}"#, "`pattern` of `a` is not understood"),
            (r##"{"$ref":"#/x"}"##, "`$ref` of `a` is not understood"),
            (r#"{"type":"text"}"#, "`text` of `a` is not a type"),
            (r#"{"type":7}"#, "`type` of `a` is neither"),
            (r#"{"minLength":-1}"#, "`minLength` of `a` is not a whole number"),
            (r#"{"maximum":"9"}"#, "`maximum` of `a` is not a number"),
            (r#"{"enum":[]}"#, "`enum` of `a` is not a list"),
            (r#"{"items":{"type":"object","properties":{"b":{"oneOf":[]}}}}"#, "`oneOf` of `b` is not understood"),
        ] {
            let error = check(&format!(r#"{{"type":"object","properties":{{"a":{property}}}}}"#)).unwrap_err();
            assert!(error.starts_with(expected), "{property}: {error}");
        }
        let deep =
            (0..9).fold("{}".to_owned(), |inner, _| format!(r#"{{"type":"object","properties":{{"a":{inner}}}}}"#));
        assert!(check(&deep).unwrap_err().contains("nested"));
    }

    #[test]
    fn arguments_are_held_to_the_schema_and_the_model_is_told_what_is_wrong() {
        assert_eq!(arguments(SCHEMA, r#"{"day":"Tuesday","people":2.0,"note":null}"#).unwrap().len(), 3);
        assert!(arguments(r#"{"type":"object"}"#, "").unwrap().is_empty());
        for (given, expected) in [
            ("{", "the arguments are not JSON"),
            ("[]", "the arguments are not a JSON object"),
            ("{}", "the arguments must have `day` and `people`"),
            (r#"{"day":"Monday","people":1}"#, r#"`day` must be one of "Tuesday", "Thursday""#),
            (r#"{"day":7,"people":1}"#, "`day` must be of type string"),
            (r#"{"day":"Tuesday","people":1.5}"#, "`people` must be of type integer"),
            (r#"{"day":"Tuesday","people":0}"#, "`people` must be at least 1"),
            (r#"{"day":"Tuesday","people":9}"#, "`people` must be at most 8"),
            (r#"{"day":"Tuesday","people":1,"note":"longer"}"#, "`note` must have 0 to 5 characters"),
            (r#"{"day":"Tuesday","people":1,"names":["a","b","c"]}"#, "`names` must have 0 to 2 items"),
            (r#"{"day":"Tuesday","people":1,"names":["a",1]}"#, "item 2 of `names` must be of type string"),
            (r#"{"day":"Tuesday","people":1,"x":1}"#, "the arguments must not have `x`"),
        ] {
            assert_eq!(arguments(SCHEMA, given).unwrap_err(), expected, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_model_writes_is_read_without_panic(schema in "[ -~]{0,60}", text in "[ -~]{0,60}") {
            check(&schema).ok();
            arguments(&schema, &text).ok();
        }
    }
}
