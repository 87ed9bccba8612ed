//! Seeded damage: bits, lengths, cuts, blocks that come again, and pieces of other files. In a package it is done to the
//! members, so that it reaches their readers and does not end at a checksum.

use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;

/// Numbers at the edges of what programs count with.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "65",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "18446744073709551615",
    "1e308",
    "00000000000000000000000000000000000000001",
];
/// Fields of four bytes at such edges.
const WORDS: [u32; 8] = [0, 1, 0xffff, 0x0001_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
/// Letters of several bytes, signs that are not seen, halves of letters.
const LETTERS: [&[u8]; 9] = [
    "ä".as_bytes(),
    "漢".as_bytes(),
    "🦆".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{ad}".as_bytes(),
    "\u{301}".as_bytes(),
    "İ".as_bytes(),
    b"\xff",
    b"\0",
];

/// Numbers that look like chance and are the same in every run (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("a length");
        usize::try_from(self.next() % end).expect("below a length")
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A spoilt copy of a file; `others` are files of its format.
pub(crate) fn mutate(bytes: &[u8], others: &[&[u8]], max_bytes: usize, chance: &mut Chance) -> Vec<u8> {
    // Now and then the container itself is spoilt too.
    if chance.below(8) > 0
        && let Some(mutant) = mutate_members(bytes, others, max_bytes, chance)
    {
        return mutant;
    }
    let mut mutant = bytes.to_vec();
    for _ in 0..=chance.below(4) {
        change(&mut mutant, others, max_bytes, chance);
    }
    mutant.truncate(max_bytes);
    mutant
}

fn mutate_members(bytes: &[u8], others: &[&[u8]], max_bytes: usize, chance: &mut Chance) -> Option<Vec<u8>> {
    if bytes.starts_with(b"\x1f\x8b") {
        let mut mutant = gunzip(bytes)?;
        let others: Vec<Vec<u8>> = others.iter().filter_map(|other| gunzip(other)).collect();
        let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        change(&mut mutant, &others, max_bytes, chance);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&mutant).ok()?;
        return encoder.finish().ok();
    }
    let mut members = members_of(bytes)?;
    let at = chance.below(members.len());
    let strangers: Vec<Vec<u8>> =
        others.iter().filter_map(|other| members_of(other)).flatten().map(|(_, bytes)| bytes).collect();
    let strangers: Vec<&[u8]> = strangers.iter().map(Vec::as_slice).collect();
    match chance.below(24) {
        0 => drop(members.remove(at)),
        // Under another name, as if another member were it.
        1 => members[at].1.clone_from(&strangers[chance.below(strangers.len())].to_vec()),
        _ => {
            for _ in 0..=chance.below(4) {
                change(&mut members[at].1, &strangers, max_bytes, chance);
            }
            members[at].1.truncate(max_bytes);
        }
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer
            .start_file(name, SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored))
            .ok()?;
        writer.write_all(&bytes).ok()?;
    }
    Some(writer.finish().ok()?.into_inner())
}

fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).take(1 << 20).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn members_of(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    if !bytes.starts_with(b"PK") {
        return None;
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).ok()?;
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        let mut content = Vec::new();
        member.take(1 << 20).read_to_end(&mut content).ok()?;
        members.push((name, content));
    }
    (!members.is_empty()).then_some(members)
}

fn change(bytes: &mut Vec<u8>, others: &[&[u8]], max_bytes: usize, chance: &mut Chance) {
    // Most damage to markup leaves it not well-formed, and nothing of it is read; trees are changed as trees.
    if chance.below(2) == 0 && change_tree(bytes, others, max_bytes, chance) {
        return;
    }
    let length = bytes.len();
    let at = chance.below(length + 1);
    let range = |chance: &mut Chance, length: usize| {
        let start = chance.below(length + 1);
        let most = if chance.below(2) == 0 { 16 } else { length };
        start..(start + chance.below(most) + 1).min(length)
    };
    match chance.below(14) {
        0 if length > 0 => bytes[at.min(length - 1)] ^= 1 << chance.below(8),
        1 if length > 0 => bytes[at.min(length - 1)] = u8::try_from(chance.below(256)).expect("a byte"),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(range(chance, length))),
        4 => {
            // The same block again and again, as an attacker would.
            let block = bytes[range(chance, length)].to_vec();
            let times = 1 << chance.below(12);
            let times = times.min(max_bytes / block.len().max(1));
            drop(bytes.splice(at..at, block.repeat(times)));
        }
        5 => drop(bytes.splice(at..at, chance.pick(&LETTERS).iter().copied())),
        6 | 7 => change_number(bytes, at, chance),
        8 if length >= 4 => {
            let word = chance.pick(&WORDS).to_le_bytes();
            let width = [1, 2, 4][chance.below(3)];
            let at = at.min(length - 4);
            bytes[at..at + width].copy_from_slice(&word[..width]);
        }
        9 if !others.is_empty() => {
            let other = chance.pick(others);
            let cut = chance.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[cut..]);
        }
        10 if !others.is_empty() => {
            let other = chance.pick(others);
            let block = other[range(chance, other.len())].to_vec();
            drop(bytes.splice(at..at, block));
        }
        _ => {
            // A whole word, tag or line of this or another file, put in or in the place of one.
            let from: &[u8] = if others.is_empty() { bytes } else { others[chance.below(others.len())] };
            let start = chance.below(from.len() + 1);
            let piece = piece_at(from, start).to_vec();
            let old = if chance.below(2) == 0 { 0 } else { piece_at(bytes, at).len() };
            drop(bytes.splice(at..at + old, piece));
        }
    }
}

/// Takes an element out, doubles it, nests it in itself or puts it elsewhere. False where there is none.
fn change_tree(bytes: &mut Vec<u8>, others: &[&[u8]], max_bytes: usize, chance: &mut Chance) -> bool {
    let place = chance.below(bytes.len() + 1);
    let Some(own) = element_at(bytes, place) else { return false };
    let from: &[u8] = if others.is_empty() { bytes } else { others[chance.below(others.len())] };
    let place = chance.below(from.len() + 1);
    let Some(other) = element_at(from, place).map(|range| from[range].to_vec()) else { return false };
    match chance.below(5) {
        0 => drop(bytes.drain(own)),
        1 => {
            let element = bytes[own.clone()].to_vec();
            let times = 1 << chance.below(10);
            let times = times.min(max_bytes.saturating_sub(bytes.len()) / element.len().max(1));
            drop(bytes.splice(own.end..own.end, element.repeat(times)));
        }
        2 => drop(bytes.splice(own, other)),
        3 => drop(bytes.splice(own.start..own.start, other)),
        _ => {
            // Inside of it, behind its start tag, as deep as that goes.
            let Some(inside) = bytes[own.clone()].iter().position(|byte| *byte == b'>').map(|at| own.start + at + 1)
            else {
                return false;
            };
            if bytes[inside - 2] == b'/' {
                return false;
            }
            let (head, name) = (bytes[own.start..inside].to_vec(), name_of(&bytes[own.start..]).to_vec());
            let tail = [b"</", name.as_slice(), b">"].concat();
            let times = 1 << chance.below(12);
            let times = times.min(max_bytes.saturating_sub(bytes.len()) / (head.len() + tail.len()));
            let nested = [head.repeat(times), other, tail.repeat(times)].concat();
            drop(bytes.splice(inside..inside, nested));
        }
    }
    true
}

/// The name in a start tag.
fn name_of(tag: &[u8]) -> &[u8] {
    let rest = tag.get(1..).unwrap_or_default();
    &rest[..rest.iter().position(|byte| matches!(byte, b' ' | b'>' | b'/' | b'\n')).unwrap_or(rest.len())]
}

/// The next element that begins behind a place, with its end tag.
fn element_at(bytes: &[u8], place: usize) -> Option<std::ops::Range<usize>> {
    let is_start = |pair: &[u8]| pair[0] == b'<' && pair[1].is_ascii_alphabetic();
    let start = place + bytes[place..].windows(2).position(is_start)?;
    let name = name_of(&bytes[start..]);
    let (mut at, mut depth) = (start, 0usize);
    loop {
        let end = at + bytes[at..].iter().position(|byte| *byte == b'>')? + 1;
        if bytes[at..].starts_with(b"</") && bytes[at + 2..end - 1] == *name {
            depth -= 1;
        } else if name_of(&bytes[at..]) == name && bytes[end - 2] != b'/' {
            depth += 1;
        }
        if depth == 0 {
            return Some(start..end);
        }
        at = end + bytes[end..].iter().position(|byte| *byte == b'<')?;
    }
}

/// From a place to the end of the tag, word or line that begins there.
fn piece_at(bytes: &[u8], start: usize) -> &[u8] {
    let rest = &bytes[start..];
    let begins_next = rest.iter().position(|byte| matches!(byte, b'<' | b'\\' | b'\n' | b'{')).unwrap_or(0);
    let rest = &rest[begins_next..];
    let ends = rest.iter().skip(1).position(|byte| matches!(byte, b'>' | b'\\' | b'\n' | b'}' | b' '));
    &rest[..ends.map_or(rest.len().min(64), |end| end + 2).min(rest.len())]
}

/// Puts another number in the place of the next one.
fn change_number(bytes: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    drop(bytes.splice(start..start + digits, chance.pick(&NUMBERS).bytes()));
}
