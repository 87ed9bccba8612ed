//! HTML.
use crate::{Document, ExtractError, ExtractLimits};
pub(crate) fn read(_bytes: &[u8], _limits: &ExtractLimits) -> Result<Document, ExtractError> {
    Err(ExtractError::Unsupported("text/html".to_owned()))
}
