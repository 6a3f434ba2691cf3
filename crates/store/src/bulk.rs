//! Calls as the items that they are stored as, for whoever loads many at once past the store: the benchmarks, whose
//! questions only make sense among hundreds of thousands of calls.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::error::StoreError;
use crate::item::Item;
use crate::keys;
use crate::record::CallRecord;
use crate::store::Store;

impl Store {
    /// A call and the postings of these words, in DynamoDB's own JSON.
    pub fn bulk_items(&self, call: &CallRecord, words: &BTreeSet<String>) -> Result<Vec<Value>, StoreError> {
        let items = self.items_of(call, words)?;
        let shown = |item: Item| item.0.into_iter().map(|(name, value)| (name, shown(&value))).collect();
        Ok(items.into_iter().map(|item| Value::Object(shown(item))).collect())
    }

    pub(crate) fn items_of(&self, call: &CallRecord, words: &BTreeSet<String>) -> Result<Vec<Item>, StoreError> {
        let mut items = vec![self.first_writing(call)?.item];
        let posting =
            |word| Item::new(&keys::posting(word, call.created_at, call.id)).expiring(self.expiry_of(call.id));
        items.extend(words.iter().map(|word| posting(word)));
        Ok(items)
    }
}

fn shown(value: &AttributeValue) -> Value {
    if let AttributeValue::S(text) = value {
        return json!({ "S": text });
    }
    if let AttributeValue::N(number) = value {
        return json!({ "N": number });
    }
    if let AttributeValue::Bool(value) = value {
        return json!({ "BOOL": value });
    }
    if let AttributeValue::L(values) = value {
        return json!({ "L": values.iter().map(shown).collect::<Vec<_>>() });
    }
    if let AttributeValue::M(fields) = value {
        let fields = fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
        return json!({ "M": Value::Object(fields) });
    }
    // No other kind is ever written.
    json!({ "NULL": true })
}
