//! Conversations beside documents.

#![allow(clippy::unwrap_used, reason = "a test: what fails here fails it")]

mod common;

use common::*;
use sidenote_index::{ChatId, DocumentId, Index, IndexError, IndexOptions, KeptChat, NewTurn};
use sidenote_text::Span;

fn open() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    (folder, index)
}

fn stored(index: &Index, path: &str, text: &str) -> DocumentId {
    let mut writer = writer(index);
    put(&mut writer, path, text);
    writer.commit().unwrap();
    index.find_document("default", path.as_ref()).unwrap().unwrap().id
}

fn answers(index: &Index, chat: ChatId) -> Vec<Option<String>> {
    index.chat(chat).unwrap().unwrap().turns.into_iter().map(|turn| turn.answer).collect()
}

#[test]
fn conversations_are_kept_listed_gone_on_with_and_deleted() {
    let (_folder, index) = open();
    let heron = stored(&index, "/heron.md", "the heron stands\n");
    assert!(index.chats(None).unwrap().is_empty());
    let (first, number) = index.keep_turn(None, None, turn("where?", "here", &[heron])).unwrap().unwrap();
    assert_eq!(number, 1);
    let (second, _) = index.keep_turn(None, Some("work"), turn("who?", "he", &[heron, heron])).unwrap().unwrap();
    assert_eq!(index.keep_turn(Some(first), None, turn("and?", "there", &[])).unwrap(), Some((first, 2)));
    assert_eq!(index.keep_turn(Some(ChatId(99)), None, turn("?", "", &[])).unwrap(), None);

    let list = |collection| index.chats(collection).unwrap();
    let shown: Vec<_> = list(None).into_iter().map(|chat| (chat.id, chat.first_question, chat.turns)).collect();
    assert_eq!(shown, [(first, "where?".to_owned(), 2), (second, "who?".to_owned(), 1)], "the last gone on with first");
    assert_eq!(list(Some("work")).iter().map(|chat| chat.id).collect::<Vec<_>>(), [second]);
    let KeptChat { collection, turns } = index.chat(first).unwrap().unwrap();
    assert_eq!((collection, turns[0].number, turns[1].number), (None, 1, 2));
    assert_eq!((turns[0].question.as_str(), turns[0].answer.as_deref()), ("where?", Some("here")));
    assert_eq!((&turns[0].documents[..], turns[1].documents.len()), (&[heron][..], 0));

    assert_eq!(index.delete_chats(Some(&[first, ChatId(99)])).unwrap(), 1);
    assert!(index.chat(first).unwrap().is_none());
    assert_eq!(index.delete_chats(None).unwrap(), 1);
    let (third, _) = index.keep_turn(None, None, turn("?", "", &[])).unwrap().unwrap();
    assert!(third > second, "numbers are not given twice");
}

#[test]
fn an_answer_goes_with_its_documents_and_the_question_stays() {
    let (_folder, index) = open();
    let [heron, otter, pike] =
        ["heron", "otter", "pike"].map(|name| stored(&index, &format!("/{name}.md"), &format!("{name} one\n")));
    let keep = |chat, answer: &str, documents: &[DocumentId]| {
        index.keep_turn(chat, None, turn("?", answer, documents)).unwrap().unwrap().0
    };
    let chat = keep(None, "of both", &[heron, otter]);
    keep(Some(chat), "of the pike", &[pike]);
    keep(Some(chat), "of none", &[]);

    assert_eq!(stored(&index, "/otter.md", "otter two\n"), otter);
    assert_eq!(answers(&index, chat), [None, Some("of the pike".to_owned()), Some("of none".to_owned())]);
    // A look at a file that has not changed is no change.
    let fingerprint = index.document(pike).unwrap().unwrap().fingerprint;
    index.writer().unwrap().touch(&[pike], &fingerprint, Some(7)).unwrap();
    assert_eq!(answers(&index, chat)[1].as_deref(), Some("of the pike"));
    index.writer().unwrap().remove(&[pike]).unwrap();
    assert_eq!(answers(&index, chat), [None, None, Some("of none".to_owned())]);
    assert!(index.chat(chat).unwrap().unwrap().turns.iter().all(|turn| turn.question == "?"));
}

#[test]
fn an_answer_is_not_stored_where_its_document_is_another_already() {
    let (_folder, index) = open();
    let heron = stored(&index, "/heron.md", "the heron stands\n");
    let quoting = |quote: &str, span: Span, documents: &[DocumentId]| NewTurn {
        quotes: vec![(heron, span, quote.to_owned())],
        ..turn("?", "the heron", documents)
    };
    for (turn, is_stored) in [
        (quoting("heron", Span::new(4, 9), &[heron]), true),
        (quoting("otter", Span::new(4, 9), &[heron]), false),
        (quoting("heron", Span::new(4, 900), &[heron]), false),
        (quoting("heron", Span::new(4, 9), &[heron, DocumentId(99)]), false),
    ] {
        let (chat, _) = index.keep_turn(None, None, turn).unwrap().unwrap();
        assert_eq!(answers(&index, chat)[0].is_some(), is_stored);
    }
}

#[test]
fn a_turn_is_kept_while_somebody_else_holds_the_lock() {
    let (_folder, index) = open();
    let mut writer = writer(&index);
    put(&mut writer, "/heron.md", "heron\n");
    let (chat, _) = index.keep_turn(None, None, turn("?", "kept", &[])).unwrap().unwrap();
    put(&mut writer, "/otter.md", "otter\n");
    writer.commit().unwrap();
    assert_eq!(answers(&index, chat), [Some("kept".to_owned())]);
}

#[test]
fn deleted_conversations_are_in_no_byte_after_a_purge_and_a_backup_has_the_others() {
    let (folder, index) = open();
    stored(&index, "/heron.md", "heron\n");
    let (gone, _) = index.keep_turn(None, Some("xylograph"), turn("quixotic?", "zephyr", &[])).unwrap().unwrap();
    let (kept, _) = index.keep_turn(None, None, turn("other?", "one", &[])).unwrap().unwrap();
    index.delete_chats(Some(&[gone])).unwrap();
    index.writer().unwrap().compact().unwrap();
    for file in all_files(folder.path()) {
        let bytes = fs_err::read(&file).unwrap();
        for word in ["xylograph", "quixotic", "zephyr"] {
            assert!(!contains(&bytes, word.as_bytes()), "{word} in {}", file.display());
        }
    }
    let backup = folder.path().join("a.backup");
    index.backup(&backup).unwrap();
    let other = tempfile::tempdir().unwrap();
    Index::restore(&backup, other.path(), false).unwrap();
    let restored = Index::open(other.path(), &IndexOptions::default()).unwrap();
    assert_eq!(restored.chats(None).unwrap().iter().map(|chat| chat.id).collect::<Vec<_>>(), [kept]);
}

#[test]
fn a_turn_that_is_not_as_it_was_stored_is_an_error_and_a_repair_deletes_its_conversation() {
    for statement in [
        "UPDATE turns SET answer = 'forged'",
        "UPDATE turns SET question = 'forged'",
        "UPDATE chats SET collection = 'forged'",
    ] {
        let (folder, index) = open();
        let (chat, _) = index.keep_turn(None, None, turn("?", "true", &[])).unwrap().unwrap();
        run_sql(folder.path(), statement);
        assert!(matches!(index.chat(chat), Err(IndexError::Damaged { .. })), "{statement}");
        let mut writer = index.writer().unwrap();
        let failed: Vec<_> = writer.check().unwrap().into_iter().filter(|check| !check.ok).map(|it| it.name).collect();
        assert_eq!(failed, ["chats"], "{statement}");
        writer.repair(&|_| true).unwrap();
        assert!(writer.check().unwrap().iter().all(|check| check.ok), "{statement}");
        assert!(index.chat(chat).unwrap().is_none(), "{statement}");
    }
}
