//! Why the store could not do what it was asked.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

/// Why the store could not do what it was asked.
///
/// [`is_retryable`](Self::is_retryable) divides them: the first three go away by themselves, and what was to be written
/// is worth keeping until then; the others stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The service asked us to slow down, and went on asking through all retries.
    #[error("the store is throttling")]
    Throttled,
    /// No answer: connection refused or broken, time-out, or the service's own failure. A write may have happened.
    #[error("the store does not answer ({0})")]
    Unavailable(String),
    /// Others kept changing the same item through all retries.
    #[error("the store's item was being changed by others")]
    Conflict,
    /// There is no such thing, or it has expired.
    #[error("{0} is not in the store")]
    NotFound(String),
    /// It was there and was erased, because a person asked for it.
    #[error("{0} was erased")]
    Erased(String),
    /// What is stored cannot be read.
    #[error("{what} in the store cannot be read: {why}")]
    Corrupt {
        /// Which item.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is larger than what can be stored.
    #[error("{0} is too large for the store")]
    TooLarge(String),
    /// The cursor is not one that this list gave out for these filters.
    #[error("the cursor does not belong to this list")]
    BadCursor,
    /// The service refuses the request: wrong credentials, missing permission, no such table or bucket.
    #[error("the store refuses: {code}: {message}")]
    Refused {
        /// The service's code.
        code: String,
        /// Its words.
        message: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable(_) | Self::Conflict => true,
            Self::NotFound(_)
            | Self::Erased(_)
            | Self::Corrupt { .. }
            | Self::TooLarge(_)
            | Self::BadCursor
            | Self::Refused { .. } => false,
        }
    }

    /// Whether there is nothing to be had: it never was, has expired, or was erased.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        match self {
            Self::NotFound(_) | Self::Erased(_) => true,
            Self::Throttled
            | Self::Unavailable(_)
            | Self::Conflict
            | Self::Corrupt { .. }
            | Self::TooLarge(_)
            | Self::BadCursor
            | Self::Refused { .. } => false,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { what: what.into(), why: why.to_string() }
    }
}

/// What became of a conditional write.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Its condition did not hold; for a transaction, of the items with these positions.
    Condition(Vec<usize>),
    /// Anything else.
    Failed(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Refusal {
    /// For writes that carry no condition.
    pub(crate) fn unconditional(self) -> StoreError {
        match self {
            Self::Condition(_) => StoreError::Conflict,
            Self::Failed(error) => error,
        }
    }
}

/// What any request's failure means.
pub(crate) fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> StoreError {
    match error {
        SdkError::TimeoutError(_) => StoreError::Unavailable("time-out".to_owned()),
        SdkError::DispatchFailure(why) if why.is_timeout() => StoreError::Unavailable("time-out".to_owned()),
        SdkError::DispatchFailure(why) if why.is_user() => refused("Request", "the client could not send it"),
        SdkError::DispatchFailure(_) => StoreError::Unavailable("connection".to_owned()),
        SdkError::ResponseError(_) => StoreError::Unavailable("broken answer".to_owned()),
        SdkError::ConstructionFailure(_) => {
            refused("Request", "it could not be built or signed; are there credentials?")
        }
        SdkError::ServiceError(service) => by_code(service.err().code(), service.err().message()),
        _ => StoreError::Unavailable("unknown failure".to_owned()),
    }
}

fn by_code(code: Option<&str>, message: Option<&str>) -> StoreError {
    let message = message.unwrap_or("no message");
    match code {
        Some(
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "TooManyRequestsException"
            | "LimitExceededException",
        ) => StoreError::Throttled,
        Some(
            "TransactionConflictException"
            | "TransactionInProgressException"
            | "ConditionalCheckFailedException"
            | "TransactionCanceledException",
        ) => StoreError::Conflict,
        Some("ItemCollectionSizeLimitExceededException" | "EntityTooLarge") => {
            StoreError::TooLarge("the item".to_owned())
        }
        Some("NoSuchKey" | "NotFound") => StoreError::NotFound("the object".to_owned()),
        // A service's own failure has no code, or one of these, and passes.
        None
        | Some(
            "InternalServerError"
            | "InternalError"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "RequestTimeout"
            | "RequestTimeTooSkewed",
        ) => StoreError::Unavailable(message.to_owned()),
        Some(code) => refused(code, message),
    }
}

fn refused(code: &str, message: &str) -> StoreError {
    StoreError::Refused { code: code.to_owned(), message: message.to_owned() }
}

/// What the failure of a single conditional write means.
pub(crate) fn refusal<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Refusal {
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("ConditionalCheckFailedException") => Refusal::Condition(vec![0]),
        _ => Refusal::Failed(failure(error)),
    }
}

/// What the failure of a transaction means: DynamoDB gives one reason for each item, in order.
pub(crate) fn transaction_refusal<R>(error: &SdkError<TransactWriteItemsError, R>) -> Refusal {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
        return Refusal::Failed(failure(error));
    };
    let failed = |wanted: &str| -> Vec<usize> {
        let has_code = |reason: &CancellationReason| reason.code() == Some(wanted);
        canceled.cancellation_reasons().iter().enumerate().filter(|(_, r)| has_code(r)).map(|(at, _)| at).collect()
    };
    // A conflict outranks a failed condition: the condition may hold once the other transaction is through.
    if !failed("TransactionConflict").is_empty() {
        return Refusal::Failed(StoreError::Conflict);
    }
    let conditions = failed("ConditionalCheckFailed");
    if !conditions.is_empty() {
        return Refusal::Condition(conditions);
    }
    if !failed("ThrottlingError").is_empty() || !failed("ProvisionedThroughputExceeded").is_empty() {
        return Refusal::Failed(StoreError::Throttled);
    }
    if !failed("ItemCollectionSizeLimitExceeded").is_empty() {
        return Refusal::Failed(StoreError::TooLarge("the item".to_owned()));
    }
    let first = canceled.cancellation_reasons().iter().find(|reason| reason.code() != Some("None"));
    let (code, message) = first.map_or((None, None), |reason| (reason.code(), reason.message()));
    Refusal::Failed(by_code(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retryable_and_the_rest_is_not() {
        for code in ["ThrottlingException", "SlowDown", "TransactionConflictException", "InternalServerError"] {
            assert!(by_code(Some(code), None).is_retryable(), "{code}");
        }
        assert!(by_code(None, None).is_retryable(), "a failure without a code is the service's own");
        for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "NoSuchBucket"] {
            assert!(!by_code(Some(code), None).is_retryable(), "{code}");
        }
    }
}
