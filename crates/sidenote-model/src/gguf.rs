//! A look into a GGUF file before llama.cpp sees it.
//!
//! llama.cpp reports most damage as an error, but not all of it everywhere, and it maps a file that was cut short and faults
//! later. This reader walks the header with a limit on every count and length, never allocates more than the file has bytes,
//! and compares the end of the last tensor with the size of the file.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::ModelError;

const MAX_KEYS: u64 = 65_536;
const MAX_TENSORS: u64 = 65_536;
const MAX_KEY_BYTES: u64 = 65_535;
const MAX_KEPT_STRING_BYTES: u64 = 1 << 20;

/// Keys that begin with the name of the architecture.
const OF_ARCHITECTURE: [&str; 2] = [".context_length", ".attention.sliding_window"];

/// What the header of a GGUF file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GgufSummary {
    /// Version of the container, 2 or 3.
    pub version: u32,
    /// Such as `llama` or `qwen2`.
    pub architecture: String,
    /// `general.size_label`, such as `1.5B`.
    pub size_label: Option<String>,
    /// `general.file_type`, llama.cpp's number of the quantisation.
    pub file_type: Option<u64>,
    /// Tokens of context the model was trained on.
    pub trained_context_tokens: Option<u64>,
    /// Tokens that some layers look back at most; `None` where all look back to the beginning.
    pub sliding_window: Option<u64>,
    /// The chat template.
    pub chat_template: Option<String>,
    /// Number of tensors.
    pub tensors: u64,
    /// Size of the file in bytes.
    pub file_bytes: u64,
}

impl GgufSummary {
    /// One line for people: architecture, size, quantisation.
    #[must_use]
    pub fn description(&self) -> String {
        let mut words = vec![self.architecture.clone()];
        words.extend(self.size_label.clone());
        words.extend(
            self.file_type
                .map(|number| file_type_name(number).map_or_else(|| format!("file type {number}"), str::to_owned)),
        );
        words.join(" ")
    }
}

/// Reads and checks the header of a GGUF file.
///
/// # Errors
/// [`ModelError::Missing`] where there is no file, [`ModelError::Damaged`] where it is no GGUF, is cut short, contradicts
/// itself, or holds a model that generates no text.
pub fn read_gguf(path: &Path) -> Result<GgufSummary, ModelError> {
    if !path.is_file() {
        let hint = "`sidenote models pull` fetches the default model; `models.generator` in config.toml names another"
            .to_owned();
        return Err(ModelError::Missing { path: path.to_owned(), hint });
    }
    let file = fs_err::File::open(path)?;
    let file_bytes = file.metadata()?.len();
    let mut reader = Bounded { inner: BufReader::with_capacity(1 << 16, file), at: 0, end: file_bytes };
    reader.summary().map_err(|reason| ModelError::Damaged { path: path.to_owned(), reason })
}

struct Bounded<R> {
    inner: R,
    at: u64,
    end: u64,
}

type Outcome<T> = Result<T, String>;

impl<R: Read + Seek> Bounded<R> {
    fn summary(&mut self) -> Outcome<GgufSummary> {
        let magic: [u8; 4] = self.bytes().map_err(|_| format!("it has {} bytes and is no GGUF file", self.end))?;
        if &magic != b"GGUF" {
            return Err("it does not begin with `GGUF`".to_owned());
        }
        let version = u32::from_le_bytes(self.bytes()?);
        if !(2..=3).contains(&version) {
            return Err(format!("GGUF version {version} is not 2 or 3"));
        }
        let tensors = self.u64()?;
        let keys = self.u64()?;
        if tensors == 0 || tensors > MAX_TENSORS || keys > MAX_KEYS {
            return Err(format!("a header with {tensors} tensors and {keys} keys is not believable"));
        }
        let mut summary = GgufSummary { version, tensors, file_bytes: self.end, ..GgufSummary::default() };
        let mut alignment = 32;
        let mut numbers: Vec<(String, u64)> = Vec::new();
        for _ in 0..keys {
            let key = self.string(MAX_KEY_BYTES)?;
            let value = self.value()?;
            match (key.as_str(), value) {
                ("general.architecture", Value::Text(text)) => summary.architecture = text,
                ("general.size_label", Value::Text(text)) => summary.size_label = Some(text),
                ("general.file_type", Value::Number(number)) => summary.file_type = Some(number),
                ("general.alignment", Value::Number(number)) => alignment = number,
                ("tokenizer.chat_template", Value::Text(text)) => summary.chat_template = Some(text),
                (name, Value::Number(number)) if OF_ARCHITECTURE.iter().any(|end| name.ends_with(end)) => {
                    numbers.push((key, number));
                }
                _ => (),
            }
        }
        if summary.architecture.is_empty() {
            return Err("it names no architecture".to_owned());
        }
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(format!("an alignment of {alignment} bytes is not believable"));
        }
        if NOT_GENERATORS.contains(&summary.architecture.as_str()) {
            return Err(format!("a model of architecture `{}` generates no text", summary.architecture));
        }
        let number = |end: &str| {
            let wanted = format!("{}{end}", summary.architecture);
            numbers.iter().find(|(key, _)| *key == wanted).map(|(_, number)| *number)
        };
        let [context_length, sliding_window] = OF_ARCHITECTURE.map(number);
        summary.trained_context_tokens = context_length;
        summary.sliding_window = sliding_window.filter(|window| *window > 0);
        let needed = self.tensor_bytes(tensors)?;
        let data_start = self.at.checked_next_multiple_of(alignment).ok_or("the header is too long")?;
        let whole = data_start.checked_add(needed).ok_or("the tensors are too long")?;
        if whole > self.end {
            return Err(format!("it is cut short: {} bytes of at least {whole}", self.end));
        }
        Ok(summary)
    }

    /// Walks the list of tensors; the end of the last one, from the start of the data.
    fn tensor_bytes(&mut self, tensors: u64) -> Outcome<u64> {
        let mut end = 0_u64;
        for _ in 0..tensors {
            let name = self.string(256)?;
            let wrong = || format!("tensor `{}` is not believable", printable(&name));
            let dimensions = u32::from_le_bytes(self.bytes()?);
            if dimensions > 4 {
                return Err(wrong());
            }
            let mut elements = 1_u64;
            for _ in 0..dimensions {
                elements = elements.checked_mul(self.u64()?).ok_or_else(wrong)?;
            }
            let kind = u32::from_le_bytes(self.bytes()?);
            let offset = self.u64()?;
            let bytes = match block_of(kind) {
                Some((per_block, block_bytes)) => {
                    elements.div_ceil(per_block).checked_mul(block_bytes).ok_or_else(wrong)?
                }
                // A type newer than this table: only its start can be checked.
                None => 0,
            };
            end = end.max(offset.checked_add(bytes).ok_or_else(wrong)?);
        }
        Ok(end)
    }

    fn value(&mut self) -> Outcome<Value> {
        let kind = u32::from_le_bytes(self.bytes()?);
        match kind {
            0 | 1 | 7 => Ok(Value::Number(u64::from(self.bytes::<1>()?[0]))),
            2 | 3 => Ok(Value::Number(u64::from(u16::from_le_bytes(self.bytes()?)))),
            4 | 5 => Ok(Value::Number(u64::from(u32::from_le_bytes(self.bytes()?)))),
            6 => self.skip(4).map(|()| Value::Other),
            8 => {
                let length = self.u64()?;
                if length > MAX_KEPT_STRING_BYTES {
                    return self.skip(length).map(|()| Value::Other);
                }
                self.text(length).map(Value::Text)
            }
            9 => self.array().map(|()| Value::Other),
            10 | 11 => self.u64().map(Value::Number),
            12 => self.skip(8).map(|()| Value::Other),
            _ => Err(format!("a value of type {kind} does not exist")),
        }
    }

    fn array(&mut self) -> Outcome<()> {
        let kind = u32::from_le_bytes(self.bytes()?);
        let length = self.u64()?;
        let item_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                // Every string takes 8 bytes at least, so the walk ends with the file whatever the count says.
                for _ in 0..length {
                    let bytes = self.u64()?;
                    self.skip(bytes)?;
                }
                return Ok(());
            }
            _ => return Err(format!("an array of type {kind} does not exist")),
        };
        self.skip(length.checked_mul(item_bytes).ok_or("an array is too long")?)
    }

    fn string(&mut self, limit: u64) -> Outcome<String> {
        let length = self.u64()?;
        if length > limit {
            return Err(format!("a name of {length} bytes is not believable"));
        }
        self.text(length)
    }

    fn text(&mut self, length: u64) -> Outcome<String> {
        self.check(length)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        self.inner.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        self.at += length;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn u64(&mut self) -> Outcome<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn bytes<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let length = u64::try_from(N).map_err(|error| error.to_string())?;
        self.check(length)?;
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        self.at += length;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> Outcome<()> {
        self.check(length)?;
        if length < 1 << 12 {
            // Most skips are short strings of a vocabulary: reading them keeps the buffer, seeking would drop it.
            let taken = std::io::copy(&mut self.inner.by_ref().take(length), &mut std::io::sink())
                .map_err(|error| error.to_string())?;
            if taken != length {
                return Err("the file became shorter".to_owned());
            }
        } else {
            self.inner.seek(SeekFrom::Start(self.at + length)).map_err(|error| error.to_string())?;
        }
        self.at += length;
        Ok(())
    }

    fn check(&self, length: u64) -> Outcome<()> {
        if length > self.end - self.at {
            return Err(format!("it is cut short: the header goes on after its {} bytes", self.end));
        }
        Ok(())
    }
}

enum Value {
    Text(String),
    Number(u64),
    Other,
}

/// Architectures that llama.cpp loads but that only encode.
const NOT_GENERATORS: [&str; 12] = [
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "eurobert",
    "t5encoder",
    "clip",
    "wavtokenizer-dec",
    "gemma-embedding",
];

/// Elements and bytes of a block of a tensor type.
fn block_of(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        20 => (32, 18),
        21 => (256, 110),
        22 => (256, 82),
        23 => (256, 136),
        24 => (1, 1),
        27 | 28 => (1, 8),
        29 => (256, 56),
        34 => (256, 54),
        35 => (256, 66),
        39 => (32, 17),
        _ => return None,
    })
}

fn file_type_name(number: u64) -> Option<&'static str> {
    Some(match number {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K small",
        12 => "Q3_K medium",
        13 => "Q3_K large",
        14 => "Q4_K small",
        15 => "Q4_K medium",
        16 => "Q5_K small",
        17 => "Q5_K medium",
        18 => "Q6_K",
        25 => "IQ4_NL",
        30 => "IQ4_XS",
        32 => "BF16",
        38 => "MXFP4",
        _ => return None,
    })
}

fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> Vec<u8> {
        let mut bytes = u64::try_from(text.len()).expect("short").to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        [string(name), kind.to_le_bytes().to_vec(), value.to_vec()].concat()
    }

    /// A header with five keys and one tensor of 64 f32.
    fn small() -> Vec<u8> {
        let mut words = 8_u32.to_le_bytes().to_vec();
        words.extend(2_u64.to_le_bytes());
        words.extend(string("a"));
        words.extend(string("bc"));
        let keys = [
            key("general.architecture", 8, &string("qwen2")),
            key("qwen2.context_length", 4, &4096_u32.to_le_bytes()),
            key("qwen2.attention.sliding_window", 4, &512_u32.to_le_bytes()),
            key("tokenizer.ggml.tokens", 9, &words),
            key("general.file_type", 4, &15_u32.to_le_bytes()),
        ];
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
        file.extend(5_u64.to_le_bytes());
        file.extend(keys.concat());
        file.extend(string("output.weight"));
        file.extend(1_u32.to_le_bytes());
        file.extend(64_u64.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.resize(file.len().next_multiple_of(32) + 256, 0);
        file
    }

    fn read(bytes: &[u8]) -> Result<GgufSummary, ModelError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.gguf");
        fs_err::write(&path, bytes).expect("write");
        read_gguf(&path)
    }

    #[test]
    fn the_header_of_a_small_file_is_read() {
        let summary = read(&small()).expect("readable");
        assert_eq!((summary.trained_context_tokens, summary.sliding_window), (Some(4096), Some(512)));
        assert_eq!(summary.description(), "qwen2 Q4_K medium");
        assert_eq!(summary.chat_template, None);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let whole = small();
        for length in 0..whole.len() {
            let error = read(&whole[..length]).expect_err("cut short");
            assert!(matches!(error, ModelError::Damaged { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn files_that_lie_about_their_sizes_are_errors() {
        let mut many_keys = small();
        many_keys[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&many_keys).expect_err("refused").to_string().contains("not believable"));
        let mut long_key = small();
        long_key[24..32].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
        assert!(read(&long_key).expect_err("refused").to_string().contains("not believable"));
        assert!(read(b"not a model").expect_err("refused").to_string().contains("does not begin with `GGUF`"));
        assert!(matches!(read_gguf(Path::new("/nonexistent.gguf")), Err(ModelError::Missing { .. })));
    }

    #[test]
    fn a_model_that_only_encodes_is_refused_by_name() {
        let mut file = small();
        let at = file
            .windows(13)
            .position(|window| window == [&5_u64.to_le_bytes()[..], b"qwen2"].concat())
            .expect("the architecture");
        file.splice(at..at + 13, [&4_u64.to_le_bytes()[..], b"bert"].concat());
        assert!(read(&file).expect_err("refused").to_string().contains("architecture `bert` generates no text"));
    }

    proptest! {
        #[test]
        fn no_change_of_a_few_bytes_panics_or_hangs(changes in proptest::collection::vec((0_usize..500, any::<u8>()), 1..8)) {
            let mut bytes = small();
            for (at, value) in changes {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            let mut reader = Bounded { inner: std::io::Cursor::new(&bytes), at: 0, end: u64::try_from(bytes.len()).expect("small") };
            let _ = reader.summary();
        }
    }
}
