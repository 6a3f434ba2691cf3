//! S3 on a folder, over HTTP.
//!
//! The emulator checks the signature of every request and refuses those without one. It bounds neither bodies nor keys (a
//! key with `..` leaves its bucket): it is only for our own requests, and for keys that we make ourselves.

use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tower::ServiceExt;

use crate::EmbeddedError;

/// Opens the folder. Whoever asks must sign with this key.
pub(crate) fn router(root: PathBuf, access_key: &str, secret_key: &str) -> Result<Router, EmbeddedError> {
    let directory = root.display().to_string();
    let files = FileSystem::new(root);
    let files = files.map_err(|error| EmbeddedError::Objects { directory, why: format!("{error:?}") })?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    Ok(Router::new().fallback(answer).with_state(builder.build()))
}

async fn answer(State(service): State<S3Service>, request: Request) -> Response {
    match service.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(?error, "the S3 emulator failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
