-- Conversations. What a person asked is theirs; what was answered is made of documents, and goes with them.

CREATE TABLE chats (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
    collection    TEXT,                              -- what was asked about; null: all documents
    begun_unix_ms INTEGER NOT NULL,
    checksum      INTEGER NOT NULL
) STRICT;

CREATE TABLE turns (
    chat_id         INTEGER NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    number          INTEGER NOT NULL, -- 1, 2, ..
    asked_unix_ms   INTEGER NOT NULL,
    question        TEXT    NOT NULL,
    checksum        INTEGER NOT NULL, -- of the columns above
    answer          TEXT,             -- JSON of the crate above; null once a document that it rests on is gone or another
    answer_checksum INTEGER,
    PRIMARY KEY (chat_id, number)
) STRICT;

-- The documents whose words may be in an answer.
CREATE TABLE turn_documents (
    document_id INTEGER NOT NULL, -- of documents that were there when the answer was stored
    chat_id     INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    PRIMARY KEY (document_id, chat_id, number),
    FOREIGN KEY (chat_id, number) REFERENCES turns (chat_id, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_documents_by_turn ON turn_documents (chat_id, number);

-- Whatever removes a document removes what was answered from it, in the same transaction.
CREATE TRIGGER answers_go_with_their_documents AFTER DELETE ON documents
BEGIN
    UPDATE turns SET answer = NULL, answer_checksum = NULL WHERE (chat_id, number) IN
        (SELECT chat_id, number FROM turn_documents WHERE document_id = OLD.id);
    DELETE FROM turn_documents WHERE document_id = OLD.id;
END;

-- A document that is stored again has another text: only then is its length written.
CREATE TRIGGER answers_go_with_their_texts AFTER UPDATE OF text_bytes ON documents
BEGIN
    UPDATE turns SET answer = NULL, answer_checksum = NULL WHERE (chat_id, number) IN
        (SELECT chat_id, number FROM turn_documents WHERE document_id = OLD.id);
    DELETE FROM turn_documents WHERE document_id = OLD.id;
END;

PRAGMA user_version = 7;
