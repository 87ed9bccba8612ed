//! `sidenote chats`.

use sidenote::ChatId;
use sidenote_http::{Chat, ChatList, ChatSummary, ChatsDeleted};

use super::{Session, chat::said};
use crate::{
    args::{ChatsCommand, DeleteChatsArgs, ShowChatArgs},
    exit::{Exit, Failure},
    format::counted,
    terminal::one_line,
};

/// Lists, shows or deletes the conversations that are kept.
pub(crate) fn run(session: &Session, command: Option<&ChatsCommand>) -> anyhow::Result<Exit> {
    match command {
        None | Some(ChatsCommand::List) => list(session),
        Some(ChatsCommand::Show(args)) => show(session, args),
        Some(ChatsCommand::Delete(args)) => delete(session, args),
    }
}

fn list(session: &Session) -> anyhow::Result<Exit> {
    let output = &session.output;
    let chats = session.engine()?.chats(session.collection.as_deref())?;
    let exit = if chats.is_empty() { Exit::Nothing } else { Exit::Done };
    let list = ChatList { chats: chats.iter().map(ChatSummary::from).collect() };
    if output.json {
        output.print_json(&list)?;
    } else if list.chats.is_empty() {
        output.hint("no conversation is kept; `sidenote chat` begins one");
    } else {
        let line = |chat: &ChatSummary| {
            let day = chat.last.as_deref().and_then(|time| time.get(..10)).unwrap_or_default();
            let mut about = format!("{day}, {}", counted(chat.turns, "question"));
            if let Some(collection) = &chat.collection {
                about = format!("{about}, in {}", one_line(collection));
            }
            format!("{:>4}  {}  {}", chat.id, one_line(&chat.first_question), output.terminal.dim(&about))
        };
        output.print(&list.chats.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(exit)
}

fn show(session: &Session, args: &ShowChatArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    let Some(chat) = session.engine()?.chat(ChatId(args.id))? else {
        output.hint(&format!("there is no chat {}; `sidenote chats` lists those that are kept", args.id));
        return Ok(Exit::Nothing);
    };
    if output.json {
        output.print_json(&Chat::from(&chat))?;
    } else {
        output.print(&chat.turns.iter().map(|turn| said(turn, output)).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Exit::Done)
}

fn delete(session: &Session, args: &DeleteChatsArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    if args.all && session.collection.is_some() {
        return Err(Failure::new("usage", "--all deletes the conversations of every collection")
            .hint("name their numbers; `sidenote chats --collection NAME` lists them")
            .into());
    }
    let ids: Vec<ChatId> = args.ids.iter().copied().map(ChatId).collect();
    let deleted = session.engine()?.delete_chats((!args.all).then_some(&ids), args.purge)?;
    if output.json {
        output.print_json(&ChatsDeleted { deleted })?;
    } else {
        output.print(&format!("deleted {}", counted(deleted, "conversation")))?;
    }
    Ok(if deleted == 0 { Exit::Nothing } else { Exit::Done })
}
