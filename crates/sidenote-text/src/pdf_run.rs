//! A run of text as the PDF library gives it becomes pieces as a reader sees them. Nothing here knows that library.
//!
//! The library joins what stands close on a line. Three of its guesses are undone: cells of a table drawn with wide spacing
//! between letters become one run; two numbers side by side become one with a decimal point that nobody wrote; and text of
//! right-to-left scripts that was drawn letter by letter from left to right is left in the order of drawing.

use crate::pdf_glyph::{is_final_letter, is_mark, is_right_to_left, mirrored};

/// A letter's way to the next one, in font sizes, from which on there is a gap between cells.
const CELL_STEP: f32 = 2.2;
/// Width in font sizes from which on a decimal point may be a gap that was filled.
const WIDE_POINT: f32 = 0.35;

/// A run of text. The last two hold a value for each character, or nothing.
pub(crate) struct Run<'a> {
    pub(crate) text: &'a str,
    /// Where each character begins.
    pub(crate) starts: &'a [f32],
    /// How wide each character is, the space behind it included.
    pub(crate) widths: &'a [f32],
    pub(crate) size: f32,
}

/// Part of a run: its text, and where it begins and ends if that is known better than from the run as a whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) ends: Option<(f32, f32)>,
}

impl Run<'_> {
    /// The run's parts from left to right. `has_point_at` says whether a point is drawn near a place on the run's line.
    pub(crate) fn parts(&self, has_point_at: impl FnMut(f32) -> bool) -> Vec<Part> {
        let whole = || vec![Part { text: self.text.to_owned(), ends: None }];
        let chars: Vec<char> = self.text.chars().collect();
        let is_measured = chars.len() > 1 && self.widths.len() == chars.len();
        if !is_measured {
            return whole();
        }
        let is_placed = self.starts.len() == chars.len();
        if is_placed && self.is_in_order_of_drawing(&chars) {
            return vec![Part { text: in_order_of_reading(&chars), ends: None }];
        }
        let filled = self.filled_point(&chars, has_point_at);
        let mut cuts: Vec<usize> = filled.into_iter().collect();
        if is_placed {
            cuts.extend((0..chars.len() - 1).filter(|at| self.is_wide_step(*at)));
        }
        cuts.sort_unstable();
        if cuts.is_empty() {
            return whole();
        }
        self.cut(&chars, &cuts, filled)
    }

    /// Whether the next character begins far behind this one, in both measures: one alone may be off.
    fn is_wide_step(&self, at: usize) -> bool {
        let (Some(start), Some(next), Some(width)) =
            (self.starts.get(at), self.starts.get(at + 1), self.widths.get(at))
        else {
            return false;
        };
        next - start > CELL_STEP * self.size && *width > CELL_STEP * self.size
    }

    /// The place of a decimal point between whole numbers that is a gap and not drawn.
    fn filled_point(&self, chars: &[char], mut has_point_at: impl FnMut(f32) -> bool) -> Option<usize> {
        let at = chars.iter().position(|c| *c == '.')?;
        let are_digits = |part: &[char]| !part.is_empty() && part.iter().all(char::is_ascii_digit);
        let is_amount = are_digits(chars.get(..at)?) && are_digits(chars.get(at + 1..)?);
        let is_wide = *self.widths.get(at)? > WIDE_POINT * self.size;
        let place = self.starts.get(at).copied()?;
        (is_amount && is_wide && !has_point_at(place)).then_some(at)
    }

    fn cut(&self, chars: &[char], cuts: &[usize], filled: Option<usize>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut first = 0;
        for last in cuts.iter().copied().chain([chars.len() - 1]) {
            let is_gap = |at: usize| filled == Some(at);
            let kept: Vec<usize> = (first..=last).filter(|at| !is_gap(*at)).collect();
            first = last + 1;
            let (Some(from), Some(to)) = (kept.first(), kept.last()) else { continue };
            let text = chars.get(*from..=*to).unwrap_or_default().iter().collect();
            // Half an em is about what a letter or digit takes of a step that is mostly gap.
            let end = |at: usize| {
                Some(
                    self.starts.get(at)?
                        + self.widths.get(at)?.min(self.size * if cuts.contains(&at) { 0.55 } else { 1.0 }),
                )
            };
            parts.push(Part { text, ends: self.starts.get(*from).copied().zip(end(*to)) });
        }
        parts
    }

    /// Whether letters of a right-to-left script stand in the order of their places from left to right.
    fn is_in_order_of_drawing(&self, chars: &[char]) -> bool {
        let is_letter = |at: usize| chars.get(at).is_some_and(|c| is_right_to_left(*c) && !is_mark(*c));
        let pairs: Vec<usize> = (0..chars.len() - 1).filter(|at| is_letter(*at) && is_letter(at + 1)).collect();
        let follows = |at: &&usize| {
            let (Some(start), Some(next), Some(width)) =
                (self.starts.get(**at), self.starts.get(**at + 1), self.widths.get(**at))
            else {
                return false;
            };
            next > start && (next - start - width).abs() < self.size * 0.3
        };
        let following = pairs.iter().filter(follows).count();
        pairs.len() >= 2 && following * 10 >= pairs.len() * 9 && final_letters_speak_for_drawing(chars)
    }
}

/// Some letters only end words. Where most of them begin words the text is turned round; where there are none, nothing speaks
/// against it.
fn final_letters_speak_for_drawing(chars: &[char]) -> bool {
    let words = chars.split(|c| !is_right_to_left(*c)).filter(|word| word.len() > 1);
    let (mut at_start, mut at_end) = (0, 0);
    for word in words {
        at_start += usize::from(word.first().is_some_and(|c| is_final_letter(*c)));
        at_end += usize::from(word.last().is_some_and(|c| is_final_letter(*c)));
    }
    at_start >= at_end
}

/// Text of a right-to-left script as it is read, from what was drawn left to right: all is turned round except numbers and
/// words of other scripts.
fn in_order_of_reading(drawn: &[char]) -> String {
    let mut clusters: Vec<Vec<char>> = Vec::new();
    for c in drawn {
        match clusters.last_mut() {
            Some(cluster) if is_mark(*c) => cluster.push(*c),
            _ => clusters.push(vec![*c]),
        }
    }
    let is_forward = |cluster: &[char]| cluster.first().is_some_and(|c| c.is_alphanumeric() && !is_right_to_left(*c));
    let mut text = String::new();
    let mut end = clusters.len();
    while end > 0 {
        let Some(last) = clusters.get(end - 1) else { break };
        if !is_forward(last) {
            text.extend(last.iter().map(|c| mirrored(*c)));
            end -= 1;
            continue;
        }
        // Back to where the number or the foreign words begin; single signs inside belong to them.
        let mut start = end - 1;
        while let Some(before) = start.checked_sub(1).and_then(|at| clusters.get(at)) {
            let further = start.checked_sub(2).and_then(|at| clusters.get(at));
            let is_sign = before.first().is_some_and(|c| !c.is_alphanumeric());
            if is_forward(before) || is_sign && further.is_some_and(|cluster| is_forward(cluster)) {
                start -= 1;
            } else {
                break;
            }
        }
        text.extend(clusters.get(start..end).unwrap_or_default().iter().flatten());
        end = start;
    }
    text
}

/// Right-to-left text with the words of other scripts in it as they are drawn; the library may have turned them round with the
/// rest. `drawn` gives what stands on the run's line, from left to right. `None` where nothing is to be mended.
pub(crate) fn with_foreign_words_as_drawn(text: &str, drawn: impl FnOnce() -> String) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_foreign = |c: &char| c.is_alphanumeric() && !is_right_to_left(*c);
    let parts: Vec<&[char]> = chars.chunk_by(|a, b| is_foreign(a) == is_foreign(b)).collect();
    let is_word = |part: &[char]| part.len() > 2 && part.iter().all(is_foreign) && !part.iter().eq(part.iter().rev());
    if !text.contains(is_right_to_left) || !parts.iter().any(|part| is_word(part)) {
        return None;
    }
    let drawn = drawn();
    let mut mended = String::with_capacity(text.len());
    for part in parts {
        let (word, turned): (String, String) = (part.iter().collect(), part.iter().rev().collect());
        let is_turned = is_word(part) && !drawn.contains(&word) && drawn.contains(&turned);
        mended.push_str(if is_turned { &turned } else { &word });
    }
    (mended != text).then_some(mended)
}

/// How a run is turned, in degrees against the clock.
#[derive(Clone, Copy)]
pub(crate) struct Turns {
    /// The run as the page is shown.
    pub(crate) shown: i32,
    /// By how much of that the library has turned the page.
    pub(crate) page: i32,
}

/// Where a turned run begins and how long it is, as if its page lay so that it can be read.
///
/// The library gives such runs the bounds that they would have if they were not turned; where the page is turned it turns
/// these bounds. So the run's beginning is found again at one of their corners.
pub(crate) fn turned_back([x, y, width, height]: [f32; 4], turns: Turns) -> ((f32, f32), f32) {
    let (x, y, length) = match turns.page {
        90 => (x, y + height, height),
        180 => (x + width, y + height, width),
        270 => (x + width, y, height),
        _ => (x, y, width),
    };
    let beginning = match turns.shown {
        90 => (y, -x),
        180 => (-x, -y),
        270 => (-y, x),
        _ => (x, y),
    };
    (beginning, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, starts: &[f32], widths: &[f32], has_point: bool) -> Vec<String> {
        let run = Run { text, starts, widths, size: 6.0 };
        run.parts(|_| has_point).into_iter().map(|part| part.text).collect()
    }

    #[test]
    fn numbers_far_apart_are_cells_of_their_own() {
        assert_eq!(texts("30", &[258.5, 285.9], &[27.4, 27.4], true), ["3", "0"]);
        assert_eq!(texts("30", &[258.5, 262.0], &[3.5, 3.5], true), ["30"]);
        // Places that are off do not tear a word apart.
        assert_eq!(texts("fit", &[10.0, 13.0, 40.0], &[3.0, 3.0, 3.0], true), ["fit"]);
        assert_eq!(texts("30", &[], &[27.4, 27.4], true), ["30"]);
        assert_eq!(texts("30", &[258.5, f32::NAN], &[27.4, 27.4], true), ["30"]);
    }

    #[test]
    fn a_point_that_nobody_drew_is_a_gap() {
        let (starts, widths) = ([10.0, 16.0, 24.0], [6.0, 6.9, 3.0]);
        assert_eq!(texts("0.5", &starts, &widths, false), ["0", "5"]);
        assert_eq!(texts("0.5", &starts, &widths, true), ["0.5"]);
        assert_eq!(texts("0.5", &[10.0, 13.0, 14.5], &[3.0, 1.5, 3.0], false), ["0.5"]);
    }

    #[test]
    fn right_to_left_text_in_the_order_of_drawing_is_turned_round() {
        let drawn: String = "البيانات على 25.3 (Python) جدا".chars().collect();
        let read: Vec<char> = drawn.chars().collect();
        let shown = in_order_of_reading(&read);
        let twice: Vec<char> = shown.chars().collect();
        assert_eq!(in_order_of_reading(&twice), drawn);
        assert!(shown.starts_with("ادج") && shown.contains("25.3") && shown.contains("Python"), "{shown}");

        let text = "ىلع";
        assert_eq!(texts(text, &[10.0, 13.0, 16.0], &[3.0, 3.0, 3.0], true), ["على"]);
        // The same places with a word that reads rightly: its last letter is one that ends words.
        assert_eq!(texts("على", &[10.0, 13.0, 16.0], &[3.0, 3.0, 3.0], true), ["على"]);
        assert_eq!(texts("كتاب", &[20.0, 17.0, 14.0, 11.0], &[3.0; 4], true), ["كتاب"]);
    }

    #[test]
    fn foreign_words_in_right_to_left_text_read_as_they_are_drawn() {
        let mend = |text: &str, drawn: &str| with_foreign_words_as_drawn(text, || drawn.to_owned());
        assert_eq!(mend("ibibah يبيب", "habibi حبيبي").as_deref(), Some("habibi يبيب"));
        assert_eq!(mend("habibi يبيب", "habibi حبيبي"), None);
        assert_eq!(mend("ibibah يبيب", "something else"), None);
        assert_eq!(mend("ibibah", "habibi"), None);
    }

    #[test]
    fn a_turned_page_is_turned_back() {
        let back = |x: f32, y: f32, shown: i32| turned_back([x, y, 40.0, 5.0], Turns { shown, page: 0 });
        // Upwards: lines further right are further down.
        assert_eq!(back(50.0, 100.0, 90), ((100.0, -50.0), 40.0));
        assert!(back(50.0, 100.0, 90).0.1 > back(60.0, 100.0, 90).0.1);
        // Downwards: lines further left are further down.
        assert!(back(60.0, 100.0, 270).0.1 > back(50.0, 100.0, 270).0.1);
        // On its head: what is drawn lower is read first.
        assert!(back(50.0, 100.0, 180).0.1 > back(50.0, 120.0, 180).0.1);
    }

    #[test]
    fn bounds_that_were_turned_with_the_page_give_the_beginning_of_the_run() {
        // Two words of one line, drawn upwards on a page that is shown turned to the right.
        let back = |bounds: [f32; 4]| turned_back(bounds, Turns { shown: 0, page: 90 });
        let (short, long) = (back([88.0, 93.5, 5.0, 24.0]), back([40.0, 79.0, 5.0, 38.5]));
        assert_eq!(short, ((88.0, 117.5), 24.0));
        assert_eq!(long, ((40.0, 117.5), 38.5));
    }
}
