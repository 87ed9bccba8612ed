//! The runs of text on a page become rows in reading order. Geometry only: nothing here knows a PDF library.
//!
//! Columns are told from tables by what stands in them: lines of prose fill their column, cells do not. What does not look
//! like columns is read row by row.

use crate::pdf_glyph::is_right_to_left;

/// Text on a page that the file shows in one go. Coordinates are in points, y grows upwards.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) x0: f32,
    pub(crate) x1: f32,
    /// Lower edge.
    pub(crate) y: f32,
    /// Font size.
    pub(crate) size: f32,
    pub(crate) is_bold: bool,
    /// Stands for a bullet whose sign is no letter of any script.
    pub(crate) is_bullet: bool,
    pub(crate) text: String,
}

/// How a row is joined to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// It goes on with its sentence.
    Flow,
    /// A line of its own.
    Line,
    /// A paragraph of its own.
    Paragraph,
}

/// A row of text.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) size: f32,
    pub(crate) is_bold: bool,
    /// Stretches with wide gaps between them.
    pub(crate) cells: usize,
    pub(crate) joint: Joint,
    /// Whether the row stands at the top or the bottom of its page.
    pub(crate) is_at_edge: bool,
    /// Stands across the page's own text: its place says nothing about top and bottom.
    pub(crate) is_aside: bool,
    /// A header or footer that comes back on other pages.
    pub(crate) is_running: bool,
    /// Lower edge.
    pub(crate) y: f32,
    x0: f32,
    x1: f32,
    pub(crate) starts_item: bool,
    /// Began with a bullet that is no character, and so is not in the text.
    has_lost_bullet: bool,
}

impl Row {
    /// A row that is as wide as its page, for text whose order and place are known.
    pub(crate) fn of_text(text: String, size: f32, y: f32, joint: Joint) -> Self {
        Self {
            size,
            is_bold: false,
            cells: 1,
            joint,
            is_at_edge: false,
            is_aside: false,
            is_running: false,
            y,
            x0: 0.0,
            x1: 0.0,
            starts_item: crate::sentence::starts_item(&text, true),
            has_lost_bullet: false,
            text,
        }
    }

    /// Marks a row that is turned otherwise than the page's text.
    pub(crate) fn set_aside(&mut self) {
        self.is_aside = true;
        self.is_at_edge = false;
    }
}

/// Least width of the white between columns, in points.
const MIN_GUTTER: f32 = 6.0;
/// Gap between cells, in font sizes.
const CELL_GAP: f32 = 1.25;
/// Gap between words, in font sizes.
const WORD_GAP: f32 = 0.13;
/// A page with more pieces is a drawing or an attack, and is read row by row.
const MAX_PIECES: usize = 20_000;

/// Rows of a page in reading order.
pub(crate) fn rows_in_order(pieces: Vec<Piece>) -> Vec<Row> {
    let mut regions = Vec::new();
    let may_split = pieces.len() <= MAX_PIECES;
    split(pieces, if may_split { 6 } else { 0 }, &mut regions);
    let mut rows: Vec<Row> = Vec::new();
    for region in regions {
        let mut region = join_rows(lines_of(region));
        if let (Some(last), Some(first)) = (rows.last(), region.first_mut()) {
            first.joint = if goes_on(last, first) { Joint::Flow } else { Joint::Paragraph };
        }
        rows.append(&mut region);
    }
    mark_edges(&mut rows);
    rows
}

/// Whether a sentence goes on in a row that does not stand below the one before it, as at the top of the next column.
pub(crate) fn goes_on(last: &Row, first: &Row) -> bool {
    first.text.starts_with(char::is_lowercase)
        && !last.text.ends_with(['.', ':', '!', '?'])
        && (last.size - first.size).abs() < 0.5
        && last.is_bold == first.is_bold
        && last.cells == 1
        && first.cells == 1
}

fn mark_edges(rows: &mut [Row]) {
    let mut heights: Vec<f32> = rows.iter().map(|row| row.y).collect();
    heights.sort_by(f32::total_cmp);
    heights.dedup_by(|a, b| (*a - *b).abs() < 2.0);
    let low = heights.get(1).or(heights.first()).copied().unwrap_or(0.0);
    let high = heights.len().checked_sub(2).and_then(|at| heights.get(at)).or(heights.last()).copied().unwrap_or(0.0);
    for row in rows {
        row.is_at_edge = row.y <= low + 2.0 || row.y >= high - 2.0;
    }
}

/// Pieces at one height, from left to right.
type Line = Vec<Piece>;

fn lines_of(mut pieces: Vec<Piece>) -> Vec<Line> {
    pieces.sort_by(|a, b| b.y.total_cmp(&a.y).then(a.x0.total_cmp(&b.x0)));
    let mut lines: Vec<Line> = Vec::new();
    let mut band = (0.0f32, 0.0f32);
    for piece in pieces {
        let (low, high) = (piece.y, piece.y + piece.size);
        let shared = high.min(band.1) - low.max(band.0);
        let height = (high - low).min(band.1 - band.0);
        match lines.last_mut() {
            Some(line) if shared >= height * 0.5 => {
                // The largest piece says where the line is; a note mark above it does not.
                if high - low > band.1 - band.0 {
                    band = (low, high);
                }
                line.push(piece);
            }
            _ => {
                band = (low, high);
                lines.push(vec![piece]);
            }
        }
    }
    lines.iter_mut().for_each(|line| line.sort_by(|a, b| a.x0.total_cmp(&b.x0)));
    lines
}

fn split(pieces: Vec<Piece>, depth: usize, regions: &mut Vec<Vec<Piece>>) {
    if pieces.is_empty() {
        return;
    }
    if depth == 0 || pieces.len() < 6 {
        regions.push(pieces);
        return;
    }
    let lines = lines_of(pieces);
    let Some(columns) = best_columns(&lines) else {
        regions.push(lines.into_iter().flatten().collect());
        return;
    };
    let (mut above, mut left, mut right, mut below) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, line) in lines.into_iter().enumerate() {
        for piece in line {
            if index < columns.first {
                above.push(piece);
            } else if index > columns.last {
                below.push(piece);
            } else if (piece.x0 + piece.x1) / 2.0 < columns.gutter {
                left.push(piece);
            } else {
                right.push(piece);
            }
        }
    }
    for part in [above, left, right, below] {
        split(part, depth - 1, regions);
    }
}

/// Lines `first..=last` stand in two columns with `gutter` between them.
#[derive(Clone, Copy)]
struct Columns {
    first: usize,
    last: usize,
    gutter: f32,
}

fn best_columns(lines: &[Line]) -> Option<Columns> {
    let mut best: Option<(usize, Columns)> = None;
    for gutter in gutter_candidates(lines) {
        let crosses = |line: &Line| line.iter().any(|piece| piece.x0 < gutter - 1.0 && piece.x1 > gutter + 1.0);
        let mut first = 0;
        while first < lines.len() {
            let Some(run_start) =
                (first..lines.len()).find(|index| lines.get(*index).is_some_and(|line| !crosses(line)))
            else {
                break;
            };
            let run_end =
                (run_start..lines.len()).find(|index| lines.get(*index).is_some_and(crosses)).unwrap_or(lines.len());
            first = run_end + 1;
            let Some(columns) = trimmed(lines, run_start, run_end, gutter) else { continue };
            let run = lines.get(columns.first..=columns.last).unwrap_or_default();
            let score = run.iter().filter(|line| is_on_both_sides(line, gutter)).count();
            if score >= 3 && best.is_none_or(|(known, _)| score > known) && are_columns(run, gutter) {
                best = Some((score, columns));
            }
        }
    }
    best.map(|(_, columns)| columns)
}

fn is_on_both_sides(line: &Line, gutter: f32) -> bool {
    line.iter().any(|piece| piece.x1 <= gutter + 1.0) && line.iter().any(|piece| piece.x0 >= gutter - 1.0)
}

/// Where the gaps between the pieces of many lines lie above each other.
fn gutter_candidates(lines: &[Line]) -> Vec<f32> {
    let mut gaps: Vec<f32> = Vec::new();
    for line in lines {
        let mut edge = f32::NEG_INFINITY;
        for piece in line {
            if edge.is_finite() && piece.x0 - edge >= MIN_GUTTER {
                // The left edge of a column is sharper than the right one of the column before it.
                gaps.push(piece.x0 - MIN_GUTTER / 2.0);
            }
            edge = edge.max(piece.x1);
        }
    }
    gaps.sort_by(f32::total_cmp);
    let mut groups: Vec<(f32, usize)> = Vec::new();
    for gap in gaps {
        match groups.last_mut() {
            Some((start, count)) if gap - *start < 4.0 => *count += 1,
            _ => groups.push((gap, 1)),
        }
    }
    groups.retain(|(_, count)| *count >= 3);
    groups.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
    groups.truncate(12);
    groups.into_iter().map(|(gap, _)| gap).collect()
}

/// A run of lines without those at its ends that stand on one side only, where they are no part of the columns.
fn trimmed(lines: &[Line], start: usize, end: usize, gutter: f32) -> Option<Columns> {
    let both = |index: &usize| lines.get(*index).is_some_and(|line| is_on_both_sides(line, gutter));
    let first = (start..end).find(both)?;
    let mut last = (start..end).rev().find(both)?;
    // The longer column goes on alone, up to the first wide gap.
    while last + 1 < end {
        let (Some(this), Some(next)) =
            (lines.get(last).and_then(|l| l.first()), lines.get(last + 1).and_then(|l| l.first()))
        else {
            break;
        };
        if this.y - next.y > 2.0 * next.size.max(this.size) {
            break;
        }
        last += 1;
    }
    Some(Columns { first, last, gutter })
}

fn are_columns(run: &[Line], gutter: f32) -> bool {
    let side = |is_left: bool| -> Vec<Vec<&Piece>> {
        run.iter()
            .map(|line| {
                line.iter().filter(|piece| ((piece.x0 + piece.x1) / 2.0 < gutter) == is_left).collect::<Vec<_>>()
            })
            .filter(|line| !line.is_empty())
            .collect()
    };
    let (left, right) = (side(true), side(false));
    let left_edge = left.iter().flatten().fold(f32::NEG_INFINITY, |edge, piece| edge.max(piece.x1));
    let right_edge = right.iter().flatten().fold(f32::INFINITY, |edge, piece| edge.min(piece.x0));
    right_edge - left_edge >= MIN_GUTTER && is_prose(&left) && is_prose(&right) && !have_common_gaps(&left, &right)
}

/// Whether the lines of one side are lines of prose: long, and most of them as wide as their column.
fn is_prose(lines: &[Vec<&Piece>]) -> bool {
    if lines.len() < 3 {
        return false;
    }
    let edges = |line: &[&Piece]| {
        line.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(x0, x1), piece| (x0.min(piece.x0), x1.max(piece.x1)))
    };
    let (x0, x1) = lines.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(x0, x1), line| {
        let (a, b) = edges(line);
        (x0.min(a), x1.max(b))
    });
    let wide = lines.iter().filter(|line| edges(line).1 - edges(line).0 >= (x1 - x0) * 0.55).count();
    let mut lengths: Vec<usize> = Vec::new();
    for line in lines {
        let mut edge = f32::NEG_INFINITY;
        for piece in line {
            let weight = piece.text.chars().map(|c| if u32::from(c) >= 0x2e80 { 2 } else { 1 }).sum::<usize>();
            match lengths.last_mut() {
                Some(last) if piece.x0 - edge < CELL_GAP * piece.size => *last += weight,
                _ => lengths.push(weight),
            }
            edge = edge.max(piece.x1);
        }
    }
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    wide * 2 >= lines.len() && median >= 16
}

/// Rows of a table with wrapped cells begin at the same height on both sides; paragraphs of two columns do not.
fn have_common_gaps(left: &[Vec<&Piece>], right: &[Vec<&Piece>]) -> bool {
    let gaps = |lines: &[Vec<&Piece>]| -> Vec<f32> {
        let heights: Vec<(f32, f32)> =
            lines.iter().filter_map(|line| line.first()).map(|piece| (piece.y, piece.size)).collect();
        heights.windows(2).filter(|pair| pair[0].0 - pair[1].0 > pair[1].1 * 1.6).map(|pair| pair[1].0).collect()
    };
    let (left, right) = (gaps(left), gaps(right));
    let common = left.iter().filter(|y| right.iter().any(|other| (*y - other).abs() < 2.0)).count();
    left.len() >= 2 && common * 10 >= left.len() * 6
}

/// Lines of one region become rows that know how they are joined.
fn join_rows(lines: Vec<Line>) -> Vec<Row> {
    let mut rows: Vec<Row> = lines.into_iter().filter_map(row_of).collect();
    let left = rows.iter().fold(f32::INFINITY, |edge, row| edge.min(row.x0));
    let right = rows.iter().fold(f32::NEG_INFINITY, |edge, row| edge.max(row.x1));
    let mut pitches: Vec<f32> = rows.windows(2).map(|pair| pair[0].y - pair[1].y).collect();
    pitches.sort_by(f32::total_cmp);
    let pitch = pitches.get(pitches.len() / 3).copied().unwrap_or(0.0);
    for index in 1..rows.len() {
        let (Some(above), Some(row)) = (rows.get(index - 1), rows.get(index)) else { break };
        let joint = joint_of(above, row, rows.get(index + 1), (left, right), pitch);
        if let Some(row) = rows.get_mut(index) {
            row.joint = joint;
        }
    }
    rows
}

fn joint_of(above: &Row, row: &Row, below: Option<&Row>, (left, right): (f32, f32), pitch: f32) -> Joint {
    let size = row.size.max(above.size);
    let step = above.y - row.y;
    let usual = if pitch > 0.0 { pitch.min(size * 1.7) } else { size * 1.3 };
    let is_apart = step > usual.max(size) * 1.3 + 0.5;
    let differs = (above.size - row.size).abs() > size * 0.08 || (above.is_bold != row.is_bold && above.cells == 1);
    match (above.cells > 1, row.cells > 1) {
        // Rows of a table may stand wide, a page's foot stands wider.
        (true, true) if step < (pitch * 1.7).max(size * 2.6) => return Joint::Line,
        (true, false) | (false, true) if !is_apart && !differs => return Joint::Line,
        (true, _) | (_, true) => return Joint::Paragraph,
        (false, false) => {}
    }
    // Lines of one paragraph stand below each other; what does not belongs to a column that was not told apart.
    if row.x1 < above.x0 || row.x0 > above.x1 {
        return Joint::Paragraph;
    }
    // A broken word binds its lines, whatever their type.
    if !is_apart && !row.has_lost_bullet && ends_broken(&above.text) && row.text.starts_with(char::is_lowercase) {
        return Joint::Flow;
    }
    if is_apart || differs || row.has_lost_bullet {
        return Joint::Paragraph;
    }
    if row.starts_item {
        return Joint::Line;
    }
    let has_ended = above.text.ends_with(['.', ':', '!', '?']);
    let is_indented = row.x0 - above.x0 > size * 0.8 && above.x0 - left < 2.0;
    let returns = below.is_none_or(|below| below.x0 < row.x0 - size * 0.5);
    if is_indented && returns && has_ended && !above.starts_item {
        return Joint::Paragraph;
    }
    let is_short = above.x1 < right - (right - left) * 0.25;
    match (is_short, has_ended) {
        (true, true) => Joint::Paragraph,
        (true, false) if !row.text.starts_with(char::is_lowercase) => Joint::Line,
        (true | false, _) => Joint::Flow,
    }
}

/// Whether a row ends within a word: in a letter and a hyphen.
pub(crate) fn ends_broken(text: &str) -> bool {
    text.strip_suffix(['-', '\u{2010}']).is_some_and(|stem| stem.ends_with(char::is_alphabetic))
}

fn row_of(mut line: Line) -> Option<Row> {
    let letters = |is_rtl: bool| {
        line.iter().flat_map(|p| p.text.chars()).filter(|c| c.is_alphabetic() && is_right_to_left(*c) == is_rtl).count()
    };
    if letters(true) > letters(false) {
        line = with_foreign_words_joined(line);
        line.sort_by(|a, b| b.x0.total_cmp(&a.x0));
    }
    let has_lost_bullet = line.iter().any(|piece| piece.is_bullet);
    line.retain(|piece| !piece.is_bullet && !piece.text.trim().is_empty());
    let mut row = Row {
        text: String::new(),
        size: 0.0,
        is_bold: line.iter().all(|piece| piece.is_bold),
        cells: 1,
        joint: Joint::Paragraph,
        is_at_edge: false,
        is_aside: false,
        is_running: false,
        x0: f32::INFINITY,
        x1: f32::NEG_INFINITY,
        y: line.iter().fold(f32::INFINITY, |y, piece| y.min(piece.y)),
        starts_item: false,
        has_lost_bullet,
    };
    let mut widest = 0;
    let mut before: Option<&Piece> = None;
    for piece in &line {
        if let Some(before) = before {
            let overprinted = before.text == piece.text
                && (before.x0 - piece.x0).abs() < piece.size * 0.2
                && (before.y - piece.y).abs() < piece.size * 0.2;
            if overprinted {
                continue;
            }
            match gap_between(before, piece) {
                // The number of a note, set small before it, is no part of its first word.
                Gap::None if row.text == before.text.trim() && is_note_number(before, piece) => row.text.push(' '),
                Gap::Cell => {
                    row.text.push_str("   ");
                    row.cells += 1;
                }
                Gap::Word => row.text.push(' '),
                Gap::None => {}
            }
        }
        row.text.push_str(&crate::markdown::fold_white(&piece.text));
        row.x0 = row.x0.min(piece.x0);
        row.x1 = row.x1.max(piece.x1);
        // The size of most of the row: a raised note mark does not make it small.
        if piece.text.len() > widest {
            widest = piece.text.len();
            row.size = piece.size;
            row.y = piece.y;
        }
        before = Some(piece);
    }
    row.starts_item = row.has_lost_bullet || crate::sentence::starts_item(&row.text, true);
    (!line.is_empty()).then_some(row)
}

/// What stands between two pieces of a line.
enum Gap {
    None,
    Word,
    Cell,
}

fn gap_between(before: &Piece, piece: &Piece) -> Gap {
    let gap = (piece.x0 - before.x1).max(before.x0 - piece.x1);
    let is_to_the_right = piece.x0 >= before.x0;
    let is_spaced = has_white_edge(before, is_to_the_right) || has_white_edge(piece, !is_to_the_right);
    if gap > CELL_GAP * piece.size.max(before.size) {
        Gap::Cell
    } else if is_spaced || gap > WORD_GAP * piece.size.min(before.size) {
        Gap::Word
    } else {
        Gap::None
    }
}

fn is_note_number(mark: &Piece, note: &Piece) -> bool {
    let is_number = mark.text.trim().chars().all(|c| c.is_ascii_digit());
    is_number && mark.size < note.size * 0.85 && note.text.starts_with(char::is_alphabetic)
}

/// Whether a piece ends with white space on its right or left edge. What was written from right to left may have kept it on
/// either end of its text.
fn has_white_edge(piece: &Piece, on_the_right: bool) -> bool {
    let (at_start, at_end) = (piece.text.starts_with(char::is_whitespace), piece.text.ends_with(char::is_whitespace));
    if piece.text.chars().find(|c| c.is_alphabetic()).is_some_and(is_right_to_left) {
        return at_start || at_end;
    }
    if on_the_right { at_end } else { at_start }
}

/// A line of a right-to-left script with the words of other scripts in it, which stand side by side from left to right, in one
/// piece each.
fn with_foreign_words_joined(line: Line) -> Line {
    let mut joined: Line = Vec::new();
    for piece in line {
        let is_foreign = |piece: &Piece| {
            !piece.is_bullet && piece.text.contains(char::is_alphanumeric) && !piece.text.contains(is_right_to_left)
        };
        match joined.last_mut().filter(|last| is_foreign(last) && is_foreign(&piece)) {
            Some(last) => match gap_between(last, &piece) {
                Gap::Cell => joined.push(piece),
                gap @ (Gap::None | Gap::Word) => {
                    if matches!(gap, Gap::Word) {
                        last.text.push(' ');
                    }
                    last.text.push_str(&piece.text);
                    last.x1 = last.x1.max(piece.x1);
                }
            },
            None => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(x0: f32, y: f32, width: f32, text: &str) -> Piece {
        Piece { x0, x1: x0 + width, y, size: 10.0, is_bold: false, is_bullet: false, text: text.to_owned() }
    }

    fn texts(pieces: Vec<Piece>) -> Vec<String> {
        rows_in_order(pieces).into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn two_columns_of_prose_are_read_one_after_the_other() {
        let mut pieces = vec![piece(50.0, 700.0, 400.0, "A title over both of the columns of this page")];
        for (row, y) in (0..6u8).zip([680.0, 668.0, 656.0, 644.0, 632.0, 620.0]) {
            pieces.push(piece(50.0, y, 190.0, &format!("left column with a line of words {row}")));
            pieces.push(piece(260.0, y, 190.0, &format!("right column with a line of words {row}")));
        }
        pieces.push(piece(50.0, 590.0, 400.0, "A foot under both of the columns of this page"));
        let read = texts(pieces);
        assert!(read[0].starts_with("A title"));
        assert!(read[1..7].iter().all(|text| text.starts_with("left")), "{read:?}");
        assert!(read[7..13].iter().all(|text| text.starts_with("right")), "{read:?}");
        assert!(read[13].starts_with("A foot"));
    }

    #[test]
    fn a_table_is_read_row_by_row() {
        let pieces = [700.0, 688.0, 676.0, 664.0]
            .into_iter()
            .zip(1..)
            .flat_map(|(y, n): (f32, i32)| {
                [piece(50.0, y, 30.0, &format!("TR-{n}")), piece(200.0, y, 30.0, &format!("{n} kW"))]
            })
            .collect();
        assert_eq!(texts(pieces), ["TR-1   1 kW", "TR-2   2 kW", "TR-3   3 kW", "TR-4   4 kW"]);
    }

    #[test]
    fn a_line_of_arabic_is_read_from_the_right_and_foreign_words_in_it_from_the_left() {
        let pieces = vec![
            piece(10.0, 700.0, 90.0, " تعتبر البرمجة بلغة"),
            piece(100.0, 700.0, 40.0, "Python "),
            piece(140.0, 700.0, 20.0, "3.12 "),
            piece(160.0, 700.0, 5.0, "و"),
            piece(165.0, 700.0, 15.0, " R "),
            piece(180.0, 700.0, 90.0, "للمشكالت يمتلك كل من"),
        ];
        assert_eq!(texts(pieces), ["للمشكالت يمتلك كل من R و Python 3.12 تعتبر البرمجة بلغة"]);
    }

    #[test]
    fn the_number_before_a_note_stands_apart_and_others_stay_where_they_are() {
        let small = |piece: Piece| Piece { size: 6.0, ..piece };
        let note = vec![small(piece(50.0, 703.0, 3.0, "1")), piece(53.2, 700.0, 100.0, "The code is public.")];
        assert_eq!(texts(note), ["1 The code is public."]);
        let power = vec![
            piece(50.0, 700.0, 30.0, "12 m"),
            small(piece(80.0, 703.0, 3.0, "3")),
            piece(83.0, 700.0, 20.0, " an hour"),
        ];
        assert_eq!(texts(power), ["12 m3 an hour"]);
    }

    #[test]
    fn rows_of_one_paragraph_flow_and_a_gap_parts_paragraphs() {
        let rows = rows_in_order(vec![
            piece(50.0, 700.0, 400.0, "The first line of a paragraph goes on"),
            piece(50.0, 688.0, 390.0, "over the second line and on"),
            piece(50.0, 676.0, 100.0, "to its end."),
            piece(50.0, 652.0, 400.0, "Another paragraph begins here and fills"),
            piece(50.0, 640.0, 80.0, "its lines."),
        ]);
        let joints: Vec<Joint> = rows.iter().map(|row| row.joint).collect();
        assert_eq!(joints, [Joint::Paragraph, Joint::Flow, Joint::Flow, Joint::Paragraph, Joint::Flow]);
    }

    #[test]
    fn pieces_without_sense_are_laid_out_all_the_same() {
        let wild = [f32::MAX, f32::MIN, 0.0, -0.0, 1e-30];
        let pieces: Vec<Piece> = wild.iter().flat_map(|x| wild.iter().map(|y| piece(*x, *y, *x, "word"))).collect();
        assert!(!texts(pieces).is_empty());
    }
}
