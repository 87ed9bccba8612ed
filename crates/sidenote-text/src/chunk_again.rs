//! A chunk that was cut for one embedding model is made to fit another, whose tokenizer counts otherwise or which takes less.

use crate::chunk::{cut_to_fit, page_at};
use crate::chunk_cut::Cutter;
use crate::chunk_prefix::cut;
use crate::rows::marks_within;
use crate::{Chunk, ChunkOptions, Format, Page, Span, TokenCounter};

/// The chunk with its tokens counted anew, or, where it has more than it may, the pieces that take its place: together they
/// hold every byte of its text that is not white space, and each has at most `options.max_tokens` tokens. `pages` are
/// those of the document. Pieces keep the chunk's headings; what made the chunk as long as it is is not asked again, so a
/// model that takes more gets no longer chunks.
pub fn chunk_again(
    chunk: &Chunk,
    format: Format,
    pages: &[Page],
    counter: &dyn TokenCounter,
    options: &ChunkOptions,
) -> Vec<Chunk> {
    let count = |chunk: &Chunk| counter.count_tokens(&chunk.embedded_text()) + options.special_tokens;
    let tokens = count(chunk);
    if tokens <= options.max_tokens {
        return vec![Chunk { tokens, ..chunk.clone() }];
    }
    let prefix = cut(&chunk.prefix, counter, options.max_prefix_tokens);
    let prefix_tokens = if prefix.is_empty() { 0 } else { counter.count_tokens(prefix) + 1 };
    let room = options.budget().saturating_sub(prefix_tokens).max(1);
    let cutter = Cutter { text: &chunk.text, counter, is_markdown: format == Format::Markdown };
    let spans = cutter.cut(Span::new(0, chunk.text.len()), room);
    let mut pieces = Vec::new();
    cut_to_fit(
        &cutter,
        spans.into_iter().map(|span| (span, room)).collect(),
        options,
        &mut pieces,
        |span, with_prefix| {
            let start = chunk.span.start + span.start;
            let mut piece = Chunk {
                span: Span::new(start, chunk.span.start + span.end),
                page: page_at(pages, start).or(chunk.page),
                rows: marks_within(&chunk.text, &chunk.rows, span),
                prefix: if with_prefix { prefix.to_owned() } else { String::new() },
                text: span.slice(&chunk.text).unwrap_or_default().to_owned(),
                ..chunk.clone()
            };
            piece.tokens = count(&piece);
            piece
        },
    );
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::Pieces;
    use crate::{ExtractLimits, SourceFile, chunk_document, extract};

    fn options(max_tokens: usize) -> ChunkOptions {
        ChunkOptions { max_tokens, max_prefix_tokens: max_tokens / 4, special_tokens: 2 }
    }

    #[test]
    fn what_fits_stays_and_what_does_not_is_cut_without_a_loss() {
        let rows: String = (0..80).map(|i| format!("| part {i} | {i}.50 |\n")).collect();
        let prose = "The valve is opened before the pump is started, and closed again behind it. ".repeat(40);
        let text = format!("# Pumps\n\n{prose}\n\n## Prices\n\n| Part | Price |\n|---|---|\n{rows}\n");
        let file = SourceFile { name: "a.md", bytes: text.as_bytes() };
        let document = extract(&file, &ExtractLimits::default()).unwrap().into_first().unwrap();
        let chunks = chunk_document(&document, &Pieces, &options(256));
        for chunk in &chunks {
            let same = chunk_again(chunk, document.format, &document.pages, &Pieces, &options(256));
            assert_eq!(same, std::slice::from_ref(chunk));
            let pieces = chunk_again(chunk, document.format, &document.pages, &Pieces, &options(64));
            let mut end = chunk.span.start;
            for piece in &pieces {
                assert_eq!(piece.span.slice(&document.text), Some(piece.text.as_str()));
                assert_eq!(document.text[end..piece.span.start].trim(), "");
                assert_eq!(piece.tokens, Pieces.count_tokens(&piece.embedded_text()) + 2);
                assert!(piece.tokens <= 64 && !piece.text.trim().is_empty());
                assert_eq!(piece.heading, chunk.heading);
                end = piece.span.end;
            }
            assert_eq!(document.text[end..chunk.span.end].trim(), "");
            assert_eq!(pieces.len() > 1, chunk.tokens > 64);
        }
    }
}
