//! How many tokens a text has, where nobody can be asked.

/// About as many tokens as the vocabularies of today's models need, rather more: a word of up to six letters is one and each four
/// letters more another, a digit, a sign or a line break is one, a letter of other scripts half of one, or one where words are not
/// written apart.
pub(super) fn estimated_tokens(text: &str) -> usize {
    let mut halves = 0;
    let mut letters = 0_usize;
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            letters += 1;
            // The 1st letter begins a token, as do the 7th, the 11th and so on.
            halves += if letters == 1 || (letters > 6 && (letters - 7).is_multiple_of(4)) { 2 } else { 0 };
            continue;
        }
        letters = 0;
        halves += match character {
            ' ' => 0,
            _ if character.is_alphabetic() && !is_written_without_spaces(character) => 1,
            _ => 2,
        };
    }
    usize::div_ceil(halves, 2)
}

/// Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese letters.
fn is_written_without_spaces(character: char) -> bool {
    matches!(u32::from(character), 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}
