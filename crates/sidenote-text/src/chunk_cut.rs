//! A stretch of text is cut into pieces of at most so many tokens.
//!
//! Seam for `text-splitter`. It prefers the largest unit that fits: sections, paragraphs, lines, sentences, words,
//! graphemes. Its offsets are exact. What it does not do, and is done here: its work per piece grows with the text that
//! lies ahead, so it sees a window at a time; it asks for the size of many slices of one string, so the window is
//! tokenised once and the questions are answered from the token offsets; it cuts between the parts of a word that Unicode
//! tells apart (`12.50|EUR`, `(see|`), so such cuts move back to white space; and it fills pieces to the brim and leaves a
//! crumb at the end, so sizes are balanced.

use text_splitter::{ChunkCapacity, ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};
use unicode_segmentation::GraphemeCursor;

use crate::markdown::trim;
use crate::{Span, TokenCounter};

/// Bytes that weigh as much as a token at least. Tokenizers give one token to a word of any length that they do not know;
/// without this bound such a piece could have any size.
pub(crate) const MAX_BYTES_PER_TOKEN: usize = 16;

/// Least bytes of a window. A few dozen pieces fit, so that a window's last piece, which is cut anew with the next one, costs
/// little.
const MIN_WINDOW_BYTES: usize = 32 << 10;

/// What is cut, and how.
pub(crate) struct Cutter<'a> {
    pub(crate) text: &'a str,
    pub(crate) counter: &'a dyn TokenCounter,
    pub(crate) is_markdown: bool,
}

impl Cutter<'_> {
    /// Spans of at most `max_tokens` tokens each, in order, that together hold every byte of `range` that is not white
    /// space. The tokens are those of the text around a piece; counted alone it may have a few more.
    pub(crate) fn cut(&self, range: Span, max_tokens: usize) -> Vec<Span> {
        let max_tokens = max_tokens.max(1);
        let mut spans = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let window = self.window_at(start, range.end, max_tokens);
            let Some(body) = window.slice(self.text) else { break };
            let is_last = window.end == range.end;
            let sizer = OffsetSizer::new(body, self.counter);
            let mut pieces = self.cut_window(&sizer, body, max_tokens, is_last);
            // What follows the window may belong to its last piece.
            let unfinished = if !is_last && pieces.len() > 1 { pieces.pop() } else { None };
            spans.extend(pieces.into_iter().map(|(from, to)| Span::new(start + from, start + to)));
            start = unfinished.map_or(window.end, |(from, _)| start + from);
        }
        spans
    }

    fn cut_window(&self, sizer: &OffsetSizer<'_>, body: &str, max_tokens: usize, is_last: bool) -> Vec<(usize, usize)> {
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut start = 0;
        while let Some(rest) = body.get(start..).filter(|rest| !rest.trim().is_empty()) {
            let desired =
                if is_last { balanced(sizer.size(rest.trim()), max_tokens) } else { max_tokens - max_tokens / 6 };
            let config = ChunkConfig::new(capacity(desired, max_tokens)).with_sizer(sizer);
            let mut restart = None;
            let mut take = |(offset, piece): (usize, &str)| {
                if piece.trim().is_empty() {
                    return true;
                }
                let (from, to) = (start + offset, start + offset + piece.len());
                restart = word_cut(sizer, body, from, to, max_tokens);
                if restart.is_none() && sizer.size(piece) < max_tokens / 4 {
                    restart = filled_up(sizer, body, from, to, desired);
                }
                let kept = trim(body, Span::new(from, restart.unwrap_or(to)));
                // Indentation is kept where the splitter kept it.
                pieces.push((from.min(kept.start), kept.end));
                restart.is_none()
            };
            if self.is_markdown {
                let _ = MarkdownSplitter::new(config).chunk_indices(rest).all(&mut take);
            } else {
                let _ = TextSplitter::new(config).chunk_indices(rest).all(&mut take);
            }
            match restart {
                Some(at) => start = at,
                None => break,
            }
        }
        pieces
    }

    /// A window that begins at `start` and ends between words where there are any.
    fn window_at(&self, start: usize, end: usize, max_tokens: usize) -> Span {
        let window_bytes = MIN_WINDOW_BYTES.max(max_tokens.saturating_mul(MAX_BYTES_PER_TOKEN * 4));
        if end - start <= window_bytes {
            return Span::new(start, end);
        }
        let limit = self.text.floor_char_boundary(start + window_bytes);
        let body = self.text.get(start..limit).unwrap_or_default();
        let half = body.len() / 2;
        let gap = body
            .rfind('\n')
            .filter(|at| *at > half)
            .or_else(|| body.rfind(char::is_whitespace).filter(|at| *at > half));
        if let Some(gap) = gap {
            return Span::new(start, start + gap);
        }
        let mut cursor = GraphemeCursor::new(limit, self.text.len(), true);
        let whole = match cursor.is_boundary(self.text, 0) {
            Ok(true) => Some(limit),
            Ok(false) => cursor.prev_boundary(self.text, 0).ok().flatten(),
            Err(_) => None,
        };
        Span::new(start, whole.filter(|at| *at > start + half).unwrap_or(limit))
    }
}

/// Tokens a piece should have so that all pieces have about as many.
fn balanced(total: usize, max_tokens: usize) -> usize {
    let pieces = total.div_ceil(max_tokens).max(1);
    (total.div_ceil(pieces) + max_tokens / 16).min(max_tokens)
}

fn capacity(desired: usize, max_tokens: usize) -> ChunkCapacity {
    ChunkCapacity::new(desired).with_max(max_tokens).unwrap_or_else(|_| ChunkCapacity::new(max_tokens))
}

/// Where a piece `from..to` should end instead, if it ends inside a word that would fit into a piece of its own.
fn word_cut(sizer: &OffsetSizer<'_>, body: &str, from: usize, to: usize, max_tokens: usize) -> Option<usize> {
    let before = body.get(from..to)?;
    let after = body.get(to..)?;
    let (left, right) = (before.chars().next_back()?, after.chars().next()?);
    if left.is_whitespace()
        || right.is_whitespace()
        || is_written_without_spaces(left)
        || is_written_without_spaces(right)
    {
        return None;
    }
    let gap = before.char_indices().rev().find(|(_, c)| c.is_whitespace())?;
    let word_start = from + gap.0 + gap.1.len_utf8();
    let limit = max_tokens.saturating_mul(MAX_BYTES_PER_TOKEN) + 1;
    let word_end =
        to + after.char_indices().find(|(at, c)| c.is_whitespace() || *at > limit).map_or(after.len(), |(at, _)| at);
    let fits = sizer.size(body.get(word_start..word_end)?) <= max_tokens;
    let leaves_something = !body.get(from..word_start)?.trim().is_empty();
    (fits && leaves_something).then_some(word_start)
}

/// Where a piece `from..to` that stayed small, because what follows does not fit whole, should end instead: as many of the
/// following lines as fit. An introduction stays with the first rows of its table, a label with the first items of its list.
fn filled_up(sizer: &OffsetSizer<'_>, body: &str, from: usize, to: usize, desired: usize) -> Option<usize> {
    let after = body.get(to..).filter(|after| !after.trim().is_empty())?;
    let mut end = None;
    for (at, line) in after.split_inclusive('\n').scan(to, |at, line| {
        *at += line.len();
        Some((*at, line))
    }) {
        if sizer.size(body.get(from..at)?) > desired {
            break;
        }
        if !line.trim().is_empty() {
            end = Some(at);
        }
    }
    end.filter(|end| *end < body.len())
}

/// Scripts that put no spaces between words: there a boundary between words is not a break in a word.
fn is_written_without_spaces(c: char) -> bool {
    matches!(u32::from(c), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x2e80..=0x9fff | 0xf900..=0xfaff
        | 0xff00..=0xffef | 0x20000..=0x3ffff)
}

/// Answers how many tokens a slice of one string has from the offsets of all its tokens.
struct OffsetSizer<'a> {
    base: usize,
    len: usize,
    starts: Vec<usize>,
    ends: Vec<usize>,
    counter: &'a dyn TokenCounter,
}

impl<'a> OffsetSizer<'a> {
    fn new(body: &str, counter: &'a dyn TokenCounter) -> Self {
        let (starts, ends) = counter.token_offsets(body).into_iter().unzip();
        Self { base: body.as_ptr().addr(), len: body.len(), starts, ends, counter }
    }
}

impl ChunkSizer for OffsetSizer<'_> {
    fn size(&self, slice: &str) -> usize {
        let weight = slice.len().div_ceil(MAX_BYTES_PER_TOKEN);
        let from = slice.as_ptr().addr().wrapping_sub(self.base);
        if from > self.len || slice.len() > self.len - from {
            return self.counter.count_tokens(slice).max(weight);
        }
        let to = from + slice.len();
        let first = self.ends.partition_point(|end| *end <= from);
        let last = self.starts.partition_point(|start| *start < to);
        last.saturating_sub(first).max(weight)
    }
}
