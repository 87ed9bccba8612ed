//! What an ingest is going to cost, before it begins: chunks, time, room. Rough, and said to be so.

use std::time::Instant;

use sidenote_model::Embedder;

use crate::{error::Error, walk::Found};

/// Text of a chunk in bytes, at the median of the project's corpus and of long design documents.
const CHUNK_BYTES: f64 = 620.0;
/// What a chunk takes in the data folder besides its vector: text, rows, words of the full-text index.
const STORED_BYTES: f64 = 2_400.0;
/// Chunks from which on the embedder's speed is worth a tenth of a second to measure.
const WORTH_MEASURING: usize = 500;
/// A text as long as most chunks are.
const SAMPLE: &str = "The pump is checked before it is switched on for the first time: the shaft must turn by hand, the valve in \
     the suction line must be open, and the casing must be filled and vented. A pump that runs dry for more than ten seconds \
     loses its seal. Note the pressure at the gauge, the current of the motor and the temperature of the bearings every hour \
     during the first day, and compare them with the values in the table. Where one of them is over its limit, stop the pump \
     and call the service; the number is on the door of the control box. Do not open the casing while the motor is warm.";

/// What is to be expected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) chunks: usize,
    /// `None` where it is too little to say.
    pub(crate) seconds: Option<f64>,
    /// Growth of the data folder.
    pub(crate) bytes: u64,
}

/// Looks at names and sizes alone, and where there is much to do, at how fast the embedder is today.
pub(crate) fn estimate<'f>(files: impl Iterator<Item = &'f Found>, embedder: &dyn Embedder) -> Result<Estimate, Error> {
    let text: f64 = files.map(text_bytes).sum();
    let chunks = text / CHUNK_BYTES;
    let vector_bytes = 4.0 * embedder.info().dimensions as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float beyond the range becomes its end"
    )]
    let (chunks, bytes) = (chunks as usize, (chunks * (vector_bytes + STORED_BYTES)) as u64);
    let mut seconds = None;
    if chunks >= WORTH_MEASURING {
        // The first run of a graph is slow, and says nothing about the next.
        embedder.embed(&[SAMPLE])?;
        let samples = [SAMPLE; 8];
        let begun = Instant::now();
        embedder.embed(&samples)?;
        seconds = Some(begun.elapsed().as_secs_f64() / samples.len() as f64 * chunks as f64);
    }
    Ok(Estimate { chunks, seconds, bytes })
}

/// Bytes of text that a file of this name and size may give.
fn text_bytes(found: &Found) -> f64 {
    let extension = found.path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    // Shares as the test corpora of other projects' parsers have them, medians.
    let share = match extension.as_str() {
        "pdf" => 0.02,
        "docx" | "pptx" | "odt" | "odp" | "doc" | "ppt" | "msg" => 0.05,
        "xlsx" | "xlsm" | "ods" | "xls" => 0.2,
        "epub" => 0.5,
        "html" | "htm" | "xhtml" => 0.25,
        "eml" | "mbox" => 0.5,
        "zip" | "gz" | "tgz" => 1.0,
        "png" | "jpg" | "jpeg" | "gif" | "mp3" | "mp4" | "mov" | "exe" | "so" | "dll" | "bin" | "iso" => 0.0,
        _ => 1.0,
    };
    found.size as f64 * share
}

#[cfg(test)]
mod tests {
    use sidenote_model::HashEmbedder;

    use super::*;

    fn found(path: &str, size: u64) -> Found {
        Found { path: path.into(), size, mtime_ns: 0, inode: 0 }
    }

    #[test]
    fn what_is_little_is_not_measured_and_pictures_cost_nothing() {
        let embedder = HashEmbedder::default();
        let none = estimate([found("a.PNG", 1 << 30)].iter(), &embedder).unwrap();
        assert_eq!(none, Estimate::default());
        let few = estimate([found("a.md", 62_000), found("b.pdf", 3_100_000)].iter(), &embedder).unwrap();
        assert_eq!((few.chunks, few.seconds), (200, None));
        let many = estimate([found("a.txt", 620_000)].iter(), &embedder).unwrap();
        assert_eq!(many.chunks, 1_000);
        assert!(many.seconds.is_some_and(|seconds| seconds > 0.0));
        assert!(many.bytes > 2_400_000);
    }
}
