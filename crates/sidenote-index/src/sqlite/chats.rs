//! Rows of conversations. Answers go by triggers of the schema when a document goes, so nothing here looks after that.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::checksum::{Checksum, is_damage};
use super::rows::{json_ids, state, text};
use super::{Reader, Writer, unsigned};
use crate::crash;
use crate::error::IndexError;
use crate::types::{ChatId, ChatSummary, DocumentId, KeptChat, KeptTurn, NewTurn};

impl Reader {
    /// Conversations, the one that was last gone on with first.
    pub(crate) async fn chats(&self, collection: Option<&str>) -> Result<Vec<ChatSummary>, IndexError> {
        let rows = sqlx::query(
            "SELECT c.id, c.collection, c.begun_unix_ms, c.checksum, count(t.number), max(t.asked_unix_ms), \
             (SELECT question FROM turns f WHERE f.chat_id = c.id ORDER BY f.number LIMIT 1) \
             FROM chats c JOIN turns t ON t.chat_id = c.id WHERE ?1 IS NULL OR c.collection = ?1 \
             GROUP BY c.id ORDER BY max(t.asked_unix_ms) DESC, c.id DESC",
        )
        .bind(collection)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.error(error))?;
        rows.iter().map(summary).collect::<Result<_, _>>().map_err(|error| self.error(error))
    }

    /// A conversation; `None` where there is none of this number.
    pub(crate) async fn chat(&self, id: ChatId) -> Result<Option<KeptChat>, IndexError> {
        let mut snapshot = self.snapshot().await?;
        kept_chat(&mut snapshot, id.0).await.map_err(|error| self.error(error))
    }

    /// The number of all turns, and conversations with rows that are not as they were stored.
    pub(crate) async fn damaged_chats(&self) -> Result<(u64, Vec<ChatId>), IndexError> {
        let mut snapshot = self.snapshot().await?;
        let work = async {
            let (mut all, mut damaged) = (0, Vec::new());
            let ids: Vec<i64> =
                sqlx::query_scalar("SELECT id FROM chats ORDER BY id").fetch_all(&mut *snapshot).await?;
            for id in ids {
                match kept_chat(&mut snapshot, id).await {
                    Ok(chat) => all += chat.map_or(0, |chat| chat.turns.len()) as u64,
                    Err(error) if is_damage(&error) => damaged.push(ChatId(id)),
                    Err(other) => return Err(other),
                }
            }
            Ok((all, damaged))
        };
        work.await.map_err(|error| self.error(error))
    }
}

impl Writer {
    /// Stores a turn behind those of a conversation, or as the first of a new one. Its answer is left out where a document of it is
    /// gone, or does not have the words that were quoted: nothing can be removed between this look and the end of the transaction.
    /// `None` where there is no such conversation, or the database is not the one of the name `store` any more, but a restored one.
    pub(crate) async fn keep_turn(
        &self,
        store: &str,
        chat: Option<ChatId>,
        collection: Option<&str>,
        turn: &NewTurn,
    ) -> Result<Option<(ChatId, u32)>, IndexError> {
        let mut transaction = self.begin().await?;
        let work = async {
            if state(&mut transaction).await?.uuid != store {
                return Ok(None);
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            let chat = match chat {
                Some(ChatId(known)) => {
                    let there: Option<i64> = sqlx::query_scalar("SELECT id FROM chats WHERE id = ?")
                        .bind(known)
                        .fetch_optional(&mut *transaction)
                        .await?;
                    let Some(id) = there else { return Ok(None) };
                    id
                }
                None => insert_chat(&mut transaction, collection, now).await?,
            };
            let number: i64 = sqlx::query_scalar("SELECT coalesce(max(number), 0) + 1 FROM turns WHERE chat_id = ?")
                .bind(chat)
                .fetch_one(&mut *transaction)
                .await?;
            let stands = still_stands(&mut transaction, turn).await?;
            let answer = stands.then_some(turn.answer.as_str());
            sqlx::query(
                "INSERT INTO turns (chat_id, number, asked_unix_ms, question, checksum, answer, answer_checksum) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(chat)
            .bind(number)
            .bind(now)
            .bind(&turn.question)
            .bind(turn_checksum(chat, number, now, &turn.question).value())
            .bind(answer)
            .bind(answer.map(|answer| answer_checksum(chat, number, answer).value()))
            .execute(&mut *transaction)
            .await?;
            if stands {
                sqlx::query(
                    "INSERT INTO turn_documents (document_id, chat_id, number) SELECT DISTINCT value, ?, ? FROM json_each(?)",
                )
                .bind(chat)
                .bind(number)
                .bind(json_ids(turn.documents.iter().map(|id| id.0)))
                .execute(&mut *transaction)
                .await?;
            }
            Ok(Some((ChatId(chat), u32::try_from(number).unwrap_or(u32::MAX))))
        };
        let kept = work.await.map_err(|error| self.error(error))?;
        crash::point("turn-before-commit");
        transaction.commit().await.map_err(|error| self.error(error))?;
        Ok(kept)
    }

    /// Deletes conversations, or all of them; returns how many there were.
    pub(crate) async fn delete_chats(&self, ids: Option<&[ChatId]>) -> Result<u64, IndexError> {
        let list = ids.map(|ids| json_ids(ids.iter().map(|id| id.0)));
        // Turns go with it (ON DELETE CASCADE).
        let done = sqlx::query("DELETE FROM chats WHERE ?1 IS NULL OR id IN (SELECT value FROM json_each(?1))")
            .bind(list)
            .execute(&self.pool)
            .await
            .map_err(|error| self.error(error))?;
        Ok(done.rows_affected())
    }
}

async fn insert_chat(
    connection: &mut SqliteConnection,
    collection: Option<&str>,
    now: i64,
) -> Result<i64, sqlx::Error> {
    let id: i64 =
        sqlx::query_scalar("INSERT INTO chats (collection, begun_unix_ms, checksum) VALUES (?, ?, 0) RETURNING id")
            .bind(collection)
            .bind(now)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query("UPDATE chats SET checksum = ? WHERE id = ?")
        .bind(chat_checksum(id, collection, now).value())
        .bind(id)
        .execute(connection)
        .await?;
    Ok(id)
}

/// Whether every document of a turn is there and has the words that were quoted.
async fn still_stands(connection: &mut SqliteConnection, turn: &NewTurn) -> Result<bool, sqlx::Error> {
    let documents = json_ids(turn.documents.iter().map(|id| id.0));
    let gone: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = j.value))",
    )
    .bind(documents)
    .fetch_one(&mut *connection)
    .await?;
    if gone {
        return Ok(false);
    }
    for (document, span, quote) in &turn.quotes {
        if text(&mut *connection, *document, *span).await?.as_ref() != Some(quote) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn kept_chat(connection: &mut SqliteConnection, id: i64) -> Result<Option<KeptChat>, sqlx::Error> {
    let row = sqlx::query("SELECT id, collection, begun_unix_ms, checksum FROM chats WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (collection, _) = chat_of(&row)?;
    Ok(Some(KeptChat { collection, turns: turns_of(connection, id).await? }))
}

async fn turns_of(connection: &mut SqliteConnection, chat: i64) -> Result<Vec<KeptTurn>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT number, asked_unix_ms, question, checksum, answer, answer_checksum, \
         (SELECT json_group_array(document_id) FROM turn_documents d WHERE d.chat_id = t.chat_id AND d.number = t.number) \
         FROM turns t WHERE chat_id = ? ORDER BY number",
    )
    .bind(chat)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| turn(row, chat)).collect()
}

fn turn(row: &SqliteRow, chat: i64) -> Result<KeptTurn, sqlx::Error> {
    let (number, asked_unix_ms): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (question, answer): (String, Option<String>) = (row.try_get(2)?, row.try_get(4)?);
    let what = || format!("turn {number} of chat {chat}");
    turn_checksum(chat, number, asked_unix_ms, &question).compare(row.try_get(3)?, what)?;
    if let Some(answer) = &answer {
        answer_checksum(chat, number, answer).compare(row.try_get(5)?, what)?;
    }
    let documents: Vec<i64> = serde_json::from_str(row.try_get(6)?).unwrap_or_default();
    Ok(KeptTurn {
        number: u32::try_from(number).unwrap_or(0),
        asked_unix_ms,
        question,
        answer,
        documents: documents.into_iter().map(DocumentId).collect(),
    })
}

/// The collection, and when it began.
fn chat_of(row: &SqliteRow) -> Result<(Option<String>, i64), sqlx::Error> {
    let (id, collection, begun): (i64, Option<String>, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    chat_checksum(id, collection.as_deref(), begun).compare(row.try_get(3)?, || format!("chat {id}"))?;
    Ok((collection, begun))
}

fn summary(row: &SqliteRow) -> Result<ChatSummary, sqlx::Error> {
    let (collection, begun_unix_ms) = chat_of(row)?;
    Ok(ChatSummary {
        id: ChatId(row.try_get(0)?),
        collection,
        begun_unix_ms,
        turns: unsigned(row.try_get(4)?),
        last_unix_ms: row.try_get(5)?,
        first_question: row.try_get(6)?,
    })
}

fn chat_checksum(id: i64, collection: Option<&str>, begun_unix_ms: i64) -> Checksum {
    Checksum::default().number(id).text(collection).number(begun_unix_ms)
}

fn turn_checksum(chat: i64, number: i64, asked_unix_ms: i64, question: &str) -> Checksum {
    Checksum::default().number(chat).number(number).number(asked_unix_ms).text(question)
}

fn answer_checksum(chat: i64, number: i64, answer: &str) -> Checksum {
    Checksum::default().number(chat).number(number).text(answer)
}
