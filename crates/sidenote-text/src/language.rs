//! The language of a text.
//!
//! Seam for `whatlang`: trigrams over a sample. It is total and fast, and it always has an opinion, so only what it calls
//! reliable is believed.

use whatlang::Lang;

/// Letters it takes to tell.
const MIN_LETTERS: usize = 40;
/// How much of the text is looked at.
const SAMPLE_BYTES: usize = 16 << 10;

/// The language of a text: its ISO 639-1 code where it has one, else ISO 639-3; `None` where the text does not say, as when it has
/// less than 40 letters.
pub fn detect(text: &str) -> Option<String> {
    let sample = text.get(..text.floor_char_boundary(SAMPLE_BYTES))?;
    if sample.chars().filter(|c| c.is_alphabetic()).take(MIN_LETTERS).count() < MIN_LETTERS {
        return None;
    }
    let info = whatlang::detect(sample)?;
    info.is_reliable().then(|| short_code(info.lang()).to_owned())
}

/// A language tag such as `de-CH` or `EN` cut down to its language, or `None` where it is no tag.
pub(crate) fn from_tag(tag: &str) -> Option<String> {
    let language = tag.trim().split(['-', '_']).next()?;
    let plausible = matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    plausible.then(|| language.to_ascii_lowercase()).filter(|language| language != "und")
}

/// The English name of a language by its code: `German` of `de`.
pub fn english_name(code: &str) -> Option<&'static str> {
    Lang::all().iter().find(|lang| short_code(**lang) == code).map(|lang| lang.eng_name())
}

fn short_code(lang: Lang) -> &'static str {
    match lang.code() {
        "afr" => "af",
        "aka" => "ak",
        "amh" => "am",
        "ara" => "ar",
        "aze" => "az",
        "bel" => "be",
        "ben" => "bn",
        "bul" => "bg",
        "cat" => "ca",
        "ces" => "cs",
        "cmn" => "zh",
        "cym" => "cy",
        "dan" => "da",
        "deu" => "de",
        "ell" => "el",
        "eng" => "en",
        "epo" => "eo",
        "est" => "et",
        "fin" => "fi",
        "fra" => "fr",
        "guj" => "gu",
        "heb" => "he",
        "hin" => "hi",
        "hrv" => "hr",
        "hun" => "hu",
        "hye" => "hy",
        "ind" => "id",
        "ita" => "it",
        "jav" => "jv",
        "jpn" => "ja",
        "kan" => "kn",
        "kat" => "ka",
        "khm" => "km",
        "kor" => "ko",
        "lat" => "la",
        "lav" => "lv",
        "lit" => "lt",
        "mal" => "ml",
        "mar" => "mr",
        "mkd" => "mk",
        "mya" => "my",
        "nep" => "ne",
        "nld" => "nl",
        "nob" => "nb",
        "ori" => "or",
        "pan" => "pa",
        "pes" => "fa",
        "pol" => "pl",
        "por" => "pt",
        "ron" => "ro",
        "rus" => "ru",
        "sin" => "si",
        "slk" => "sk",
        "slv" => "sl",
        "sna" => "sn",
        "spa" => "es",
        "srp" => "sr",
        "swe" => "sv",
        "tam" => "ta",
        "tel" => "te",
        "tgl" => "tl",
        "tha" => "th",
        "tuk" => "tk",
        "tur" => "tr",
        "ukr" => "uk",
        "urd" => "ur",
        "uzb" => "uz",
        "vie" => "vi",
        "yid" => "yi",
        "zul" => "zu",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_with_a_two_letter_code_gets_it() {
        for lang in Lang::all() {
            assert_eq!(short_code(*lang).len(), 2, "{}", lang.code());
        }
        assert_eq!(english_name("de"), Some("German"));
        assert_eq!(english_name("xx"), None);
    }

    #[test]
    fn tags_are_cut_to_their_language() {
        assert_eq!(from_tag("de-CH").as_deref(), Some("de"));
        assert_eq!(from_tag(" EN ").as_deref(), Some("en"));
        assert_eq!(from_tag(""), None);
        assert_eq!(from_tag("x-default-language"), None);
    }
}
