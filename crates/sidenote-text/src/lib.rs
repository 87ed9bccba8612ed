//! A file becomes a document, a document becomes chunks. Synchronous, bytes in and values out: nothing here opens a file or
//! knows a model, and a thread that a library reads in (`office97`) has ended when the call returns. The same bytes give the
//! same values, with two exceptions: program code that takes seconds to parse is kept without headings (`code`), and of a PDF
//! whose table of objects is broken other pages may be found the next time (`pdf`).
//!
//! ```text
//! SourceFile > extract > Document{text, headings, pages, tables} > chunk_document > Chunk{span, page, heading, text}
//! ```
//!
//! The byte span of a chunk rides in the type from here to the citation: `document.text[chunk.span] == chunk.text`.

mod archive;
mod asciidoc;
mod builder;
mod chart;
mod chunk;
mod chunk_again;
mod chunk_cut;
mod chunk_prefix;
mod code;
mod csv;
mod document;
mod docx;
mod docx_body;
mod docx_styles;
mod drawing;
mod encoding;
mod epub;
mod error;
mod extract;
mod flow;
mod format;
mod html;
mod html_filter;
mod html_text;
mod language;
mod latex;
mod mail;
mod markdown;
mod mbox;
mod members;
mod mime;
mod msg;
mod notebook;
mod number_format;
mod odf;
mod odf_object;
mod ods;
mod office97;
mod office_format;
mod office_math;
mod office_meta;
mod package;
mod pdf;
mod pdf_cmap;
mod pdf_fields;
mod pdf_glyph;
mod pdf_layout;
mod pdf_run;
mod pdf_running;
mod pdf_scan;
mod pdf_text;
mod pdf_words;
mod plain;
mod pptx;
mod recognise;
mod rows;
mod rst;
mod rst_tables;
mod rtf;
mod rtf_encoding;
mod sentence;
mod sheet;
mod shield;
mod span;
mod xlsx;
mod xml;
mod xml_walk;

pub use chunk::{Chunk, ChunkOptions, TokenCounter, chunk_document, embedded_hash};
pub use chunk_again::chunk_again;
pub use document::{Document, Extracted, Format, Heading, Page, Place, SourceFile, Table};
pub use error::ExtractError;
pub use extract::{ExtractLimits, extract, extract_recognising};
pub use format::detect_format;
pub use language::{detect as detect_language, english_name};
pub use recognise::{PageImage, RecognisedLine, Recogniser};
pub use rows::{RowMark, rows_at};
pub use sentence::sentences;
pub use span::Span;
