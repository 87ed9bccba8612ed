//! Conversations: kept beside the documents, in the same database, so that removing a document and forgetting what was answered from
//! it is one transaction, and a backup holds both.
//!
//! They are written without the writer's lock, while an ingest goes on: a turn is one short transaction of its own, and SQLite has
//! one wait for the other. A lock of their own keeps a restore away meanwhile.

use std::future::Future;

use crate::error::IndexError;
use crate::files::ChatLock;
use crate::index::Index;
use crate::sqlite::Writer;
use crate::types::{ChatId, ChatSummary, KeptChat, NewTurn};

impl Index {
    /// Conversations, all or those about one collection, the one that was last gone on with first.
    ///
    /// # Errors
    /// Where the database cannot be read, or a row is not as it was stored; so for [`Index::chat`].
    pub fn chats(&self, collection: Option<&str>) -> Result<Vec<ChatSummary>, IndexError> {
        let (reader, collection) = (self.inner.reader.clone(), collection.map(str::to_owned));
        self.inner.sqlite.wait(async move { reader.chats(collection.as_deref()).await })
    }

    /// A conversation; `None` where there is none of this number.
    pub fn chat(&self, id: ChatId) -> Result<Option<KeptChat>, IndexError> {
        let reader = self.inner.reader.clone();
        self.inner.sqlite.wait(async move { reader.chat(id).await })
    }

    /// Stores a turn behind those of a conversation, or as the first of a new one about `collection`. Returns the conversation and
    /// the turn's number in it; `None` where there is no such conversation, and then nothing is stored.
    ///
    /// The answer is stored where all of its documents are there and have the words that it quotes; it is forgotten as soon as
    /// one of them is removed, or stored anew.
    ///
    /// # Errors
    /// [`IndexError::Busy`] where another process writes for longer than some seconds, [`IndexError::DiskFull`].
    pub fn keep_turn(
        &self,
        chat: Option<ChatId>,
        collection: Option<&str>,
        turn: NewTurn,
    ) -> Result<Option<(ChatId, u32)>, IndexError> {
        let (store, collection) = (self.inner.state()?.uuid, collection.map(str::to_owned));
        self.beside(move |writer| async move { writer.keep_turn(&store, chat, collection.as_deref(), &turn).await })
    }

    /// Deletes conversations, or all; returns how many there were. Their bytes go with [`crate::IndexWriter::compact`].
    ///
    /// # Errors
    /// As [`Index::keep_turn`].
    pub fn delete_chats(&self, ids: Option<&[ChatId]>) -> Result<u64, IndexError> {
        let ids = ids.map(<[ChatId]>::to_vec);
        self.beside(move |writer| async move { writer.delete_chats(ids.as_deref()).await })
    }

    /// Does one short thing to the database beside whoever holds the writer's lock.
    fn beside<T: Send + 'static, F: Future<Output = Result<T, IndexError>> + Send>(
        &self,
        work: impl FnOnce(Writer) -> F + Send + 'static,
    ) -> Result<T, IndexError> {
        let layout = self.inner.layout.clone();
        // A restore puts another file in the place of the database.
        let _lock = ChatLock::take(&layout)?;
        self.inner.sqlite.wait(async move {
            let writer = Writer::beside(&layout).await?;
            let done = work(writer.clone()).await;
            writer.close().await;
            done
        })
    }
}
