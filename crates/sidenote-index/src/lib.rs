//! Remembers chunks and finds them. SQLite is the truth; the full-text index and the vector segments are made from it,
//! compared with it at every open, and made anew when they disagree. This crate alone writes the data folder.
//!
//! ```text
//! documents.sqlite           documents, their text, chunks, vectors; conversations
//! lexical/generation-N/      BM25 (tantivy), by the change that it holds
//! vectors/segment-N/         sealed HNSW graphs; newer vectors are compared one by one
//! writer.lock                one writer at a time; readers need no lock
//! chats.lock                 held while a turn of a conversation is written
//! ```
//!
//! The way of a document: [`IndexWriter::put`] is one transaction; [`IndexWriter::commit`] has the full-text index follow
//! the list of changes; the vectors in memory follow it at the next search. A process that ends in between loses nothing:
//! the next open compares what each store holds with the number of the last change, and replays the difference.

mod analysis;
mod backup;
mod chats;
mod check;
mod chunk_table;
mod crash;
mod dense;
mod error;
mod exact;
mod files;
mod graph;
mod hnsw;
mod index;
mod keep;
mod mend;
mod runtime;
mod seal;
mod segment;
mod sqlite;
mod tantivy;
mod types;
mod vector;
mod writer;

pub use analysis::is_connector;
pub use check::Check;
pub use error::IndexError;
pub use files::private_folder;
pub use index::{Index, IndexOptions, VectorMode};
pub use tantivy::{Bm25, LexicalWeights};
pub use types::{
    ChatId, ChatSummary, ChunkId, CollectionStatus, DocumentId, EmbeddingModelInfo, Failure, Filter, Fingerprint,
    Forgotten, Held, IndexStatus, KeptChat, KeptTurn, NewChunk, NewDocument, NewTurn, NextChunk, PutReport, Scored,
    StoredChunk, StoredDocument,
};
pub use writer::{CompactReport, IndexWriter, SealReport};
