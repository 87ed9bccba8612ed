//! The body of a request: JSON of a bounded size, sent within a bounded time.

use std::time::Duration;

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::problem::Refusal;

/// Most bytes of a body. A question of a hundred kilobytes is refused later, with a reason.
const MAX_BODY_BYTES: usize = 1 << 20;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// JSON that was sent.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| Refusal::unusable(&error, "body"))?;
        // What stands behind the value is nothing that anybody meant.
        json.end().map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, "usage", format!("the body cannot be used: {error}"))
        })?;
        Ok(Self(value))
    }
}

/// The bytes of a body that says to be JSON.
pub(super) async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Bytes, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    // A form of another site can send other types without being asked by the browser first, and none of this one.
    if !media_type.eq_ignore_ascii_case("application/json") {
        let detail = "the body has to be JSON, with the header `content-type: application/json`";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "usage", detail));
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let detail = format!("the body is longer than {MAX_BODY_BYTES} bytes");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "usage", detail))
        }
        Ok(Err(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "usage", "the body broke off")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "usage", "the body came too slowly")),
    }
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(context, operation);
    }
}
