-- Pages without a text layer that nobody was there to read: the file is read again once tesseract is.

ALTER TABLE documents ADD COLUMN waits_for_ocr INTEGER NOT NULL DEFAULT 0; -- 1: some of its pages, or of what it holds

PRAGMA user_version = 5;
