//! The seam to what reads a query and a passage together.

use crate::ModelError;

/// Says how well passages answer a query, reading each together with it (Nogueira and Cho, "Passage Re-ranking with BERT",
/// 2019, arXiv 1901.04085). Slower than comparing vectors, since nothing of a passage can be read beforehand, and surer.
pub trait CrossEncoder: Send + Sync {
    /// Name for people.
    fn name(&self) -> &str;

    /// One score for each passage, in order: the higher the better, comparable within one query only. What of a query and a passage
    /// exceeds the positions of the model together is left out at the end of the longer of the two.
    ///
    /// # Errors
    /// [`ModelError::Embed`] for the first passage that the runtime refused.
    fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, ModelError>;
}
