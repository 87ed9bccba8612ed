//! The encodings that RTF names by number.

use encoding_rs::Encoding;

/// The encoding of a code page of Windows.
pub(crate) fn of_code_page(page: i32) -> Option<&'static Encoding> {
    let label = match page {
        10_000 => "macintosh".to_owned(),
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        866 => "ibm866".to_owned(),
        874 | 1250..=1258 => format!("windows-{page}"),
        65_001 => "utf-8".to_owned(),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

/// The encoding of a font's character set.
pub(crate) fn of_character_set(number: i32) -> Option<&'static Encoding> {
    let label = match number {
        0 => "windows-1252",
        77 => "macintosh",
        128 => "shift_jis",
        129 => "euc-kr",
        134 => "gbk",
        136 => "big5",
        161 => "windows-1253",
        162 => "windows-1254",
        163 => "windows-1258",
        177 => "windows-1255",
        178 => "windows-1256",
        186 => "windows-1257",
        204 => "windows-1251",
        222 => "windows-874",
        238 => "windows-1250",
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_names_an_encoding() {
        for page in [10_000, 932, 936, 949, 950, 866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258, 65_001]
        {
            assert!(of_code_page(page).is_some(), "{page}");
        }
        for set in [0, 77, 128, 129, 134, 136, 161, 162, 163, 177, 178, 186, 204, 222, 238] {
            assert!(of_character_set(set).is_some(), "{set}");
        }
        assert_eq!((of_code_page(437), of_character_set(2)), (None, None));
    }
}
