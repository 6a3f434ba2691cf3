//! Strictness by comparison: a message is understood fully when what we read from it, written again, says the same.
//!
//! Shared by the JSON dialects, for the simulators' side. Where serde can only refuse an unknown field by its bare
//! name, this names the place (`session.audio.input.colour`), and it also notices a value that was read as "something
//! else". A `null` that is gone after reading is a field left out, which the caller may accept or not.

use serde_json::Value;

/// The first place where the message says more, or something else, than was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// The field at this path has no meaning here.
    Unknown(String),
    /// The value at this path is none of those possible.
    Value(String),
    /// The field at this path is `null`, and was read as absent.
    Null(String),
}

/// Compares what was received with what was understood, written again. Fields that only `understood` has are defaults,
/// and no difference.
///
/// `nullable` decides, by a field's own name, whether a `null` may be read as absent.
pub(crate) fn first_difference(
    received: &Value,
    understood: &Value,
    nullable: &dyn Fn(&str) -> bool,
) -> Option<Difference> {
    at(received, understood, nullable, "")
}

fn at(received: &Value, understood: &Value, nullable: &dyn Fn(&str) -> bool, path: &str) -> Option<Difference> {
    if let (Some(received), Some(understood)) = (received.as_object(), understood.as_object()) {
        return received.iter().find_map(|(name, value)| {
            let path = join(path, name);
            match understood.get(name) {
                Some(understood) => at(value, understood, nullable, &path),
                None if !value.is_null() => Some(Difference::Unknown(path)),
                None if nullable(name) => None,
                None => Some(Difference::Null(path)),
            }
        });
    }
    if let (Some(received), Some(understood)) = (received.as_array(), understood.as_array()) {
        if received.len() != understood.len() {
            return Some(Difference::Value(path.to_owned()));
        }
        return (received.iter().zip(understood).enumerate()).find_map(|(index, (received, understood))| {
            at(received, understood, nullable, &format!("{path}[{index}]"))
        });
    }
    let same = received == understood || (received.is_number() && received.as_f64() == understood.as_f64());
    (!same).then(|| Difference::Value(path.to_owned()))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn difference(received: Value, understood: Value) -> Option<Difference> {
        first_difference(&received, &understood, &|name| name == "maybe")
    }

    #[test]
    fn numbers_are_compared_by_value_and_defaults_are_no_difference() {
        assert_eq!(difference(json!({"a": 1, "maybe": null}), json!({"a": 1.0, "b": 2})), None);
    }

    #[test]
    fn the_place_of_an_unknown_field_is_named() {
        let found = difference(json!({"a": [{"b": 1}, {"c": 2}]}), json!({"a": [{"b": 1}, {}]}));
        assert_eq!(found, Some(Difference::Unknown("a[1].c".into())));
    }

    #[test]
    fn a_changed_value_a_lost_element_and_a_misplaced_null_are_differences() {
        assert_eq!(difference(json!({"a": "x"}), json!({"a": "y"})), Some(Difference::Value("a".into())));
        assert_eq!(difference(json!({"a": [1, 2]}), json!({"a": [1]})), Some(Difference::Value("a".into())));
        assert_eq!(difference(json!({"a": null}), json!({})), Some(Difference::Null("a".into())));
    }
}
