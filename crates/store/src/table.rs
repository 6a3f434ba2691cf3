//! The table and the bucket: made here on one machine, by the template at AWS.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification,
};

use crate::error::{StoreError, failure};
use crate::item::EXPIRES_AT;
use crate::store::Store;

/// The indexes: name, partition key, sort key. All keys are texts, and all attributes are in each index, so that a list
/// is one query. The template makes the same.
pub const INDEXES: [(&str, &str, &str); 4] = [
    ("time", "month", "started"),
    ("phone", "phone_key", "started"),
    ("outcome", "outcome_month", "started"),
    ("live", "live", "deadline"),
];

impl Store {
    /// Makes the table, its indexes and its time-to-live setting, and the bucket, where they are missing. Only for one
    /// machine and tests: at AWS the template makes them, and the program has no permission to.
    pub async fn create_if_absent(&self) -> Result<(), StoreError> {
        let mut request = self
            .dynamodb
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range));
        for name in ["pk", "sk", "month", "started", "phone_key", "outcome_month", "live", "deadline"] {
            let definition = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            request = request.attribute_definitions(definition.build().expect("invariant: name and type are set"));
        }
        for (name, partition, sort) in INDEXES {
            let index = GlobalSecondaryIndex::builder()
                .index_name(name)
                .key_schema(key(partition, KeyType::Hash))
                .key_schema(key(sort, KeyType::Range))
                .projection(Projection::builder().projection_type(ProjectionType::All).build());
            request = request.global_secondary_indexes(index.build().expect("invariant: name and keys are set"));
        }
        unless_present(request.send().await, "ResourceInUseException")?;
        let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES_AT).build();
        let request = self.dynamodb.update_time_to_live().table_name(&self.table);
        let request = request.time_to_live_specification(ttl.expect("invariant: both fields are set"));
        // DynamoDB calls the setting that is already made a bad request.
        unless_present(request.send().await, "ValidationException")?;
        let made = self.s3.create_bucket().bucket(&self.bucket).send().await;
        match made.as_ref().err().and_then(ProvideErrorMetadata::code) {
            Some("BucketAlreadyExists") => Ok(()),
            Some(_) | None => unless_present(made, "BucketAlreadyOwnedByYou"),
        }
    }

    /// Whether table and bucket answer and may be used, for the doctor.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.dynamodb.describe_table().table_name(&self.table).send().await.map_err(|error| failure(&error))?;
        self.s3.head_bucket().bucket(&self.bucket).send().await.map_err(|error| failure(&error))?;
        Ok(())
    }
}

fn unless_present<T, E: ProvideErrorMetadata, R>(
    made: Result<T, SdkError<E, R>>,
    present: &str,
) -> Result<(), StoreError> {
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(present) => Ok(()),
        Err(error) => Err(failure(&error)),
    }
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    key.expect("invariant: name and kind are set")
}
