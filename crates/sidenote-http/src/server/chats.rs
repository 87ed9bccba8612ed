//! Conversations over HTTP: those that are kept, and a question as the next of one.

use aide::axum::{ApiRouter, routing::get_with};
use axum::{Json, extract::State};
use sidenote::{AskEvent, AskRequest, CancelToken, Chat, ChatId};

use super::{
    Server,
    api::{Address, Asked, Numbered, OfCollection, blocking, filter_of, says},
    problem::Refusal,
};
use crate::wire::{self, AskBody, ChatList, ChatsDeleted};

pub(super) fn routes() -> ApiRouter<Server> {
    ApiRouter::new().api_route("/api/v1/chats", get_with(list, says("The conversations that are kept."))).api_route(
        "/api/v1/chats/{id}",
        get_with(show, says("A conversation, with its answers as far as their documents are there and unchanged."))
            .delete_with(forget, says("Deletes a conversation.")),
    )
}

async fn list(State(server): State<Server>, Asked(asked): Asked<OfCollection>) -> Result<Json<ChatList>, Refusal> {
    let collection = server.collection_of(asked.collection);
    let chats = blocking(&server, move |engine| engine.chats(collection.as_deref())).await?;
    Ok(Json(ChatList { chats: chats.iter().map(Into::into).collect() }))
}

async fn show(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<i64>>,
) -> Result<Json<wire::Chat>, Refusal> {
    Ok(Json((&known(&server, id).await?).into()))
}

async fn forget(
    State(server): State<Server>,
    Address(Numbered { id }): Address<Numbered<i64>>,
) -> Result<Json<ChatsDeleted>, Refusal> {
    let deleted = blocking(&server, move |engine| engine.delete_chats(Some(&[ChatId(id)]), false)).await?;
    if deleted == 0 { Err(Refusal::not_found("conversation")) } else { Ok(Json(ChatsDeleted { deleted })) }
}

async fn known(server: &Server, id: i64) -> Result<Chat, Refusal> {
    let found = blocking(server, move |engine| engine.chat(ChatId(id))).await?;
    found.ok_or_else(|| Refusal::not_found("conversation"))
}

/// The conversation that a question belongs to; `None` where it stands alone.
pub(super) async fn conversation(server: &Server, body: &AskBody) -> Result<Option<Chat>, Refusal> {
    if let Some(id) = body.chat {
        if !body.earlier.is_empty() {
            return Err(Refusal::field("earlier", "what was asked before is known from `chat`"));
        }
        let chat = known(server, id).await?;
        let asked = body.filter.as_ref().and_then(|filter| filter.collection.clone());
        if asked.is_some() && chat.collection.is_some() && asked != chat.collection {
            return Err(Refusal::field("filter.collection", "the conversation is about another"));
        }
        return Ok(Some(chat));
    }
    if !body.keep {
        return Ok(None);
    }
    let collection = filter_of(server, body.filter.clone())?.collection;
    Ok(Some(Chat { collection, ..Chat::default() }))
}

/// Asks, and keeps the answer in its conversation: the answer, and where it is kept. What cannot be kept is an answer all the same.
/// The last event is left to the caller.
pub(super) fn ask(
    server: &Server,
    request: &AskRequest,
    chat: Option<&Chat>,
    hear: &mut dyn FnMut(&AskEvent<'_>),
    cancel: &CancelToken,
) -> Result<wire::Answer, sidenote::Error> {
    let mut hear_but_the_last = |event: AskEvent<'_>| {
        if !matches!(event, AskEvent::Final(_)) {
            hear(&event);
        }
    };
    let engine = &server.inner.engine;
    let answer = server.ask(request, &mut hear_but_the_last, cancel)?;
    let mut told = wire::Answer::from(&answer);
    if let Some(chat) = chat.filter(|_| engine.config().chat.keep) {
        match engine.keep(chat, &answer) {
            Ok(kept) => told.chat = kept.map(|(ChatId(id), _)| id),
            Err(error) => tracing::warn!(%error, "an answer could not be kept"),
        }
    }
    Ok(told)
}
