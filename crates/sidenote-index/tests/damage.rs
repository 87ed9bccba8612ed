//! Damaged, foreign, newer and removed: what the files of the data folder may not do to a user.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]
#![expect(clippy::cast_possible_truncation, reason = "files of a test are small")]

mod common;

use std::path::Path;

use common::*;
use sidenote_index::{
    EmbeddingModelInfo, Failure, Filter, Index, IndexError, IndexOptions, IndexWriter, NewChunk, VectorMode,
};
use sidenote_text::Page;

const CANARY: &str = "quixoticzephyr";

fn sealing() -> IndexOptions {
    IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() }
}

fn fill(folder: &Path) {
    let index = Index::open(folder, &sealing()).unwrap();
    let mut writer = writer(&index);
    for number in 0..20 {
        put_numbered(&mut writer, number);
    }
    writer.commit().unwrap();
    assert_eq!(writer.seal(&mut |_, _| true).unwrap().sealed_vectors, 40);
}

/// Two lines, each a chunk on a page of its own.
fn put_numbered(writer: &mut IndexWriter, number: u32) {
    let (mut document, mut chunks) =
        document("default", &format!("/{number}.md"), &format!("alpha beta {number}\ngamma delta {number}\n"));
    document.author = Some(format!("Author {number}"));
    for (page, chunk) in (number + 1..).zip(&mut chunks) {
        document.pages.push(Page { number: page, span: chunk.chunk.span });
        chunk.chunk.page = Some(page);
        chunk.chunk.heading = vec![format!("Heading {number}")];
    }
    writer.put(&document, &chunks).unwrap();
}

fn assert_all_found(folder: &Path, at: &str) {
    let index = Index::open(folder, &sealing()).unwrap();
    assert_eq!(lexical(&index, "alpha").len(), 20, "{at}");
    assert_eq!(lexical(&index, "delta 7")[0], "gamma delta 7", "{at}");
    assert_eq!(dense(&index, "gamma delta 7", 100).len(), 40, "{at}");
    assert_eq!(dense(&index, "gamma delta 7", 1), ["gamma delta 7"], "{at}");
}

fn copy(from: &Path, to: &Path) {
    for file in all_files(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::copy(&file, &place).unwrap();
    }
}

#[test]
fn a_flipped_byte_in_any_derived_file_is_noticed_and_made_good() {
    let sound = tempfile::tempdir().unwrap();
    fill(sound.path());
    let mut derived: Vec<_> = all_files(&sound.path().join("lexical"));
    derived.extend(all_files(&sound.path().join("vectors")));
    assert!(derived.len() >= 8, "{derived:?}");
    for file in derived {
        let name = file.strip_prefix(sound.path()).unwrap();
        let length = fs_err::metadata(&file).unwrap().len() as usize;
        if length == 0 {
            continue;
        }
        for change in ["middle", "first", "cut", "gone"] {
            let folder = tempfile::tempdir().unwrap();
            copy(sound.path(), folder.path());
            let place = folder.path().join(name);
            let mut bytes = fs_err::read(&place).unwrap();
            match change {
                "middle" => bytes[length / 2] ^= 0x55,
                "first" => bytes[0] ^= 0x55,
                _ => bytes.truncate(length / 2),
            }
            if change == "gone" {
                fs_err::remove_file(&place).unwrap()
            } else {
                fs_err::write(&place, bytes).unwrap()
            }
            let at = format!("{change} of {}", name.display());
            assert_all_found(folder.path(), &at);
            let index = Index::open(folder.path(), &sealing()).unwrap();
            let mut writer = index.writer().unwrap();
            writer.commit().unwrap();
            writer.seal(&mut |_, _| true).unwrap();
            drop(writer);
            drop(index);
            assert_all_found(folder.path(), &at);
        }
    }
}

/// What a search of everything gives, each text with all that is shown beside it, or why it gives nothing.
fn all_texts(folder: &Path) -> Result<Vec<String>, IndexError> {
    let index = Index::open(folder, &sealing())?;
    let everything = Filter::default();
    let mut found = index.search_lexical("alpha gamma", 100, &everything)?;
    found.extend(index.search_dense(&vector_of("gamma delta 7"), MODEL, 100, &everything)?);
    let ids: Vec<_> = found.iter().map(|hit| hit.chunk).collect();
    let mut chunks = index.chunks(&ids)?;
    let mut texts = Vec::new();
    for document in index.documents(None)? {
        let listed = index.chunks_of(document.id)?;
        chunks.extend(index.chunks(&listed.iter().map(|chunk| chunk.id).collect::<Vec<_>>())?);
        chunks.extend(listed);
        for page in index.pages(document.id)? {
            texts.push(format!(
                "{}: {} on page {}",
                document.uri,
                shown(index.text(document.id, page.span)?),
                page.number
            ));
        }
    }
    for chunk in chunks {
        let document = shown(index.document(chunk.document)?);
        let (title, author) = (shown(document.title), shown(document.author));
        texts.push(format!("{}: {} on page {}", document.uri, chunk.text, shown(chunk.page)));
        texts.push(format!("{} {title} by {author}: {:?}", document.path.display(), chunk.heading));
    }
    Ok(texts)
}

/// What must be there; a damaged database may say so, but may not say that there is nothing.
fn shown<T>(value: Option<T>) -> T {
    value.unwrap()
}

#[test]
fn a_change_anywhere_in_the_database_gives_the_right_texts_or_an_error() {
    let (sound, live) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(sound.path());
    {
        // A copy with a write-ahead log: of a folder that is written to.
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let index = Index::open(folder.path(), &sealing()).unwrap();
        let mut writer = writer(&index);
        put_numbered(&mut writer, 20);
        copy(folder.path(), live.path());
    }
    let steps = if std::env::var_os("SIDENOTE_SLOW_TESTS").is_some() { 2_000 } else { 150 };
    let known: Vec<String> = (0..=20)
        .flat_map(|number| {
            [
                format!("file:///{number}.md: alpha beta {number} on page {}", number + 1),
                format!("file:///{number}.md: gamma delta {number} on page {}", number + 2),
                format!("/{number}.md Title of /{number}.md by Author {number}: [\"Heading {number}\"]"),
            ]
        })
        .collect();
    let mut random = Random::new(17);
    let (mut right, mut refused) = (0, 0);
    for (from, name) in [(&sound, "documents.sqlite"), (&live, "documents.sqlite"), (&live, "documents.sqlite-wal")] {
        let bytes = fs_err::read(from.path().join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for step in 0..steps {
            copy(from.path(), folder.path());
            let at = random.below(bytes.len());
            let mut spoilt = bytes.clone();
            if step % 5 == 0 {
                spoilt.truncate(at)
            } else {
                spoilt[at] ^= 1 << random.below(8)
            }
            fs_err::write(folder.path().join(name), spoilt).unwrap();
            match all_texts(folder.path()) {
                Ok(texts) => {
                    right += 1;
                    for text in texts {
                        assert!(known.contains(&text), "{name}, step {step}, byte {at}: {text:?}");
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
            fs_err::remove_dir_all(folder.path()).unwrap();
        }
    }
    assert!(right > 0 && refused > 0, "{right} right, {refused} refused");
}

#[test]
fn derived_folders_may_vanish_or_come_from_another_data_folder() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(folder.path());
    {
        let index = Index::open(other.path(), &sealing()).unwrap();
        let mut writer = writer(&index);
        put(&mut writer, "/x.md", "alpha of another folder\nand more\n");
        writer.commit().unwrap();
        writer.seal(&mut |_, _| true).unwrap();
    }
    for name in ["lexical", "vectors"] {
        fs_err::remove_dir_all(folder.path().join(name)).unwrap();
        copy(&other.path().join(name), &folder.path().join(name));
    }
    assert_all_found(folder.path(), "foreign folders");
    for name in ["lexical", "vectors"] {
        fs_err::remove_dir_all(folder.path().join(name)).unwrap();
    }
    assert_all_found(folder.path(), "no folders");
}

#[test]
fn a_database_that_went_back_in_time_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let before = fs_err::read(folder.path().join("documents.sqlite")).unwrap();
    {
        let index = Index::open(folder.path(), &sealing()).unwrap();
        let mut writer = writer(&index);
        put(&mut writer, "/later.md", "alpha alpha later\n");
        writer.commit().unwrap();
    }
    for extra in ["documents.sqlite-wal", "documents.sqlite-shm"] {
        let _ = fs_err::remove_file(folder.path().join(extra));
    }
    fs_err::write(folder.path().join("documents.sqlite"), before).unwrap();
    assert_all_found(folder.path(), "a restored database");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let path = folder.path().join("documents.sqlite");
    let mut bytes = fs_err::read(&path).unwrap();
    // The user version is a big-endian number at byte 60 of an SQLite file.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs_err::write(&path, &bytes).unwrap();
    let refused = Index::open(folder.path(), &IndexOptions::default()).unwrap_err();
    assert!(
        matches!(&refused, IndexError::NewerVersion { found: 99, supported: 8, path: named } if *named == path),
        "{refused}"
    );
    assert!(Index::open_existing(folder.path(), &IndexOptions::default()).is_err());
    assert_eq!(fs_err::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let path = folder.path().join("documents.sqlite");
    let sound = fs_err::read(&path).unwrap();
    let outcome = |bytes: &[u8]| -> Result<(), IndexError> {
        fs_err::write(&path, bytes).unwrap();
        let index = Index::open(folder.path(), &IndexOptions::default())?;
        for document in index.documents(None)? {
            index.chunks_of(document.id)?;
        }
        index.search_dense(&vector_of("alpha"), MODEL, 10, &Filter::default())?;
        index.search_lexical("alpha", 10, &Filter::default())?;
        Ok(())
    };
    let text = b"this is not a database, whatever its name says".repeat(100);
    for bytes in [&text[..], b"short", b"SQLite format 3\0"] {
        assert!(matches!(outcome(bytes), Err(IndexError::Damaged { path: named, .. }) if named == path));
    }
    let mut torn = sound.clone();
    for byte in &mut torn[8192..] {
        *byte = 0xa5;
    }
    assert!(matches!(outcome(&torn), Err(IndexError::Damaged { .. })), "{:?}", outcome(&torn));
    assert!(matches!(outcome(&sound[..sound.len() / 2]), Err(IndexError::Damaged { .. })));
    let mut foreign = sound.clone();
    foreign[68..72].copy_from_slice(&7_u32.to_be_bytes());
    assert!(matches!(outcome(&foreign), Err(IndexError::Damaged { .. })));
    outcome(&sound).unwrap();
    fs_err::remove_file(&path).unwrap();
    fs_err::create_dir(&path).unwrap();
    let refused = Index::open(folder.path(), &IndexOptions::default()).unwrap_err();
    assert!(matches!(refused, IndexError::Damaged { .. }), "{refused}");
}

#[test]
fn what_was_removed_is_in_no_byte_after_a_purge() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), &sealing()).unwrap();
    let mut writer = writer(&index);
    for number in 0..30 {
        put(&mut writer, &format!("/{number}.md"), &format!("alpha beta {number}\n"));
    }
    let secret_line = format!("alpha {CANARY} in the text");
    let (mut document, mut chunks) =
        document("default", &format!("/{CANARY}.md"), &format!("{}\n{secret_line}\n", "long ".repeat(9000)));
    document.title = Some(format!("Title {CANARY}"));
    document.warnings = vec![format!("warning {CANARY}")];
    chunks[1].chunk.heading = vec![format!("Heading {CANARY}")];
    let (id, _) = writer.put(&document, &chunks).unwrap();
    let failure = Failure {
        collection: "default".to_owned(),
        path: "/f.pdf".into(),
        reason: "a failure that stays".to_owned(),
        fingerprint: None,
        tried_with: String::new(),
    };
    writer.record_failure(&failure).unwrap();
    writer.commit().unwrap();
    writer.seal(&mut |_, _| true).unwrap();
    // Overwritten text is removed text.
    put(&mut writer, "/0.md", &format!("alpha {CANARY} once\n"));
    writer.commit().unwrap();
    put(&mut writer, "/0.md", "alpha beta 0\n");
    let vector: Vec<u8> = vector_of(&secret_line).iter().flat_map(|number| number.to_le_bytes()).collect();
    let traces = |needle: &[u8]| -> Vec<_> {
        all_files(folder.path()).into_iter().filter(|file| contains(&fs_err::read(file).unwrap(), needle)).collect()
    };
    assert!(traces(&vector[..16]).len() >= 2, "the vector is in the database and in the segment");
    assert!(!traces(CANARY.as_bytes()).is_empty());
    assert_eq!(writer.remove(&[id]).unwrap(), 1);
    let report = writer.compact().unwrap();
    assert_eq!(report.dropped_vectors, 3);
    assert_eq!(traces(CANARY.as_bytes()), [] as [&Path; 0]);
    assert_eq!(traces(&vector[..16]), [] as [&Path; 0]);
    // The dictionary of terms is compressed: ask it.
    let generation = fs_err::read_dir(folder.path().join("lexical"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    let terms = tantivy::Index::open_in_dir(generation).unwrap();
    let reader = terms.reader().unwrap();
    for (field, _) in terms.schema().fields().filter(|(_, entry)| entry.field_type().is_str()) {
        for word in [CANARY, "quixoticzephyr", "heading", "alpha"] {
            for segment in reader.searcher().segment_readers() {
                let known = segment.inverted_index(field).unwrap().terms().get(word.as_bytes()).unwrap();
                assert!(known.is_none() || word == "alpha", "{word} is in the dictionary");
            }
        }
    }
    assert_eq!(lexical(&index, "alpha").len(), 30);
    assert_eq!(dense(&index, "alpha", 100).len(), 30);
    drop(writer);
    assert_eq!(traces(CANARY.as_bytes()), [] as [&Path; 0]);
}

#[test]
fn files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fill(&data);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join("lexical")), 0o700);
        for file in all_files(&data) {
            assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
        }
    }
}

#[test]
fn sealed_segments_find_what_comparing_every_vector_finds() {
    const MANY: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let model = EmbeddingModelInfo { name: "wide".to_owned(), sha256_hex: "ef".repeat(32), dimensions: MANY };
    let index = Index::open(
        folder.path(),
        &IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() },
    )
    .unwrap();
    let mut writer = index.writer().unwrap();
    writer.set_embedding_model(&model).unwrap();
    let mut random = Random::new(5);
    let centres: Vec<Vec<f32>> = (0..40).map(|_| (0..MANY).map(|_| random.number()).collect()).collect();
    let near = |random: &mut Random| -> Vec<f32> {
        let centre = random.pick(&centres).clone();
        centre.into_iter().map(|number| number + 0.5 * random.number()).collect()
    };
    for number in 0..20 {
        let lines: String = (0..100).map(|line| format!("line {line} of {number}\n")).collect();
        let (document, chunks) = document("default", &format!("/{number}.md"), &lines);
        let chunks: Vec<NewChunk> =
            chunks.into_iter().map(|chunk| NewChunk { vector: Some(near(&mut random)), ..chunk }).collect();
        writer.put(&document, &chunks).unwrap();
        if number < 15 {
            writer.seal(&mut |_, _| true).unwrap();
        }
    }
    assert_eq!(index.status().unwrap().sealed_vectors, 1500);
    let segments = fs_err::read_dir(folder.path().join("vectors")).unwrap().count();
    assert!(segments >= 4, "{segments}");
    let gone = index.find_document("default", "/3.md".as_ref()).unwrap().unwrap().id;
    writer.remove(&[gone]).unwrap();
    writer.commit().unwrap();
    let exact =
        Index::open(folder.path(), &IndexOptions { vector: VectorMode::Exact, ..IndexOptions::default() }).unwrap();
    let only = |number: i64| Filter { documents: Some(vec![sidenote_index::DocumentId(number)]), ..Filter::default() };
    let wide = Filter { documents: Some((1..=18).map(sidenote_index::DocumentId).collect()), ..Filter::default() };
    let (mut found, mut wanted) = (0, 0);
    for round in 0..60 {
        let query = near(&mut random);
        for filter in [Filter::default(), wide.clone(), only(7), only(gone.0)] {
            let expected = exact.search_dense(&query, "wide", 10, &filter).unwrap();
            let hits = index.search_dense(&query, "wide", 10, &filter).unwrap();
            assert_eq!(hits.len(), expected.len(), "round {round}");
            assert!(hits.iter().all(|hit| hit.document != gone));
            assert!(
                hits.iter()
                    .all(|hit| filter.documents.as_ref().is_none_or(|documents| documents.contains(&hit.document)))
            );
            found += hits.iter().filter(|hit| expected.iter().any(|other| other == *hit)).count();
            wanted += expected.len();
        }
        if round == 30 {
            // From one segment on.
            assert_eq!(writer.seal(&mut |_, _| true).unwrap().replaced_segments, segments);
            assert_eq!(index.status().unwrap().sealed_vectors, 1900);
        }
    }
    assert!(found * 1000 >= wanted * 985, "found {found} of {wanted}");
}

#[test]
fn a_reader_sees_whole_documents_while_another_handle_writes() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path());
    let mut writer = writer(&index);
    let text = |version: usize| (0..50).map(|line| format!("version v{version}v line {line}\n")).collect::<String>();
    put(&mut writer, "/a.md", &text(0));
    let id = index.documents(None).unwrap()[0].id;
    let reading = open(folder.path());
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let finished = std::sync::Arc::clone(&done);
    let (begin, begun) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let last = finished.load(std::sync::atomic::Ordering::SeqCst);
            let chunks = reading.chunks_of(id).unwrap();
            assert_eq!(chunks.len(), 50);
            let version = chunks[0].text.split(' ').nth(1).unwrap().to_owned();
            assert!(chunks.iter().all(|chunk| chunk.text.split(' ').nth(1) == Some(version.as_str())));
            seen.insert(version);
            for hit in reading.search_lexical("version", 5, &Filter::default()).unwrap() {
                let _ = reading.chunks(&[hit.chunk]).unwrap();
            }
            reading.search_dense(&vector_of("version"), MODEL, 5, &Filter::default()).unwrap();
            let _ = begin.send(());
            if last {
                return seen.len();
            }
        }
    });
    begun.recv().unwrap();
    for version in 1..40 {
        put(&mut writer, "/a.md", &text(version));
        if version % 5 == 0 {
            writer.commit().unwrap();
        }
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(reader.join().unwrap() >= 2, "the reader saw the document change");
}

#[test]
fn the_schema_is_the_one_that_was_reviewed() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let tables: Vec<(String, String)> = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("documents.sqlite")).read_only(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name")
            .fetch_all(&pool)
            .await
            .unwrap()
    });
    let mut schema = String::new();
    for (_, sql) in tables {
        for line in sql.lines() {
            let line = line.split("--").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
            schema.push_str(&line);
            schema.push('\n');
        }
        schema.push('\n');
    }
    let path = Path::new("tests/schema.snap");
    if std::env::var_os("SIDENOTE_UPDATE_SNAPSHOTS").is_some() {
        fs_err::write(path, &schema).unwrap();
    }
    assert_eq!(schema, fs_err::read_to_string(path).unwrap(), "SIDENOTE_UPDATE_SNAPSHOTS=1 accepts a change");
}

#[test]
fn a_data_folder_of_the_first_version_is_opened_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let mut first = sqlx::migrate!("../../migrations");
        first.migrations.to_mut().truncate(1);
        first.run(&pool).await.unwrap();
        for statement in [
            "INSERT INTO collections (id, name) VALUES (1, 'default')",
            "INSERT INTO models (id, name, sha256_hex, dimensions) VALUES (1, 'test-model', 'ab', 2)",
            "INSERT INTO documents (id, collection_id, path, format, size, mtime_ns, inode, sha256, text_bytes) \
             VALUES (1, 1, CAST('/old.md' AS BLOB), 'markdown', 9, 5, 7, zeroblob(32), 9)",
            "INSERT INTO texts VALUES (1, 0, CAST('kingfisher' AS BLOB))",
            "UPDATE documents SET text_bytes = 10",
            "INSERT INTO embeddings VALUES (1, 1, x'5050945cdfa28646d140e7765f89567ad52f8f3585c37effbab5ad575da8d012', x'0000803f00000000')",
            "INSERT INTO chunks (id, document_id, embedding_id, ordinal, span_start, span_end, heading, prefix, tokens) \
             VALUES (1, 1, 1, 0, 0, 10, '[]', '', 3)",
            "INSERT INTO changes VALUES (1, 1, 1, 1)",
            "UPDATE store SET sequence = 1",
            "INSERT INTO failures (collection_id, path, reason) VALUES (1, CAST('/bad.pdf' AS BLOB), 'damaged')",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
    });
    let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    let hits = index.search_lexical("kingfisher", 5, &Filter::default()).unwrap();
    assert_eq!(index.chunks(&[hits[0].chunk]).unwrap()[0].text, "kingfisher");
    assert_eq!(index.search_dense(&[1.0, 0.0], "test-model", 5, &Filter::default()).unwrap().len(), 1);
    let document = &index.documents(None).unwrap()[0];
    assert_eq!((document.author.as_deref(), document.created_unix_ms), (None, None));
    assert_eq!(index.failures(None).unwrap()[0].tried_with, "");
}
