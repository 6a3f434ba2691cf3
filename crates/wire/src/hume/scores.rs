//! Expression scores: how a voice sounded, in 48 named dimensions.
//!
//! Kept in the order in which they came, because that is the order in which people compare them. Scores are measures,
//! not facts about a person; what may be said about them is not decided here.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The 48 dimensions, spelled and ordered as EVI sends them; they are also in ascending order.
pub const EMOTIONS: [&str; 48] = [
    "Admiration",
    "Adoration",
    "Aesthetic Appreciation",
    "Amusement",
    "Anger",
    "Anxiety",
    "Awe",
    "Awkwardness",
    "Boredom",
    "Calmness",
    "Concentration",
    "Confusion",
    "Contemplation",
    "Contempt",
    "Contentment",
    "Craving",
    "Desire",
    "Determination",
    "Disappointment",
    "Disgust",
    "Distress",
    "Doubt",
    "Ecstasy",
    "Embarrassment",
    "Empathic Pain",
    "Entrancement",
    "Envy",
    "Excitement",
    "Fear",
    "Guilt",
    "Horror",
    "Interest",
    "Joy",
    "Love",
    "Nostalgia",
    "Pain",
    "Pride",
    "Realization",
    "Relief",
    "Romance",
    "Sadness",
    "Satisfaction",
    "Shame",
    "Surprise (negative)",
    "Surprise (positive)",
    "Sympathy",
    "Tiredness",
    "Triumph",
];

/// More dimensions than this are not kept: there are 48, and a message that brings thousands is not about a voice.
const MOST_SCORES: usize = 128;

/// A score, typically between 0 and 1, for each dimension.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(Vec<(Cow<'static, str>, f64)>);

impl Scores {
    /// The score of one dimension.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find_map(|(each, score)| (each == name).then_some(score))
    }

    /// All scores, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, score)| (name.as_ref(), *score))
    }

    /// The `n` highest, highest first; equal ones in the order in which they came.
    #[must_use]
    pub fn top(&self, n: usize) -> Vec<(&str, f64)> {
        let mut ranked: Vec<_> = self.iter().collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranked.truncate(n);
        ranked
    }

    /// How many dimensions have a score.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no score at all, as for typed input.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, name: Cow<'_, str>, score: f64) {
        if self.0.len() < MOST_SCORES && score.is_finite() {
            // The known names are not allocated again for each message.
            let known = EMOTIONS.binary_search(&name.as_ref()).ok().and_then(|at| EMOTIONS.get(at));
            self.0.push((known.map_or_else(|| Cow::Owned(name.into_owned()), |known| Cow::Borrowed(*known)), score));
        }
    }
}

impl<'a> FromIterator<(&'a str, f64)> for Scores {
    fn from_iter<I: IntoIterator<Item = (&'a str, f64)>>(pairs: I) -> Self {
        let mut scores = Self::default();
        for (name, score) in pairs {
            scores.push(Cow::Borrowed(name), score);
        }
        scores
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, score) in self.iter() {
            map.serialize_entry(name, &score)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Scores;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map from dimension to score")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scores, A::Error> {
        let mut scores = Scores::default();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(score) = map.next_value::<Option<f64>>()? {
                scores.push(Cow::Owned(name), score);
            }
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_so_that_they_can_be_searched() {
        assert!(EMOTIONS.is_sorted());
    }

    #[test]
    fn the_highest_come_first_and_equals_keep_their_order() {
        let scores: Scores = [("Joy", 0.5), ("Anger", 0.25), ("Interest", 0.5), ("Novelty", 0.9)].into_iter().collect();
        assert_eq!(scores.top(3), [("Novelty", 0.9), ("Joy", 0.5), ("Interest", 0.5)]);
        assert_eq!(scores.top(0), []);
        assert_eq!(scores.top(99).len(), 4);
        assert_eq!(scores.get("Anger"), Some(0.25));
        assert_eq!(scores.get("Awe"), None);
    }

    #[test]
    fn order_survives_json_and_nulls_are_left_out() {
        let scores: Scores =
            serde_json::from_str(r#"{"Triumph":0.1,"Admiration":0.25,"Joy":null,"Sympathy":1}"#).unwrap();
        assert_eq!(serde_json::to_string(&scores).unwrap(), r#"{"Triumph":0.1,"Admiration":0.25,"Sympathy":1.0}"#);
    }

    #[test]
    fn a_flood_of_dimensions_is_bounded() {
        let names: Vec<String> = (0..5000).map(|n| format!("d{n}")).collect();
        let scores: Scores = names.iter().map(|name| (name.as_str(), 0.5)).collect();
        assert_eq!(scores.len(), MOST_SCORES);
    }
}
