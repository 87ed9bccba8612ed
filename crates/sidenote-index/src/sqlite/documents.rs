//! Rows of documents as Rust values.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::checksum::Checksum;
use super::rows::{fingerprint, format_of_name};
use super::unsigned;
use crate::files::{file_uri, path_of_bytes};
use crate::types::{DocumentId, StoredDocument};

const DOCUMENT_COLUMNS: &str = "SELECT d.id, c.name, d.path, d.part, d.title, d.format, d.language, d.size, d.mtime_ns, \
     d.inode, d.sha256, d.modified_unix_ms, d.text_bytes, d.page_count, d.warnings, \
     (SELECT count(*) FROM chunks k WHERE k.document_id = d.id), d.author, d.created_unix_ms, d.checksum, d.waits_for_ocr \
     FROM documents d JOIN collections c ON c.id = d.collection_id";

/// The question for documents as [`stored_document`] reads them.
pub(super) fn document_query(rest: &'static str) -> sqlx::AssertSqlSafe<String> {
    // `rest` is written in this program; values travel as parameters.
    sqlx::AssertSqlSafe(format!("{DOCUMENT_COLUMNS} {rest}"))
}

pub(super) fn stored_document(row: &SqliteRow) -> Result<StoredDocument, sqlx::Error> {
    let id: i64 = row.try_get(0)?;
    checksum(row)?.compare(row.try_get(18)?, || format!("what is known of document {id}"))?;
    let path: Vec<u8> = row.try_get(2)?;
    let part: String = row.try_get(3)?;
    let pages: i64 = row.try_get(13)?;
    Ok(StoredDocument {
        id: DocumentId(id),
        collection: row.try_get(1)?,
        uri: file_uri(&path),
        path: path_of_bytes(path),
        part: (!part.is_empty()).then_some(part),
        title: row.try_get(4)?,
        format: format_of_name(row.try_get(5)?),
        language: row.try_get(6)?,
        fingerprint: fingerprint(row, 7)?,
        modified_unix_ms: row.try_get(11)?,
        text_bytes: unsigned(row.try_get(12)?),
        page_count: u32::try_from(pages).ok().filter(|&pages| pages > 0),
        warnings: serde_json::from_str(row.try_get(14)?).unwrap_or_default(),
        chunk_count: unsigned(row.try_get(15)?),
        author: row.try_get(16)?,
        created_unix_ms: row.try_get(17)?,
        waits_for_ocr: row.try_get::<i64, _>(19)? != 0,
    })
}

/// Of all that [`DOCUMENT_COLUMNS`] names but what is counted.
fn checksum(row: &SqliteRow) -> Result<Checksum, sqlx::Error> {
    Ok(Checksum::default()
        .number(row.try_get::<i64, _>(0)?)
        .text(row.try_get::<&str, _>(1)?)
        .bytes(row.try_get::<&[u8], _>(2)?)
        .text(row.try_get::<&str, _>(3)?)
        .text(row.try_get::<Option<&str>, _>(4)?)
        .text(row.try_get::<&str, _>(5)?)
        .text(row.try_get::<Option<&str>, _>(6)?)
        .number(row.try_get::<i64, _>(7)?)
        .number(row.try_get::<i64, _>(8)?)
        .number(row.try_get::<i64, _>(9)?)
        .bytes(row.try_get::<&[u8], _>(10)?)
        .number(row.try_get::<Option<i64>, _>(11)?)
        .number(row.try_get::<i64, _>(12)?)
        .number(row.try_get::<i64, _>(13)?)
        .text(row.try_get::<&str, _>(14)?)
        .text(row.try_get::<Option<&str>, _>(16)?)
        .number(row.try_get::<Option<i64>, _>(17)?)
        .number(row.try_get::<i64, _>(19)?))
}

/// Notes the checksums of the documents of a list after a change to them.
pub(super) async fn note_checksums(connection: &mut SqliteConnection, list: &str) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(document_query("WHERE d.id IN (SELECT value FROM json_each(?))"))
        .bind(list)
        .fetch_all(&mut *connection)
        .await?;
    for row in rows {
        sqlx::query("UPDATE documents SET checksum = ? WHERE id = ?")
            .bind(checksum(&row)?.value())
            .bind(row.try_get::<i64, _>(0)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
