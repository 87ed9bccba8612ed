//! Chunks under the tokenizer that ships: the limit holds for what the model will really be given.

use std::path::PathBuf;

use sidenote_text::{ChunkOptions, ExtractLimits, SourceFile, TokenCounter, chunk_document, extract};
use tokenizers::Tokenizer;

struct Model(Tokenizer);

impl TokenCounter for Model {
    fn count_tokens(&self, text: &str) -> usize {
        self.0.encode_fast(text, false).map_or(0, |encoding| encoding.len())
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.encode(text, false).map(|encoding| encoding.get_offsets().to_vec()).unwrap_or_default()
    }
}

fn model() -> Option<Model> {
    let models = std::env::var_os("SIDENOTE_MODELS").map(PathBuf::from).or_else(|| {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))?;
        Some(data.join("sidenote/models"))
    })?;
    let file = models.join("all-minilm-l6-v2-int8/tokenizer.json");
    let mut tokenizer = Tokenizer::from_file(file).ok()?;
    tokenizer.with_truncation(None).ok()?;
    tokenizer.with_padding(None);
    Some(Model(tokenizer))
}

#[test]
fn no_chunk_is_longer_than_the_model_reads() {
    let Some(model) = model() else {
        eprintln!("SKIPPED: no tokenizer of all-minilm-l6-v2-int8 in the models folder");
        return;
    };
    let prose =
        "The pump's casing is checked by Ms. O'Neill (see §4.2) every 12.5 hours; naïve façades cost £1,250.00. ";
    let code = "```\nfn main() { let x_y = vec![0u8; 4096]; println!(\"{x_y:?}\"); }\n```\n\n";
    let rows: String = (0..60).map(|i| format!("| TR-{i} | {i},000 m³/h | 漢字 {i} | ﬁt |\n")).collect();
    let text = format!(
        "# Operating manual\n\n{}\n\n## Code\n\n{}## Values\n\n| Type | Flow | 名 | Note |\n|---|---|---|---|\n{rows}\n## Odd\n\n{}\n\n{}\n",
        prose.repeat(60),
        code.repeat(20),
        "x1".repeat(5_000),
        "Donaudampfschifffahrtsgesellschaft😀🇩🇪e\u{301} ".repeat(200),
    );
    for name in ["a.md", "a.txt"] {
        let extracted =
            extract(&SourceFile { name, bytes: text.as_bytes() }, &ExtractLimits::default()).expect("reads");
        let document = extracted.into_first().expect("a document");
        let chunks = chunk_document(&document, &model, &ChunkOptions::default());
        let mut end = 0;
        for chunk in &chunks {
            let tokens = model.0.encode(chunk.embedded_text(), true).expect("encodes").len();
            assert_eq!(chunk.tokens, tokens);
            assert!(tokens <= 256, "{tokens} tokens in {:?}", chunk.text);
            assert!(document.text[end..chunk.span.start].trim().is_empty());
            end = chunk.span.end;
        }
        assert!(document.text[end..].trim().is_empty());
        assert_eq!(chunks, chunk_document(&document, &model, &ChunkOptions::default()));
    }
}
