//! Random steps against a map that cannot be wrong.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]
#![expect(clippy::print_stdout, reason = "a failure is repeated by its seed")]

mod common;

use std::collections::BTreeMap;

use common::*;
use sidenote_index::{Filter, Index, IndexOptions, VectorMode};

const WORDS: &[&str] =
    &["amber", "basalt", "cobalt", "dune", "ember", "fjord", "grove", "harbor", "iris", "jade", "krill", "lotus"];

fn line(random: &mut Random) -> String {
    let words: Vec<&str> = (0..1 + random.below(4)).map(|_| *random.pick(WORDS)).collect();
    words.join(" ")
}

/// The default number of steps takes seconds; `SIDENOTE_MODEL_STEPS` asks for more.
fn steps() -> usize {
    std::env::var("SIDENOTE_MODEL_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(300)
}

fn run(seed: u64, options: &IndexOptions) {
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut truth: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut index = Index::open(folder.path(), options).unwrap();
    let mut writing = Some(writer(&index));
    let other_reader = Index::open(folder.path(), options).unwrap();
    let mut recall = (0_usize, 0_usize);
    for step in 0..steps() {
        let writer = writing.as_mut().unwrap();
        match random.below(11) {
            0..=3 => {
                let lines: Vec<String> = (0..random.below(6)).map(|_| line(&mut random)).collect();
                let path = format!("/{}.md", random.below(40));
                put(writer, &path, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
                truth.insert(path, lines);
            }
            4 | 5 => {
                let Some((path, lines)) = truth.iter().nth(random.below(truth.len().max(1))) else { continue };
                let (path, mut lines) = (path.clone(), lines.clone());
                let place = random.below(lines.len() + 1);
                lines.insert(place, line(&mut random));
                put(writer, &path, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
                truth.insert(path, lines);
            }
            6 => {
                let path = format!("/{}.md", random.below(40));
                let found = index.find_document("default", path.as_ref()).unwrap();
                assert_eq!(found.is_some(), truth.contains_key(&path), "step {step}");
                if let Some(found) = found {
                    assert_eq!(writer.remove(&[found.id]).unwrap(), 1);
                }
                truth.remove(&path);
            }
            7 => {
                drop(writing.take());
                drop(index);
                index = Index::open(folder.path(), options).unwrap();
                writing = Some(common::writer(&index));
            }
            8 => {
                let Some(from) = truth.keys().nth(random.below(truth.len().max(1))).cloned() else { continue };
                let to = format!("/{}.md", random.below(40));
                let print = fingerprint("renamed");
                let renamed = writer.rename("default", from.as_ref(), to.as_ref(), &print, None).unwrap();
                assert_eq!(renamed, !truth.contains_key(&to), "step {step}");
                if renamed {
                    let lines = truth.remove(&from).unwrap();
                    truth.insert(to, lines);
                }
            }
            9 if options.vector == VectorMode::Hnsw => {
                writer.commit().unwrap();
                writer.seal(&mut |_, _| true).unwrap();
                if random.below(4) == 0 {
                    writer.compact().unwrap();
                }
            }
            _ => {
                writer.commit().unwrap();
                for reader in [&index, &other_reader] {
                    compare(reader, &truth, &mut random, step, &mut recall);
                }
            }
        }
    }
    writing.as_mut().unwrap().commit().unwrap();
    compare(&index, &truth, &mut random, usize::MAX, &mut recall);
    assert!(recall.0 * 100 >= recall.1 * 95, "the vectors found {} of {}", recall.0, recall.1);
    if options.vector != VectorMode::Hnsw {
        assert_eq!(recall.0, recall.1);
    }
}

fn compare(
    index: &Index,
    truth: &BTreeMap<String, Vec<String>>,
    random: &mut Random,
    step: usize,
    recall: &mut (usize, usize),
) {
    let stored = index.documents(None).unwrap();
    let mut paths: Vec<String> = stored.iter().map(|document| document.path.to_string_lossy().into_owned()).collect();
    paths.sort();
    assert_eq!(paths, truth.keys().cloned().collect::<Vec<_>>(), "step {step}");
    for document in &stored {
        let texts: Vec<String> = index.chunks_of(document.id).unwrap().into_iter().map(|chunk| chunk.text).collect();
        assert_eq!(texts, truth[&*document.path.to_string_lossy()], "step {step}");
    }
    let word = *random.pick(WORDS);
    let mut expected: Vec<String> =
        truth.values().flatten().filter(|line| line.split(' ').any(|other| other == word)).cloned().collect();
    let mut found = lexical(index, word);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "step {step}, word {word}");

    let query = line(random);
    let vector = vector_of(&query);
    let score = |text: &str| vector.iter().zip(vector_of(text)).map(|(left, right)| left * right).sum::<f32>();
    let mut best: Vec<f32> = truth.values().flatten().map(|line| score(line)).collect();
    best.sort_by(|left, right| right.total_cmp(left));
    best.truncate(7);
    let hits = index.search_dense(&vector, MODEL, 7, &Filter::default()).unwrap();
    assert_eq!(hits.len(), best.len(), "step {step}");
    let ids: Vec<_> = hits.iter().map(|hit| hit.chunk).collect();
    for (hit, text) in hits.iter().zip(texts(index, &ids)) {
        assert!((hit.score - score(&text)).abs() < 1e-4, "step {step}: a score is not the cosine of its text");
    }
    let least = best.last().copied().unwrap_or(0.0) - 1e-4;
    recall.0 += hits.iter().filter(|hit| hit.score >= least).count();
    recall.1 += best.len();
    assert!(hits.is_sorted_by(|left, right| (left.score, right.chunk) >= (right.score, left.chunk)), "step {step}");
}

#[test]
fn random_steps_agree_with_a_map_when_every_vector_is_compared() {
    run(20_261_121, &IndexOptions::default());
}

#[test]
fn random_steps_agree_with_a_map_when_vectors_are_sealed() {
    run(11, &IndexOptions { vector: VectorMode::Hnsw, seal_min_vectors: 16, ..IndexOptions::default() });
}
