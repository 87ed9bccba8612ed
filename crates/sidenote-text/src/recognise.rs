//! Pages that are pictures: what is asked of whoever can read them.
//!
//! Optical character recognition is no business of this crate, which starts no program and opens no file. It draws the page
//! and takes lines back.

use serde::{Deserialize, Serialize};

/// A page as it is drawn: one byte a pixel, 0 is black, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageImage {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Pixels an inch.
    pub dpi: u32,
    /// `width * height` bytes.
    pub grey: Vec<u8>,
}

/// A line that was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecognisedLine {
    /// Its words, with a space between them.
    pub text: String,
    /// From the top of the page, in pixels.
    pub top: u32,
    /// Height of the type in pixels, ascenders and descenders included.
    pub height: u32,
    /// Whether a paragraph begins here.
    pub begins_paragraph: bool,
}

/// Reads pictures of pages.
pub trait Recogniser {
    /// The lines of a page in reading order; none where it shows no text.
    ///
    /// # Errors
    /// A clause that says why this page could not be read, for the document's warnings.
    fn recognise(&self, page: &PageImage) -> Result<Vec<RecognisedLine>, String>;
}
