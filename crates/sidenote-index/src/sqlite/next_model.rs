//! Another embedding model takes over: its vectors gather beside those that answer, and one transaction changes the roles.

use std::collections::HashSet;

use sqlx::SqliteConnection;

use super::put::{PutChunk, insert_chunk, note_change, unit_vector};
use super::rows::{hex, known_vectors};
use super::write::next_sequence;
use super::{Writer, signed, vector_bytes};
use crate::crash;
use crate::error::IndexError;
use crate::types::{EmbeddingModelInfo, NextChunk};

/// What becomes of a chunk, as rows.
#[derive(Debug)]
pub(crate) enum NextRows {
    /// It stays, with another vector.
    Same { chunk: i64, hash: [u8; 32], tokens: i64 },
    /// It is replaced.
    Cut { chunk: i64, parts: Vec<PutChunk> },
}

impl From<NextChunk> for NextRows {
    fn from(next: NextChunk) -> Self {
        match next {
            NextChunk::Same { chunk, hash, tokens } => Self::Same { chunk: chunk.0, hash, tokens: signed(tokens) },
            NextChunk::Cut { chunk, parts } => Self::Cut {
                chunk: chunk.0,
                parts: parts.iter().map(|(part, hash)| PutChunk::new(part, *hash, None)).collect(),
            },
        }
    }
}

impl Writer {
    /// Registers the model that is to take over, and forgets one that was registered before it and did not.
    pub(crate) async fn set_next_model(&self, next: &EmbeddingModelInfo) -> Result<(), IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            sqlx::query("INSERT INTO models (name, sha256_hex, dimensions) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                .bind(&next.name)
                .bind(&next.sha256_hex)
                .bind(signed(next.dimensions))
                .execute(&mut *transaction)
                .await?;
            let wanted = next_id(&mut transaction, next).await?;
            let answers: Option<i64> =
                sqlx::query_scalar("SELECT model_id FROM store").fetch_one(&mut *transaction).await?;
            forget_others(&mut transaction, [wanted, answers.unwrap_or(wanted)]).await
        };
        work.await.map_err(|error| self.error(error))?;
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// Which of the hashes have a vector of the next model.
    pub(crate) async fn known_next_vectors(
        &self,
        next: &EmbeddingModelInfo,
        hashes: &[[u8; 32]],
    ) -> Result<HashSet<[u8; 32]>, IndexError> {
        let work = async {
            let mut connection = self.pool.acquire().await?;
            let model = next_id(&mut connection, next).await?;
            known_vectors(&mut connection, model, hashes).await
        };
        work.await.map_err(|error| self.error(error))
    }

    /// Stores vectors of the next model.
    pub(crate) async fn store_next_vectors(
        &self,
        next: &EmbeddingModelInfo,
        vectors: &[([u8; 32], Vec<f32>)],
    ) -> Result<(), IndexError> {
        let mut bytes = Vec::with_capacity(vectors.len());
        for (_, vector) in vectors {
            if vector.len() != next.dimensions {
                let reason = format!("it has {} numbers, `{}` makes {}", vector.len(), next.name, next.dimensions);
                return Err(IndexError::BadVector { reason });
            }
            bytes.push(vector_bytes(&unit_vector(vector)?));
        }
        let mut transaction = self.begin().await?;
        let work = async {
            let model = next_id(&mut transaction, next).await?;
            for ((hash, _), bytes) in vectors.iter().zip(bytes) {
                sqlx::query("INSERT INTO embeddings (model_id, hash, vector) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                    .bind(model)
                    .bind(hash.as_slice())
                    .bind(bytes)
                    .execute(&mut *transaction)
                    .await?;
            }
            Ok(())
        };
        work.await.map_err(|error| self.error(error))?;
        crash::point("next-before-commit");
        transaction.commit().await.map_err(|error| self.error(error))
    }

    /// The next model answers from here on. Every chunk must be named, and every vector be there; else nothing changes.
    pub(crate) async fn switch_model(&self, next: &EmbeddingModelInfo, chunks: &[NextRows]) -> Result<(), IndexError> {
        let sql = |error| self.error(error);
        let mut transaction = self.begin().await?;
        let model = next_id(&mut transaction, next).await.map_err(sql)?;
        let sequence = next_sequence(&mut transaction).await.map_err(sql)?;
        let mut cut = HashSet::new();
        for (ordinal, chunk) in chunks.iter().enumerate() {
            let missing = |hash: &[u8; 32]| IndexError::MissingVector { ordinal, hash: hex(hash) };
            match chunk {
                NextRows::Same { chunk, hash, tokens } => {
                    let embedding =
                        embedding(&mut transaction, model, hash).await.map_err(sql)?.ok_or_else(|| missing(hash))?;
                    sqlx::query("UPDATE chunks SET embedding_id = ?, tokens = ? WHERE id = ?")
                        .bind(embedding)
                        .bind(tokens)
                        .bind(chunk)
                        .execute(&mut *transaction)
                        .await
                        .map_err(sql)?;
                }
                NextRows::Cut { chunk, parts } => {
                    let place: Option<(i64, i64)> =
                        sqlx::query_as("DELETE FROM chunks WHERE id = ? RETURNING document_id, ordinal")
                            .bind(chunk)
                            .fetch_optional(&mut *transaction)
                            .await
                            .map_err(sql)?;
                    let Some((document, ordinal)) = place else { continue };
                    note_change(&mut transaction, sequence, *chunk, document, 0).await.map_err(sql)?;
                    for part in parts {
                        let embedding = embedding(&mut transaction, model, &part.hash).await.map_err(sql)?;
                        let embedding = embedding.ok_or_else(|| missing(&part.hash))?;
                        let id =
                            insert_chunk(&mut transaction, document, embedding, ordinal, part).await.map_err(sql)?;
                        note_change(&mut transaction, sequence, id, document, 1).await.map_err(sql)?;
                    }
                    cut.insert(document);
                }
            }
        }
        let work = async {
            for document in cut {
                sqlx::query(
                    "UPDATE chunks SET ordinal = placed.ordinal FROM (SELECT id, row_number() OVER (ORDER BY ordinal, span_start) - 1 \
                     AS ordinal FROM chunks WHERE document_id = ?) AS placed WHERE chunks.id = placed.id",
                )
                .bind(document)
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM chunks k JOIN embeddings e ON e.id = k.embedding_id WHERE e.model_id <> ?",
            )
            .bind(model)
            .fetch_one(&mut *transaction)
            .await
        };
        let left = work.await.map_err(sql)?;
        if left > 0 {
            return Err(IndexError::UnfinishedModel { name: next.name.clone(), left: left.cast_unsigned() });
        }
        let work = async {
            sqlx::query("DELETE FROM segments").execute(&mut *transaction).await?;
            sqlx::query("UPDATE store SET model_id = ?, segments_generation = segments_generation + 1 WHERE id = 1")
                .bind(model)
                .execute(&mut *transaction)
                .await?;
            forget_others(&mut transaction, [model, model]).await
        };
        work.await.map_err(sql)?;
        crash::point("switch-before-commit");
        transaction.commit().await.map_err(sql)?;
        crash::point("switch-after-commit");
        Ok(())
    }
}

async fn next_id(connection: &mut SqliteConnection, next: &EmbeddingModelInfo) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM models WHERE name = ? AND sha256_hex = ?")
        .bind(&next.name)
        .bind(&next.sha256_hex)
        .fetch_one(connection)
        .await
}

async fn embedding(connection: &mut SqliteConnection, model: i64, hash: &[u8; 32]) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM embeddings WHERE model_id = ? AND hash = ?")
        .bind(model)
        .bind(hash.as_slice())
        .fetch_optional(connection)
        .await
}

/// Removes all models but two, and their vectors.
pub(super) async fn forget_others(connection: &mut SqliteConnection, kept: [i64; 2]) -> Result<(), sqlx::Error> {
    let others: Vec<i64> = sqlx::query_scalar("SELECT id FROM models WHERE id NOT IN (?, ?)")
        .bind(kept[0])
        .bind(kept[1])
        .fetch_all(&mut *connection)
        .await?;
    for model in others {
        for statement in ["DELETE FROM embeddings WHERE model_id = ?", "DELETE FROM models WHERE id = ?"] {
            sqlx::query(statement).bind(model).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
