//! Running headers and footers: lines that come back at one height on page after page stay where they stand first, and are
//! left out of the other pages, where they would part paragraphs and fill chunks.
//!
//! What may be more than a running line stays. Numbers must be the same on every page or grow with the page's number, so
//! the number of an invoice is none; a row over the rows of a table is the table's header; what stands below a line that does
//! not come back is body text.

use std::collections::{HashMap, HashSet};

use crate::pdf_layout::{Joint, Row, goes_on};

/// Fewer pages show no habit.
const MIN_PAGES: usize = 3;
/// Most lines that a header or a footer has.
const MAX_LINES: usize = 4;
/// A longer line is no header.
const MAX_BYTES: usize = 300;
/// How far heights may differ that count as one, in points.
const SAME_HEIGHT: f32 = 3.0;

/// A row's place: its page and its index there.
type Place = (usize, usize);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Edge {
    Top,
    Bottom,
    /// Turned otherwise than the page's text, as stamps in the margin are.
    Aside,
}

const EDGES: [Edge; 3] = [Edge::Top, Edge::Bottom, Edge::Aside];

/// What comes back: the edge, the size of its type, the text with the page's number cut out, and by how much that number
/// differs from the page's place in the file. A title in large type is no header, even if one repeats it.
type Key = (Edge, u32, String, Option<i64>);

/// Leaves out running lines except where each stands first. Those that stay are marked.
pub(crate) fn drop_running_rows(pages: &mut [Vec<Row>]) {
    let written = pages.iter().filter(|rows| !rows.is_empty()).count();
    if written < MIN_PAGES {
        return;
    }
    let first_page_of = running_rows(pages);
    for (page, rows) in pages.iter_mut().enumerate() {
        let mut running: HashSet<usize> = HashSet::new();
        for edge in EDGES {
            running.extend(outermost_running(rows, edge, |row| first_page_of.contains_key(&(page, row))));
        }
        for (index, row) in rows.iter_mut().enumerate() {
            row.is_running = running.contains(&index);
        }
        let stays = |index: &usize| first_page_of.get(&(page, *index)) == Some(&page);
        let dropped: HashSet<usize> = running.iter().copied().filter(|index| !stays(index)).collect();
        drop_rows(rows, &dropped);
    }
}

/// Rows whose text is found at the same height on most pages, or on most odd or even pages, each with the first of the pages.
fn running_rows(pages: &[Vec<Row>]) -> HashMap<Place, usize> {
    let mut places: HashMap<Key, Vec<(f32, Place)>> = HashMap::new();
    for (page, rows) in pages.iter().enumerate() {
        for edge in EDGES {
            for (index, row) in lines_at(rows, edge).into_iter().flatten().filter_map(|at| Some((at, rows.get(at)?))) {
                let size = (row.size * 2.0).round().to_bits();
                for (text, number) in templates(&row.text, page) {
                    places.entry((edge, size, text, number)).or_default().push((row.y, (page, index)));
                }
            }
        }
    }
    let mut found: HashMap<Place, (usize, usize)> = HashMap::new();
    for mut group in places.into_values() {
        group.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let group = at_one_height(&group);
        let on_pages: HashSet<usize> = group.iter().map(|(_, (page, _))| *page).collect();
        let Some(first) = on_pages.iter().min().copied().filter(|_| are_most(&on_pages, pages)) else { continue };
        for (_, place) in group {
            // A row may fit more than one template; the one that most pages share says where it stood first.
            let known = found.entry(*place).or_insert((on_pages.len(), first));
            *known = if (known.0, first) < (on_pages.len(), known.1) { (on_pages.len(), first) } else { *known };
        }
    }
    found.into_iter().map(|(place, (_, first))| (place, first)).collect()
}

/// The largest part of a group, ordered by height, that stands at one height.
fn at_one_height(group: &[(f32, Place)]) -> &[(f32, Place)] {
    let mut best: &[(f32, Place)] = &[];
    let mut end = 0;
    for (start, (low, _)) in group.iter().enumerate() {
        end = end.max(start);
        while group.get(end).is_some_and(|(y, _)| y - low <= SAME_HEIGHT) {
            end += 1;
        }
        let part = group.get(start..end).unwrap_or_default();
        if part.len() > best.len() {
            best = part;
        }
    }
    best
}

fn are_most(found: &HashSet<usize>, pages: &[Vec<Row>]) -> bool {
    let written = || pages.iter().enumerate().filter(|(_, rows)| !rows.is_empty()).map(|(page, _)| page);
    let is_habit = |parity: &dyn Fn(usize) -> bool| {
        let (count, all) =
            (found.iter().filter(|page| parity(**page)).count(), written().filter(|page| parity(*page)).count());
        count >= MIN_PAGES && count * 2 > all
    };
    is_habit(&|_| true) || is_habit(&|page| page % 2 == 0) || is_habit(&|page| page % 2 == 1)
}

/// A line's text as it is, and with each of its numbers taken for the page's.
fn templates(text: &str, page: usize) -> Vec<(String, Option<i64>)> {
    if text.len() > MAX_BYTES {
        return Vec::new();
    }
    let mut templates = vec![(text.to_owned(), None)];
    let mut end = 0;
    while let Some(start) = text.get(end..).and_then(|rest| rest.find(|c: char| c.is_ascii_digit())) {
        let start = end + start;
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        end = start + length;
        // A page's number is short.
        let number =
            text.get(start..end).filter(|digits| digits.len() <= 5).and_then(|digits| digits.parse::<i64>().ok());
        if let (Some(number), Ok(page)) = (number, i64::try_from(page)) {
            let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
            templates.push((format!("{before}\0{after}"), Some(number - page)));
        }
        if templates.len() > 8 {
            break;
        }
    }
    templates
}

/// The outermost lines of a page, each with the indices of its rows, from the edge inwards.
fn lines_at(rows: &[Row], edge: Edge) -> Vec<Vec<usize>> {
    if edge == Edge::Aside {
        let aside: Vec<Vec<usize>> =
            (0..).zip(rows).filter(|(_, row)| row.is_aside).map(|(index, _)| vec![index]).collect();
        // A stamp is alone; more of them are names of a table's columns.
        return if aside.len() <= 2 { aside } else { Vec::new() };
    }
    let mut order: Vec<(f32, usize)> =
        rows.iter().enumerate().filter(|(_, row)| !row.is_aside).map(|(index, row)| (row.y, index)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if edge == Edge::Top {
        order.reverse();
    }
    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut height = f32::NAN;
    for (y, index) in order {
        let is_deep = lines.len() > MAX_LINES;
        match lines.last_mut() {
            Some(line) if (y - height).abs() <= SAME_HEIGHT => line.push(index),
            // One more than a header has: what stands inside of it says whether it is one.
            _ if is_deep => break,
            _ => {
                height = y;
                lines.push(vec![index]);
            }
        }
    }
    lines
}

/// The rows of a page's header or footer: lines that come back, as far as no other line stands outside of them.
fn outermost_running(rows: &[Row], edge: Edge, comes_back: impl Fn(usize) -> bool) -> Vec<usize> {
    let lines = lines_at(rows, edge);
    let mut count = lines.iter().take(MAX_LINES).take_while(|line| line.iter().all(|index| comes_back(*index))).count();
    // The header of a table comes back with the table, right above its rows.
    while edge == Edge::Top && count.checked_sub(1).is_some_and(|last| is_over_table(rows, &lines, last)) {
        count -= 1;
    }
    lines.into_iter().take(count).flatten().collect()
}

fn is_over_table(rows: &[Row], lines: &[Vec<usize>], at: usize) -> bool {
    let has_cells = |row: &&Row| row.cells > 1;
    let row_of = |line: usize| lines.get(line)?.iter().filter_map(|index| rows.get(*index)).find(has_cells);
    match (row_of(at), row_of(at + 1)) {
        (Some(row), Some(below)) => (row.y - below.y).abs() < row.size.max(below.size) * 2.6,
        _ => false,
    }
}

/// Drops rows; what followed one goes on from what stood before it, where it does.
fn drop_rows(rows: &mut Vec<Row>, dropped: &HashSet<usize>) {
    if dropped.is_empty() {
        return;
    }
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    let mut is_behind_gap = false;
    for (index, mut row) in std::mem::take(rows).into_iter().enumerate() {
        if dropped.contains(&index) {
            is_behind_gap = true;
            continue;
        }
        if let Some(last) = kept.last().filter(|_| is_behind_gap) {
            row.joint = if goes_on(last, &row) { Joint::Flow } else { Joint::Paragraph };
        }
        is_behind_gap = false;
        kept.push(row);
    }
    *rows = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdf_layout::{Piece, rows_in_order};

    /// A page of lines, each with its height; cells are parted by `|`.
    fn page(lines: &[(f32, &str)]) -> Vec<Row> {
        let cell = |y: f32, at: u8, text: &str| Piece {
            x0: 50.0 + 130.0 * f32::from(at),
            x1: 100.0 + 130.0 * f32::from(at),
            y,
            size: 10.0,
            is_bold: false,
            is_bullet: false,
            text: text.to_owned(),
        };
        let cells = |(y, text): &(f32, &str)| {
            (0..).zip(text.split('|')).map(|(at, text)| cell(*y, at, text)).collect::<Vec<Piece>>()
        };
        rows_in_order(lines.iter().flat_map(cells).collect())
    }

    fn left(mut pages: Vec<Vec<Row>>) -> Vec<String> {
        drop_running_rows(&mut pages);
        pages.iter().map(|rows| rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>().join(" / ")).collect()
    }

    #[test]
    fn headers_and_page_numbers_stay_on_their_first_page_only() {
        let numbered = |number: usize| {
            let foot = format!("Page {number} of 3");
            page(&[
                (800.0, "Travel rules"),
                (760.0, &format!("Body {}", ["one", "two", "three"][number - 1])),
                (40.0, &foot),
            ])
        };
        let read = left((1..=3).map(numbered).collect());
        assert_eq!(read, ["Travel rules / Body one / Page 1 of 3", "Body two", "Body three"]);
        // Two pages show no habit.
        assert!(left((1..=2).map(numbered).collect())[1].starts_with("Travel rules"));
    }

    #[test]
    fn odd_and_even_pages_may_differ() {
        let heads = ["Part one", "Of rules"];
        let pages = (0..7).map(|at| page(&[(800.0, heads[at % 2]), (760.0, &format!("Body {}", "x".repeat(at + 1)))]));
        let read = left(pages.collect());
        assert_eq!(read[0], "Part one / Body x");
        assert_eq!(read[1], "Of rules / Body xx");
        assert!(read[2..].iter().all(|text| text.starts_with("Body")), "{read:?}");
    }

    #[test]
    fn numbers_that_do_not_count_pages_are_text() {
        let pages = [4711, 4713, 4720, 4802]
            .map(|n| page(&[(800.0, &format!("Invoice {n}")), (760.0, &format!("Thanks, {n}"))]));
        let read = left(pages.to_vec());
        assert_eq!(read[3], "Invoice 4802 / Thanks, 4802");
    }

    #[test]
    fn what_stands_at_another_height_or_inside_is_body_text() {
        let heights = [800.0, 780.0, 760.0, 740.0];
        let wandering = heights.map(|y| page(&[(y, "Note"), (500.0, "Body"), (400.0, "More")])).to_vec();
        assert!(left(wandering)[3].starts_with("Note"));
        let words = ["alpha", "beta", "gamma", "delta"];
        let inside =
            words.map(|word| page(&[(800.0, word), (780.0, "Remarks"), (400.0, "nothing else"), (60.0, word)]));
        assert_eq!(left(inside.to_vec())[3], "delta / Remarks / nothing else / delta");
    }

    #[test]
    fn a_title_that_the_header_repeats_is_no_header() {
        let words = ["alpha", "beta", "gamma", "delta"];
        let mut pages = words.map(|word| page(&[(800.0, "Handbook"), (500.0, word)])).to_vec();
        pages[0][0].size = 24.0;
        drop_running_rows(&mut pages);
        let running: Vec<bool> = pages.iter().map(|rows| rows[0].is_running).collect();
        assert_eq!(running, [false, true, false, false]);
        assert_eq!([pages[1].len(), pages[2].len()], [2, 1]);
    }

    #[test]
    fn the_header_of_a_table_stays_on_every_page() {
        let words = ["alpha", "beta", "gamma", "delta"];
        let pages = words.map(|word| {
            let row = format!("{word}|1|2");
            page(&[
                (800.0, "Price list"),
                (760.0, "Article|Net|Gross"),
                (748.0, &row),
                (736.0, "total|3|4"),
                (724.0, &row),
            ])
        });
        let read = left(pages.to_vec());
        assert!(read[3].starts_with("Article   Net   Gross / delta"), "{read:?}");
    }
}
