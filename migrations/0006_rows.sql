-- Which lines of a chunk are which rows of its sheet: a list of [offset in the chunk's text, row]. NULL where it has none.

ALTER TABLE chunks ADD COLUMN row_marks TEXT;

PRAGMA user_version = 6;
