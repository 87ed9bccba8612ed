//! The language of a text.
//!
//! Seam for `whatlang`: trigrams over a sample. It is total and fast, and it always has an opinion, so only what it calls
//! reliable is believed, and, where languages of one script have most trigrams in common, what their commonest words say.

use whatlang::Lang;

/// Letters it takes to tell.
const MIN_LETTERS: usize = 40;
/// How much of the text is looked at.
const SAMPLE_BYTES: usize = 16 << 10;

/// Languages that are hard to tell apart by trigrams, with common words that the others do not have.
const KIN: [(Lang, [&str; 10]); 3] = [
    (Lang::Hin, ["है", "हैं", "में", "और", "को", "से", "के", "की", "था", "थे"]),
    (Lang::Mar, ["आहे", "आहेत", "आणि", "होते", "होता", "होती", "मध्ये", "नाही", "त्या", "हा"]),
    (Lang::Nep, ["छ", "छन्", "र", "पनि", "लागि", "गर्न", "गरेको", "भएको", "थियो", "थिए"]),
];
/// Such words that a text must have before they are believed.
const MIN_KIN_WORDS: usize = 3;

/// The language of a text: its ISO 639-1 code where it has one, else ISO 639-3; `None` where the text does not say, as when it has
/// less than 40 letters.
pub fn detect(text: &str) -> Option<String> {
    let sample = text.get(..text.floor_char_boundary(SAMPLE_BYTES))?;
    if sample.chars().filter(|c| c.is_alphabetic()).take(MIN_LETTERS).count() < MIN_LETTERS {
        return None;
    }
    let info = whatlang::detect(sample)?;
    let lang = if info.is_reliable() { Some(info.lang()) } else { by_common_words(sample) };
    lang.map(|lang| short_code(lang).to_owned())
}

/// The one of [`KIN`] whose words a text has, and more than twice as many of them as of any other.
fn by_common_words(text: &str) -> Option<Lang> {
    let mut counts = KIN.map(|(lang, common)| {
        let words = text.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || c == '।');
        (words.filter(|word| common.contains(word)).count(), lang)
    });
    counts.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
    let [(most, lang), (next, _), ..] = counts;
    (most >= MIN_KIN_WORDS && most > 2 * next).then_some(lang)
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
    fn close_kin_are_told_apart_by_their_commonest_words() {
        // Trigrams alone are not sure of any of the first three.
        let cases = [
            ("यह घर राम का है और वह घर श्याम का है, दोनों घर गाँव में हैं।", Some("hi")),
            ("हा करार रामचा आहे आणि तो करार श्यामचा आहे, दोन्ही करार कार्यालयात आहेत।", Some("mr")),
            ("यो घर रामको हो र त्यो घर श्यामको हो, दुवै घर पनि गाउँमा छन् र राम्रा छन्।", Some("ne")),
            ("The house on the hill belongs to the parish and to nobody else.", Some("en")),
            ("राम श्याम सीता गीता मोहन सोहन रोहन मीना रीना टीना लीला शीला कमला विमला", None),
        ];
        for (text, language) in cases {
            assert_eq!(detect(text).as_deref(), language, "{text}");
        }
    }

    #[test]
    fn tags_are_cut_to_their_language() {
        assert_eq!(from_tag("de-CH").as_deref(), Some("de"));
        assert_eq!(from_tag(" EN ").as_deref(), Some("en"));
        assert_eq!(from_tag(""), None);
        assert_eq!(from_tag("x-default-language"), None);
    }
}
