//! Checks, repairs, backups.

#![allow(clippy::unwrap_used, reason = "a test: what fails here fails it")]

mod common;

use std::path::Path;

use common::*;
use sidenote_index::{Filter, Index, IndexError, IndexOptions, VectorMode};

fn fill(folder: &Path) {
    let options = IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() };
    let index = Index::open(folder, &options).unwrap();
    let mut writer = writer(&index);
    for number in 0..20 {
        put(&mut writer, &format!("/{number}.md"), &format!("heron {number}\nkingfisher {number} of the reeds\n"));
    }
    writer.commit().unwrap();
    writer.seal(&mut |_, _| true).unwrap();
}

/// Names of the checks that failed.
fn failed(folder: &Path) -> Vec<&'static str> {
    let index = Index::open(folder, &IndexOptions::default()).unwrap();
    let checks = index.writer().unwrap().check().unwrap();
    checks.iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

#[test]
fn a_sound_folder_passes_every_check() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(failed(folder.path()), [""; 0], "an empty one");
    fill(folder.path());
    let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    let checks = index.writer().unwrap().check().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["database", "documents", "chunks", "vectors", "full_text", "segments", "chats"]);
    assert!(checks.iter().all(|check| check.ok && !check.can_repair), "{checks:?}");
    assert!(checks[2].detail.starts_with("40,"), "{checks:?}");
}

#[test]
fn what_was_changed_behind_its_back_is_found_by_name() {
    for (statement, wrong) in [
        ("UPDATE texts SET bytes = CAST('heron X' || substr(bytes, 8) AS BLOB) WHERE document_id = 3", "chunks"),
        ("UPDATE chunks SET prefix = 'another' WHERE id = 5", "chunks"),
        ("DELETE FROM texts WHERE document_id = 4", "documents"),
        ("UPDATE embeddings SET vector = zeroblob(32) WHERE id = 7", "vectors"),
        ("DELETE FROM documents WHERE id = 2", "database"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        run_sql(folder.path(), statement);
        let failed = failed(folder.path());
        assert!(failed.contains(&wrong), "{statement}: {failed:?}");
    }
}

#[test]
fn a_damaged_document_is_taken_out_and_can_be_stored_anew() {
    for (statement, number) in [
        ("UPDATE texts SET bytes = CAST('heron X' || substr(bytes, 8) AS BLOB) WHERE document_id = 3", 2),
        ("UPDATE chunks SET prefix = 'another' WHERE document_id = 5", 4),
        ("DELETE FROM texts WHERE document_id = 4", 3),
        ("UPDATE documents SET title = 'Another' WHERE id = 9", 8),
        (
            "UPDATE embeddings SET vector = zeroblob(32) WHERE id = (SELECT embedding_id FROM chunks WHERE document_id = 7)",
            6,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        run_sql(folder.path(), statement);
        // The others are found by their words even where the full-text index has to be made from what is there.
        fs_err::remove_dir_all(folder.path().join("lexical")).unwrap();
        let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
        let mut writer = index.writer().unwrap();
        let found = |index: &Index| index.search_lexical("kingfisher", 50, &Filter::default()).unwrap().len();
        assert!(found(&index) >= 19, "{statement}");
        assert!(writer.repair(&|_| false).unwrap().is_empty(), "{statement}");
        assert_eq!(
            index.documents(None).map_or(20, |all| all.len()),
            20,
            "{statement}: the only copy is not taken out"
        );
        let path = format!("/{number}.md");
        assert_eq!(writer.repair(&|_| true).unwrap(), [Path::new(&path)], "{statement}");
        assert!(writer.check().unwrap().iter().all(|check| check.ok), "{statement}: {:?}", writer.check());
        assert_eq!((index.documents(None).unwrap().len(), found(&index)), (19, 19), "{statement}");
        put(&mut writer, &path, &format!("heron {number}\nkingfisher {number} of the reeds\n"));
        writer.commit().unwrap();
        assert!(writer.check().unwrap().iter().all(|check| check.ok), "{statement}: {:?}", writer.check());
        assert_eq!((index.documents(None).unwrap().len(), found(&index)), (20, 20), "{statement}");
        assert!(writer.repair(&|_| true).unwrap().is_empty(), "{statement}");
    }
}

#[test]
fn a_flipped_bit_in_a_text_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let ids = |index: &Index| {
        let document = index.documents(None).unwrap()[2].id;
        index.chunks_of(document).map(|chunks| chunks.iter().map(|chunk| chunk.id).collect::<Vec<_>>())
    };
    let chunks = ids(&Index::open(folder.path(), &IndexOptions::default()).unwrap()).unwrap();
    run_sql(
        folder.path(),
        "UPDATE texts SET bytes = CAST('heroN 2' || substr(bytes, 8) AS BLOB) WHERE document_id = 3",
    );
    let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    for refused in [index.chunks(&chunks[..1]).map(drop).unwrap_err(), ids(&index).unwrap_err()] {
        assert!(
            matches!(&refused, IndexError::Damaged { reason, .. } if reason.contains("not as it was stored")),
            "{refused}"
        );
    }
}

#[test]
fn a_segment_of_another_version_is_made_anew_by_the_next_seal() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let files = all_files(&folder.path().join("vectors"));
    let manifest = files.iter().find(|file| file.ends_with("manifest.json")).unwrap();
    let text = fs_err::read_to_string(manifest).unwrap();
    fs_err::write(manifest, text.replace("\"format\": 2,", "")).unwrap();
    assert_eq!(failed(folder.path()), ["segments"]);
    let options = IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() };
    let index = Index::open(folder.path(), &options).unwrap();
    let found = || index.search_dense(&vector_of("kingfisher"), MODEL, 50, &Filter::default()).unwrap();
    let before = found();
    assert_eq!(before.len(), 40);
    let sealed = index.writer().unwrap().seal(&mut |_, _| true).unwrap();
    assert_eq!((sealed.sealed_vectors, sealed.replaced_segments), (40, 1));
    assert_eq!(found(), before);
    assert_eq!(failed(folder.path()), [""; 0]);
}

#[test]
fn what_is_made_from_the_database_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    // A segment that lost its end is not trusted, and the full-text index of another moment neither.
    let vectors = all_files(&folder.path().join("vectors")).into_iter().find(|file| file.ends_with("vectors")).unwrap();
    let bytes = fs_err::read(&vectors).unwrap();
    fs_err::write(&vectors, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(failed(folder.path()), ["segments"]);
    let options = IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() };
    let index = Index::open(folder.path(), &options).unwrap();
    let mut writer = index.writer().unwrap();
    writer.repair(&|_| true).unwrap();
    assert!(writer.check().unwrap().iter().all(|check| check.ok));
    assert_eq!(index.search_lexical("kingfisher", 50, &Filter::default()).unwrap().len(), 20);
    assert_eq!(index.status().unwrap().sealed_vectors, 40);
}

#[test]
fn a_backup_is_of_one_moment_and_comes_back_as_it_was() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(folder.path());
    let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    let file = elsewhere.path().join("documents.backup");
    let mut writer = index.writer().unwrap();
    let bytes = index.backup(&file).unwrap();
    assert_eq!(bytes, fs_err::metadata(&file).unwrap().len());
    assert!(matches!(index.backup(&file), Err(IndexError::Io(_))), "a backup is not overwritten");
    // What happens later is not in it.
    put(&mut writer, "/later.md", "egret\n");
    writer.commit().unwrap();
    drop(writer);
    let target = elsewhere.path().join("data");
    Index::restore(&file, &target, false).unwrap();
    assert!(failed(&target).is_empty());
    let restored = Index::open(&target, &IndexOptions::default()).unwrap();
    assert_eq!(restored.documents(None).unwrap().len(), 20);
    assert_eq!(restored.search_lexical("kingfisher", 50, &Filter::default()).unwrap().len(), 20);
    assert!(restored.search_lexical("egret", 5, &Filter::default()).unwrap().is_empty());
    drop(restored);
    // Over what is there only when told so; then nothing of it is left.
    assert!(matches!(Index::restore(&file, folder.path(), false), Err(IndexError::NotEmpty { .. })));
    drop(index);
    Index::restore(&file, folder.path(), true).unwrap();
    let back = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    assert!(back.search_lexical("egret", 5, &Filter::default()).unwrap().is_empty());
    assert_eq!(back.documents(None).unwrap().len(), 20);
    drop(back);
    assert!(failed(folder.path()).is_empty());
}

#[test]
fn a_file_that_is_no_backup_changes_nothing() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(folder.path());
    let file = elsewhere.path().join("backup");
    let index = Index::open(folder.path(), &IndexOptions::default()).unwrap();
    index.backup(&file).unwrap();
    drop(index);
    let sound = fs_err::read(&file).unwrap();
    let mut cut = sound.clone();
    cut.truncate(sound.len() / 2);
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for bytes in [&b"not a database"[..], b"", &cut, &newer] {
        fs_err::write(&file, bytes).unwrap();
        let refused = Index::restore(&file, folder.path(), true).unwrap_err();
        assert!(matches!(refused, IndexError::Damaged { .. } | IndexError::NewerVersion { .. }), "{refused}");
        assert!(failed(folder.path()).is_empty());
        assert!(!folder.path().join("restoring").exists());
    }
}
