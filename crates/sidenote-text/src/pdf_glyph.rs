//! Glyphs that stand for letters: ligatures and the joined forms of Arabic are written as the letters they show, as anyone
//! who searches for a word types it.

/// Latin ligatures.
const LIGATURES: [(char, &str); 7] = [
    ('\u{fb00}', "ff"),
    ('\u{fb01}', "fi"),
    ('\u{fb02}', "fl"),
    ('\u{fb03}', "ffi"),
    ('\u{fb04}', "ffl"),
    ('\u{fb05}', "st"),
    ('\u{fb06}', "st"),
];

/// Joined forms, first and last, and what they show: the letters of Arabic, then those that Persian and Urdu add.
const JOINED_FORMS: [(u32, u32, &str); 55] = [
    (0xfe80, 0xfe80, "\u{621}"),
    (0xfe81, 0xfe82, "\u{622}"),
    (0xfe83, 0xfe84, "\u{623}"),
    (0xfe85, 0xfe86, "\u{624}"),
    (0xfe87, 0xfe88, "\u{625}"),
    (0xfe89, 0xfe8c, "\u{626}"),
    (0xfe8d, 0xfe8e, "\u{627}"),
    (0xfe8f, 0xfe92, "\u{628}"),
    (0xfe93, 0xfe94, "\u{629}"),
    (0xfe95, 0xfe98, "\u{62a}"),
    (0xfe99, 0xfe9c, "\u{62b}"),
    (0xfe9d, 0xfea0, "\u{62c}"),
    (0xfea1, 0xfea4, "\u{62d}"),
    (0xfea5, 0xfea8, "\u{62e}"),
    (0xfea9, 0xfeaa, "\u{62f}"),
    (0xfeab, 0xfeac, "\u{630}"),
    (0xfead, 0xfeae, "\u{631}"),
    (0xfeaf, 0xfeb0, "\u{632}"),
    (0xfeb1, 0xfeb4, "\u{633}"),
    (0xfeb5, 0xfeb8, "\u{634}"),
    (0xfeb9, 0xfebc, "\u{635}"),
    (0xfebd, 0xfec0, "\u{636}"),
    (0xfec1, 0xfec4, "\u{637}"),
    (0xfec5, 0xfec8, "\u{638}"),
    (0xfec9, 0xfecc, "\u{639}"),
    (0xfecd, 0xfed0, "\u{63a}"),
    (0xfed1, 0xfed4, "\u{641}"),
    (0xfed5, 0xfed8, "\u{642}"),
    (0xfed9, 0xfedc, "\u{643}"),
    (0xfedd, 0xfee0, "\u{644}"),
    (0xfee1, 0xfee4, "\u{645}"),
    (0xfee5, 0xfee8, "\u{646}"),
    (0xfee9, 0xfeec, "\u{647}"),
    (0xfeed, 0xfeee, "\u{648}"),
    (0xfeef, 0xfef0, "\u{649}"),
    (0xfef1, 0xfef4, "\u{64a}"),
    (0xfef5, 0xfef6, "\u{644}\u{622}"),
    (0xfef7, 0xfef8, "\u{644}\u{623}"),
    (0xfef9, 0xfefa, "\u{644}\u{625}"),
    (0xfefb, 0xfefc, "\u{644}\u{627}"),
    (0xfb50, 0xfb51, "\u{671}"),
    (0xfb56, 0xfb59, "\u{67e}"),
    (0xfb66, 0xfb69, "\u{679}"),
    (0xfb7a, 0xfb7d, "\u{686}"),
    (0xfb88, 0xfb89, "\u{688}"),
    (0xfb8a, 0xfb8b, "\u{698}"),
    (0xfb8c, 0xfb8d, "\u{691}"),
    (0xfb8e, 0xfb91, "\u{6a9}"),
    (0xfb92, 0xfb95, "\u{6af}"),
    (0xfb9e, 0xfb9f, "\u{6ba}"),
    (0xfba6, 0xfba9, "\u{6c1}"),
    (0xfbaa, 0xfbad, "\u{6be}"),
    (0xfbae, 0xfbaf, "\u{6d2}"),
    (0xfbfc, 0xfbff, "\u{6cc}"),
    (0xfe7c, 0xfe7d, "\u{651}"),
];

/// The letters that a glyph shows; `None` where it is a letter itself.
pub(crate) fn letters_of(glyph: char) -> Option<&'static str> {
    let code = u32::from(glyph);
    if !(0xfb00..=0xfeff).contains(&code) {
        return None;
    }
    let ligature = LIGATURES.iter().find(|(known, _)| *known == glyph).map(|(_, letters)| *letters);
    let joined = || JOINED_FORMS.iter().find(|(first, last, _)| (*first..=*last).contains(&code));
    ligature.or_else(|| joined().map(|(.., letters)| *letters))
}

/// Whether a letter belongs to a script that is written from right to left.
pub(crate) fn is_right_to_left(c: char) -> bool {
    matches!(u32::from(c), 0x0590..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff)
}

/// Points of vowels and the like, which belong to the letter before them.
pub(crate) fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036f | 0x0591..=0x05bd | 0x05bf | 0x05c1..=0x05c7 | 0x0610..=0x061a | 0x064b..=0x065f | 0x0670)
}

/// Letters that only end a word in Arabic and Hebrew.
pub(crate) fn is_final_letter(c: char) -> bool {
    matches!(c, '\u{629}' | '\u{649}' | '\u{5da}' | '\u{5dd}' | '\u{5df}' | '\u{5e3}' | '\u{5e5}')
}

/// The bracket that faces the other way.
pub(crate) fn mirrored(c: char) -> char {
    const PAIRS: [(char, char); 5] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»')];
    let other = |(open, close): (char, char)| match c {
        _ if c == open => Some(close),
        _ if c == close => Some(open),
        _ => None,
    };
    PAIRS.into_iter().find_map(other).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ligatures_and_joined_forms_are_spelt_out() {
        let spelt = |text: &str| {
            text.chars().map(|c| letters_of(c).map_or_else(|| c.to_string(), str::to_owned)).collect::<String>()
        };
        assert_eq!(spelt("e\u{fb03}cient \u{fb01}ve \u{fb02}ats"), "efficient five flats");
        assert_eq!(spelt("\u{feb3}\u{fefc}\u{fee1}"), "\u{633}\u{644}\u{627}\u{645}");
        assert_eq!(spelt("plain, 北京, שלום"), "plain, 北京, שלום");
    }

    #[test]
    fn no_two_forms_overlap() {
        for (at, (first, last, _)) in JOINED_FORMS.iter().enumerate() {
            assert!(first <= last);
            assert!(JOINED_FORMS.iter().skip(at + 1).all(|(other, end, _)| end < first || other > last), "{first:x}");
        }
    }
}
