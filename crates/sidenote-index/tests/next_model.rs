//! Another embedding model takes over while the old one answers.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod common;

use std::path::Path;

use common::*;
use sidenote_index::{EmbeddingModelInfo, Filter, Index, IndexError, IndexOptions, IndexWriter, NextChunk, VectorMode};
use sidenote_text::{Chunk, Span};

const FOLDER: &str = "SIDENOTE_SWITCH_TEST_FOLDER";
const NEXT: &str = "next-model";

fn next_model() -> EmbeddingModelInfo {
    EmbeddingModelInfo { name: NEXT.to_owned(), sha256_hex: "cd".repeat(32), dimensions: 3 }
}

fn options() -> IndexOptions {
    IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 2, ..IndexOptions::default() }
}

/// A vector of the next model: by the letters of the text.
fn next_vector(text: &str) -> Vec<f32> {
    let share = |letters: &str| 0.1 + text.chars().filter(|letter| letters.contains(*letter)).count() as f32;
    unit(vec![share("aeiou"), share("lmnr"), share("stp")])
}

/// Twelve chunks in three documents, sealed.
fn fill(index: &Index) -> IndexWriter {
    let mut writer = writer(index);
    for number in 0..3 {
        put(
            &mut writer,
            &format!("/{number}.md"),
            &format!("alpha {number}\nbeta of {number}\ngamma {number}\nrest {number}\n"),
        );
    }
    writer.commit().unwrap();
    assert_eq!(writer.seal(&mut |_, _| true).unwrap().sealed_vectors, 12);
    writer
}

/// What is to become of each chunk: those that begin with `beta` are too long for the next model and are cut in two.
fn plan(index: &Index) -> Vec<NextChunk> {
    let mut plan = Vec::new();
    for document in index.documents(None).unwrap() {
        for stored in index.chunks_of(document.id).unwrap() {
            let (id, text) = (stored.id, stored.text.clone());
            if text.starts_with("beta") && text.contains(" of ") {
                let whole = Chunk::from(stored);
                let part = |from: usize, to: usize| {
                    let span = Span::new(whole.span.start + from, whole.span.start + to);
                    (
                        Chunk { span, text: text[from..to].to_owned(), tokens: 2, ..whole.clone() },
                        hash_of(&text[from..to]),
                    )
                };
                plan.push(NextChunk::Cut { chunk: id, parts: vec![part(0, 4), part(5, text.len())] });
            } else {
                plan.push(NextChunk::Same { chunk: id, hash: hash_of(&text), tokens: 4 });
            }
        }
    }
    plan
}

fn vectors(index: &Index, plan: &[NextChunk]) -> Vec<([u8; 32], Vec<f32>)> {
    let mut vectors = Vec::new();
    for next in plan {
        match next {
            NextChunk::Same { chunk, hash, .. } => vectors.push((*hash, next_vector(&texts(index, &[*chunk])[0]))),
            NextChunk::Cut { parts, .. } => {
                vectors.extend(parts.iter().map(|(part, hash)| (*hash, next_vector(&part.text))));
            }
        }
    }
    vectors
}

/// Everything that is there, found by the model that answers; whether that is the next one.
fn assert_answers(index: &Index, at: &str) -> bool {
    let everything = Filter::default();
    let is_next = index.embedding_model().unwrap().unwrap().name == NEXT;
    let dense = if is_next {
        index.search_dense(&next_vector("alpha"), NEXT, 100, &everything).unwrap()
    } else {
        index.search_dense(&vector_of("alpha"), MODEL, 100, &everything).unwrap()
    };
    let mut all: Vec<String> = texts(index, &dense.iter().map(|hit| hit.chunk).collect::<Vec<_>>());
    all.sort();
    let mut expected: Vec<String> = Vec::new();
    for number in 0..3 {
        for word in ["alpha", "gamma", "rest"] {
            expected.push(format!("{word} {number}"));
        }
        if is_next {
            expected.extend(["beta".to_owned(), format!("of {number}")]);
        } else {
            expected.push(format!("beta of {number}"));
        }
    }
    expected.sort();
    assert_eq!(all, expected, "{at}");
    assert_eq!(lexical(index, "beta").len(), 3, "{at}");
    assert_eq!(lexical(index, "gamma").len(), 3, "{at}");
    for document in index.documents(None).unwrap() {
        let chunks = index.chunks_of(document.id).unwrap();
        assert!(chunks.iter().enumerate().all(|(place, chunk)| chunk.ordinal == place), "{at}: {chunks:?}");
    }
    is_next
}

#[test]
fn the_old_model_answers_until_the_switch_and_the_new_one_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), &options()).unwrap();
    let mut writer = fill(&index);
    let other = Index::open(folder.path(), &options()).unwrap();
    let kept = index.chunks_of(index.documents(None).unwrap()[0].id).unwrap();
    let (plan, next) = (plan(&index), next_model());
    let vectors = vectors(&index, &plan);

    writer.set_next_model(&next).unwrap();
    assert!(!assert_answers(&other, "registered"));
    let early = writer.switch_model(&next, plan.clone()).unwrap_err();
    assert!(matches!(early, IndexError::MissingVector { .. }), "{early}");
    writer.store_next_vectors(&next, vectors[..5].to_vec()).unwrap();
    let hashes: Vec<[u8; 32]> = vectors.iter().map(|(hash, _)| *hash).collect();
    assert_eq!(writer.known_next_vectors(&next, &hashes).unwrap().len(), 5);
    assert!(!assert_answers(&other, "half"));
    let bad = writer.store_next_vectors(&next, vec![([9; 32], vec![1.0])]).unwrap_err();
    assert!(matches!(bad, IndexError::BadVector { .. }), "{bad}");
    writer.store_next_vectors(&next, vectors).unwrap();
    let incomplete = writer.switch_model(&next, plan[1..].to_vec()).unwrap_err();
    assert!(matches!(incomplete, IndexError::UnfinishedModel { left: 1, .. }), "{incomplete}");
    assert!(writer.check().unwrap().iter().all(|check| check.ok), "vectors of two lengths are no damage");
    assert!(!assert_answers(&other, "complete"));

    writer.switch_model(&next, plan.clone()).unwrap();
    assert!(assert_answers(&other, "switched"));
    assert!(assert_answers(&index, "switched, the writer's own"));
    let now = index.chunks_of(kept[0].document).unwrap();
    assert_eq!((now[0].id, now[3].id, now[4].id), (kept[0].id, kept[2].id, kept[3].id), "ids of what stays");
    assert_eq!((now[0].tokens, now[1].tokens), (4, 2));
    assert!(matches!(
        other.search_dense(&vector_of("alpha"), MODEL, 1, &Filter::default()),
        Err(IndexError::ModelMismatch { .. })
    ));
    assert_eq!(other.status().unwrap().vectors, 13, "nine, three halves, and one that all three share");
    assert_eq!(writer.seal(&mut |_, _| true).unwrap().sealed_vectors, 13);
    assert!(assert_answers(&other, "sealed"));
    assert!(writer.check().unwrap().iter().all(|check| check.ok));
}

#[test]
fn a_model_that_was_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), &options()).unwrap();
    let mut writer = fill(&index);
    let given_up = EmbeddingModelInfo { name: "given-up".to_owned(), ..next_model() };
    writer.set_next_model(&given_up).unwrap();
    writer.store_next_vectors(&given_up, vec![([1; 32], vec![1.0, 0.0, 0.0])]).unwrap();
    writer.set_next_model(&next_model()).unwrap();
    assert!(writer.known_next_vectors(&given_up, &[[1; 32]]).is_err());
    assert!(!assert_answers(&index, "given up"));
    let (there, gone) = (hash_of("gamma 1"), hash_of("a text that is in no document"));
    let vector = vec![1.0, 0.0, 0.0];
    writer.store_next_vectors(&next_model(), vec![(there, vector.clone()), (gone, vector)]).unwrap();
    writer.compact().unwrap();
    assert_eq!(writer.known_next_vectors(&next_model(), &[there, gone]).unwrap(), [there].into());
    assert!(!assert_answers(&index, "purged"));
    // Back to the model that answers: what was made for the other goes.
    writer.set_embedding_model(&model()).unwrap();
    assert!(writer.known_next_vectors(&next_model(), &[there]).is_err());
}

#[test]
#[ignore = "the other test runs it in a process of its own"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let index = Index::open(Path::new(&folder), &options()).unwrap();
    if index.embedding_model().unwrap().is_some_and(|model| model.name == NEXT) {
        return;
    }
    let mut writer = fill_once(&index);
    let (plan, next) = (plan(&index), next_model());
    let vectors = vectors(&index, &plan);
    writer.set_next_model(&next).unwrap();
    for some in vectors.chunks(5) {
        writer.store_next_vectors(&next, some.to_vec()).unwrap();
    }
    writer.switch_model(&next, plan.clone()).unwrap();
    writer.seal(&mut |_, _| true).unwrap();
}

fn fill_once(index: &Index) -> IndexWriter {
    if index.documents(None).unwrap().is_empty() { fill(index) } else { index.writer().unwrap() }
}

#[test]
fn wherever_the_process_ends_one_model_answers_and_the_work_goes_on() {
    let cases = [
        ("next-before-commit:1", false),
        ("next-before-commit:2", false),
        ("switch-before-commit:1", false),
        ("switch-after-commit:1", true),
        ("lexical-before-commit:3", true),
    ];
    let run = |folder: &Path, crash_at: &str| {
        let output = process_of("child").env(FOLDER, folder).env("SIDENOTE_CRASH_AT", crash_at).output().unwrap();
        output.status.success()
    };
    for (point, is_next) in cases {
        let folder = tempfile::tempdir().unwrap();
        assert!(!run(folder.path(), point), "{point} was not reached");
        let index = Index::open(folder.path(), &options()).unwrap();
        assert_eq!(assert_answers(&index, point), is_next, "{point}");
        drop(index);
        assert!(run(folder.path(), "nowhere"), "{point}: work could not go on");
        let index = Index::open(folder.path(), &options()).unwrap();
        assert!(assert_answers(&index, point), "{point}, done");
        assert!(index.writer().unwrap().check().unwrap().iter().all(|check| check.ok), "{point}");
    }
}
