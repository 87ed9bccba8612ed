//! Rows as Rust values, and the questions that reader and writer share: each runs on the connection it is given, so that it
//! sees what its transaction sees.

use std::collections::HashSet;
use std::path::Path;

use sidenote_text::{Format, RowMark, Span};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::checksum::{Checksum, not_as_stored};
use super::{PIECE_BYTES, signed, size, unsigned, vector_of_bytes};
use crate::check::is_sound;
use crate::files::path_bytes;
use crate::types::{ChunkId, DocumentId, Fingerprint, StoredChunk};
use crate::vector::Node;

/// Chunks read at a time.
const PAGE_ROWS: i64 = 16_384;

/// The one row that says how far everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uuid: String,
    pub(crate) sequence: i64,
    pub(crate) trimmed_to: i64,
    pub(crate) lexical_generation: i64,
    pub(crate) lexical_sequence: i64,
    pub(crate) segments_generation: i64,
    pub(crate) purge_pending: bool,
    pub(crate) ingest_unfinished: bool,
}

/// The registered embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) sha256_hex: String,
    pub(crate) dimensions: usize,
}

/// A sealed segment as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) generation: i64,
    pub(crate) vectors: u64,
}

/// Which vector a chunk has. Ordered as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChunkRow {
    pub(crate) embedding: i64,
    pub(crate) document: i64,
    pub(crate) chunk: i64,
}

impl ChunkRow {
    /// The number of its vector.
    pub(crate) fn node(&self) -> Node {
        self.embedding.cast_unsigned()
    }
}

/// What the full-text index holds of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct LexicalSource {
    pub(crate) title: String,
    pub(crate) language: Option<String>,
    pub(crate) chunks: Vec<StoredChunk>,
}

pub(crate) async fn state(connection: &mut SqliteConnection) -> Result<State, sqlx::Error> {
    let row = sqlx::query(
        "SELECT uuid, sequence, trimmed_to, lexical_generation, lexical_sequence, segments_generation, purge_pending, \
         ingest_unfinished FROM store",
    )
    .fetch_one(connection)
    .await?;
    Ok(State {
        uuid: row.try_get(0)?,
        sequence: row.try_get(1)?,
        trimmed_to: row.try_get(2)?,
        lexical_generation: row.try_get(3)?,
        lexical_sequence: row.try_get(4)?,
        segments_generation: row.try_get(5)?,
        purge_pending: row.try_get::<i64, _>(6)? != 0,
        ingest_unfinished: row.try_get::<i64, _>(7)? != 0,
    })
}

/// The model whose vectors answer.
pub(crate) async fn model(connection: &mut SqliteConnection) -> Result<Option<ModelRow>, sqlx::Error> {
    let row =
        sqlx::query("SELECT m.id, m.name, m.sha256_hex, m.dimensions FROM store s JOIN models m ON m.id = s.model_id")
            .fetch_optional(connection)
            .await?;
    row.map(|row| {
        Ok(ModelRow {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            sha256_hex: row.try_get(2)?,
            dimensions: size(row.try_get(3)?),
        })
    })
    .transpose()
}

pub(crate) async fn segments(connection: &mut SqliteConnection) -> Result<Vec<SegmentRow>, sqlx::Error> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT generation, vectors FROM segments ORDER BY generation").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(generation, vectors)| SegmentRow { generation, vectors: unsigned(vectors) }).collect())
}

/// All chunks, in order.
pub(crate) async fn chunk_rows(connection: &mut SqliteConnection) -> Result<Vec<ChunkRow>, sqlx::Error> {
    let mut rows: Vec<ChunkRow> = Vec::new();
    let mut last = ChunkRow { embedding: i64::MIN, document: 0, chunk: 0 };
    loop {
        // Many to a row of the result: handing over a row takes ten times as long as finding it.
        let lists: (String, String, String) = sqlx::query_as(
            "SELECT json_group_array(embedding_id), json_group_array(document_id), json_group_array(id) FROM \
             (SELECT embedding_id, document_id, id FROM chunks WHERE (embedding_id, document_id, id) > (?, ?, ?) \
              ORDER BY embedding_id, document_id, id LIMIT ?)",
        )
        .bind(last.embedding)
        .bind(last.document)
        .bind(last.chunk)
        .bind(PAGE_ROWS)
        .fetch_one(&mut *connection)
        .await?;
        let ids =
            |list: &str| serde_json::from_str::<Vec<i64>>(list).map_err(|error| sqlx::Error::Decode(error.into()));
        let (embeddings, documents, chunks) = (ids(&lists.0)?, ids(&lists.1)?, ids(&lists.2)?);
        let places = embeddings.into_iter().zip(documents).zip(chunks);
        rows.extend(places.map(|((embedding, document), chunk)| ChunkRow { embedding, document, chunk }));
        match rows.last() {
            Some(&row) if row > last => last = row,
            _ => return Ok(rows),
        }
    }
}

/// Chunks that were added or described anew after `sequence` and are still there.
pub(crate) async fn chunk_rows_changed(
    connection: &mut SqliteConnection,
    sequence: i64,
) -> Result<Vec<ChunkRow>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT DISTINCT k.embedding_id, k.document_id, k.id FROM changes c JOIN chunks k ON k.id = c.chunk_id \
         WHERE c.sequence > ? ORDER BY k.id",
    )
    .bind(sequence)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(embedding, document, chunk)| ChunkRow { embedding, document, chunk }).collect())
}

/// Chunks that were removed after `sequence`.
pub(crate) async fn removed_after(connection: &mut SqliteConnection, sequence: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT chunk_id FROM changes WHERE sequence > ? AND kind = 0 ORDER BY chunk_id")
        .bind(sequence)
        .fetch_all(connection)
        .await
}

/// Vectors by embedding id; missing ones left out.
pub(crate) async fn vectors(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<Vec<(i64, Vec<f32>)>, sqlx::Error> {
    let mut vectors = Vec::with_capacity(ids.len());
    for some in ids.chunks(4096) {
        let rows =
            sqlx::query("SELECT id, vector FROM embeddings WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id")
                .bind(json_ids(some.iter().copied()))
                .fetch_all(&mut *connection)
                .await?;
        for row in rows {
            vectors.push((row.try_get(0)?, vector_of_bytes(row.try_get::<&[u8], _>(1)?)));
        }
    }
    Ok(vectors)
}

/// Which of the hashes have a vector of a model.
pub(super) async fn known_vectors(
    connection: &mut SqliteConnection,
    model: i64,
    hashes: &[[u8; 32]],
) -> Result<HashSet<[u8; 32]>, sqlx::Error> {
    let mut known = HashSet::new();
    for some in hashes.chunks(512) {
        let list: Vec<String> = some.iter().map(|hash| hex(hash)).collect();
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT e.hash FROM json_each(?) j CROSS JOIN embeddings e ON e.model_id = ? AND e.hash = unhex(j.value)",
        )
        .bind(serde_json::to_string(&list).unwrap_or_default())
        .bind(model)
        .fetch_all(&mut *connection)
        .await?;
        known.extend(rows.iter().filter_map(|hash| <[u8; 32]>::try_from(hash.as_slice()).ok()));
    }
    Ok(known)
}

/// Vectors with an id above `after`, at most `limit`, ascending by id, each with the length that its model makes.
pub(super) async fn vectors_page(
    connection: &mut SqliteConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<f32>, usize)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.id, e.vector, m.dimensions FROM embeddings e JOIN models m ON m.id = e.model_id WHERE e.id > ? \
         ORDER BY e.id LIMIT ?",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, vector_of_bytes(row.try_get::<&[u8], _>(1)?), size(row.try_get(2)?))))
        .collect()
}

pub(super) async fn chunks_of(
    connection: &mut SqliteConnection,
    document: DocumentId,
) -> Result<Option<LexicalSource>, sqlx::Error> {
    let Some(row) = sqlx::query("SELECT title, text_bytes, language FROM documents WHERE id = ?")
        .bind(document.0)
        .fetch_optional(&mut *connection)
        .await?
    else {
        return Ok(None);
    };
    let title: Option<String> = row.try_get(0)?;
    let whole = Span { start: 0, end: size(row.try_get(1)?) };
    let text = text(connection, document, whole).await?.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT id, document_id, ordinal, span_start, span_end, page, heading, header_start, header_end, prefix, tokens, place, \
         checksum, row_marks FROM chunks WHERE document_id = ? ORDER BY span_start, ordinal",
    )
    .bind(document.0)
    .fetch_all(&mut *connection)
    .await?;
    let mut chunks = Vec::with_capacity(rows.len());
    for row in rows {
        let mut chunk = chunk_without_text(&row)?;
        chunk.text = chunk.span.slice(&text).unwrap_or_default().to_owned();
        chunks.push(chunk);
    }
    let language = row.try_get(2)?;
    Ok(Some(LexicalSource { title: title.unwrap_or_default(), language, chunks }))
}

pub(super) async fn text(
    connection: &mut SqliteConnection,
    document: DocumentId,
    span: Span,
) -> Result<Option<String>, sqlx::Error> {
    let length: Option<i64> = sqlx::query_scalar("SELECT text_bytes FROM documents WHERE id = ?")
        .bind(document.0)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(length) = length.map(size) else { return Ok(None) };
    if span.start > span.end || span.end > length {
        return Ok(None);
    }
    if span.is_empty() && length == 0 {
        return Ok(Some(String::new()));
    }
    let first = span.start / PIECE_BYTES;
    let last = span.end.saturating_sub(1).max(span.start) / PIECE_BYTES;
    let rows = sqlx::query(
        "SELECT piece, bytes, checksum FROM texts WHERE document_id = ? AND piece BETWEEN ? AND ? ORDER BY piece",
    )
    .bind(document.0)
    .bind(signed(first))
    .bind(signed(last))
    .fetch_all(connection)
    .await?;
    let mut bytes = Vec::with_capacity(rows.len() * PIECE_BYTES);
    for row in rows {
        let (piece, part): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        piece_checksum(document.0, piece, part)
            .compare(row.try_get(2)?, || format!("the text of document {}", document.0))?;
        bytes.extend_from_slice(part);
    }
    Ok(cut(bytes, first * PIECE_BYTES, span))
}

/// The text under `span` of bytes that begin at offset `begin`; `None` where it does not fit or cuts a character.
pub(super) fn cut(mut bytes: Vec<u8>, begin: usize, span: Span) -> Option<String> {
    let (start, end) = (span.start.checked_sub(begin)?, span.end.checked_sub(begin)?);
    if end > bytes.len() {
        return None;
    }
    bytes.truncate(end);
    bytes.drain(..start);
    String::from_utf8(bytes).ok()
}

pub(super) fn piece_checksum(document: i64, piece: i64, bytes: &[u8]) -> Checksum {
    Checksum::default().number(document).number(piece).bytes(bytes)
}

pub(super) fn page_checksum(document: i64, number: i64, start: i64, end: i64) -> Checksum {
    Checksum::default().number(document).number(number).number(start).number(end)
}

/// Rows of sheets as a column.
pub(super) fn written_marks(rows: &[RowMark]) -> Option<String> {
    let marks: Vec<(usize, u32)> = rows.iter().map(|mark| (mark.offset, mark.number)).collect();
    if marks.is_empty() { None } else { serde_json::to_string(&marks).ok() }
}

fn read_marks(column: Option<&str>) -> Vec<RowMark> {
    let marks: Vec<(usize, u32)> = column.and_then(|marks| serde_json::from_str(marks).ok()).unwrap_or_default();
    marks.into_iter().map(|(offset, number)| RowMark { offset, number }).collect()
}

/// Of where a chunk stands, as columns: its document, span, place (page, name and rows), headings, table header and prefix.
pub(super) fn chunk_checksum(
    document: i64,
    span: (i64, i64),
    place: (Option<i64>, Option<&str>, Option<&str>),
    heading: &str,
    header: (Option<i64>, Option<i64>),
    prefix: &str,
) -> Checksum {
    let span = Checksum::default().number(document).number(span.0).number(span.1);
    let (page, name, row_marks) = place;
    let places = span.number(page).text(name).text(heading);
    let checksum = places.number(header.0).number(header.1).text(prefix);
    // Chunks were stored before rows were.
    if row_marks.is_some() { checksum.text(row_marks) } else { checksum }
}

/// Chunks from the pieces of their texts, each compared with the hash that was taken of its text.
pub(super) fn join_pieces(rows: &[SqliteRow], chunks: &mut Vec<StoredChunk>) -> Result<(), sqlx::Error> {
    let mut index = 0;
    while let Some(row) = rows.get(index) {
        let mut chunk = chunk_without_text(row)?;
        let begin = size(row.try_get(14)?) * PIECE_BYTES;
        let pieces =
            (chunk.span.end.saturating_sub(1).max(chunk.span.start)) / PIECE_BYTES - chunk.span.start / PIECE_BYTES + 1;
        let mut bytes = Vec::with_capacity(pieces * PIECE_BYTES);
        for row in rows.iter().skip(index).take(pieces) {
            bytes.extend_from_slice(row.try_get::<&[u8], _>(15)?);
        }
        chunk.text = cut(bytes, begin, chunk.span).unwrap_or_default();
        if !is_sound(&chunk, row.try_get(16)?) {
            return Err(not_as_stored(&format!("the text of chunk {}", chunk.id.0)));
        }
        chunks.push(chunk);
        index += pieces;
    }
    Ok(())
}

pub(super) fn chunk_without_text(row: &SqliteRow) -> Result<StoredChunk, sqlx::Error> {
    let (id, document): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (start, end) = (row.try_get(3)?, row.try_get(4)?);
    let (page, place): (Option<i64>, Option<String>) = (row.try_get(5)?, row.try_get(11)?);
    let (heading, prefix): (&str, &str) = (row.try_get(6)?, row.try_get(9)?);
    let header: (Option<i64>, Option<i64>) = (row.try_get(7)?, row.try_get(8)?);
    let row_marks: Option<&str> = row.try_get(13)?;
    chunk_checksum(document, (start, end), (page, place.as_deref(), row_marks), heading, header, prefix)
        .compare(row.try_get(12)?, || format!("the place of chunk {id}"))?;
    Ok(StoredChunk {
        id: ChunkId(id),
        document: DocumentId(document),
        ordinal: size(row.try_get(2)?),
        span: span(start, end),
        page: page.and_then(|page| u32::try_from(page).ok()),
        heading: serde_json::from_str(heading).unwrap_or_default(),
        table_header: header.0.zip(header.1).map(|(start, end)| span(start, end)),
        prefix: prefix.to_owned(),
        text: String::new(),
        tokens: size(row.try_get(10)?),
        place,
        rows: read_marks(row_marks),
    })
}

pub(super) fn fingerprint(row: &SqliteRow, first: usize) -> Result<Fingerprint, sqlx::Error> {
    let sha256: &[u8] = row.try_get(first + 3)?;
    Ok(Fingerprint {
        size: unsigned(row.try_get(first)?),
        mtime_ns: row.try_get(first + 1)?,
        inode: row.try_get::<i64, _>(first + 2)?.cast_unsigned(),
        sha256: <[u8; 32]>::try_from(sha256).unwrap_or([0; 32]),
    })
}

pub(super) fn span(start: i64, end: i64) -> Span {
    Span { start: size(start), end: size(end).max(size(start)) }
}

/// The name under which a format is stored: that of its JSON form.
pub(super) fn format_name(format: Format) -> String {
    match serde_json::to_value(format) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => "text".to_owned(),
    }
}

pub(super) fn format_of_name(name: &str) -> Format {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).unwrap_or(Format::Text)
}

/// Paths at a path or below it, as parameters: equal to the first, or from the second up to, not including, the third.
pub(super) fn at_or_below(path: &Path) -> [Vec<u8>; 3] {
    let mut bytes = path_bytes(path);
    while bytes.last() == Some(&b'/') {
        bytes.pop();
    }
    let with = |last: u8| bytes.iter().copied().chain([last]).collect();
    // From `folder/` up to `folder0`, the byte after the slash.
    [bytes.clone(), with(b'/'), with(b'/' + 1)]
}

pub(super) fn json_ids(ids: impl Iterator<Item = i64>) -> String {
    let list: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("[{}]", list.join(","))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
