-- Pages without a text layer that nobody was there to read: the file is read again once tesseract is.

ALTER TABLE documents ADD COLUMN waits_for_ocr INTEGER NOT NULL DEFAULT 0; -- 1: some of its pages, or of what it holds

-- Whether somebody was there was not noted: those that have pages without text are read once more.
UPDATE documents SET waits_for_ocr = 1 WHERE format = 'pdf' AND warnings LIKE '%no text on page%';

PRAGMA user_version = 5;
