//! Tables of reStructuredText that have a header: drawn as a grid, ruled with `=`, or listed by a directive.

use crate::plain::lines_of;
use crate::{Span, Table};

/// One line: where it begins, and its words without the white space at its end.
type Line<'t> = (usize, &'t str);

/// The tables with a header, in order.
pub(crate) fn tables_of(text: &str) -> Vec<Table> {
    let lines: Vec<Line<'_>> = lines_of(text).map(|(start, line)| (start, line.trim_end())).collect();
    let mut tables = [grids(&lines), ruled(&lines), directives(&lines)].concat();
    tables.sort_by_key(|table| table.span.start);
    // A grid inside of a directive is the directive's.
    tables.dedup_by(|inner, outer| inner.span.start < outer.span.end);
    tables
}

/// The span of lines from one to another, both included.
fn span_of(lines: &[Line<'_>], first: usize, last: usize) -> Option<Span> {
    let ((start, _), (end, line)) = (lines.get(first)?, lines.get(last)?);
    (first <= last).then(|| Span::new(*start, end + line.len()))
}

/// The most lines of a header: it is read before every part of its table.
const MAX_HEADER_LINES: usize = 12;

/// A header between two rules, in a table that goes on behind it.
fn table(lines: &[Line<'_>], [first, header_end, last]: [usize; 3]) -> Option<Table> {
    let header = span_of(lines, first + 1, header_end.checked_sub(1)?)?;
    (header_end + 1 < last && header_end - first <= MAX_HEADER_LINES + 1).then_some(())?;
    Some(Table { span: span_of(lines, first, last)?, header })
}

/// `+---+---+` above, `+===+===+` under the header.
fn grids(lines: &[Line<'_>]) -> Vec<Table> {
    let is_border =
        |line: &str, sign: char| line.starts_with('+') && line.len() > 2 && line.chars().all(|c| c == '+' || c == sign);
    let mut tables = Vec::new();
    let mut index = 0;
    while let Some((_, line)) = lines.get(index) {
        if !is_border(line.trim_start(), '-') {
            index += 1;
            continue;
        }
        let rows = lines.iter().skip(index).take_while(|(_, line)| line.trim_start().starts_with(['+', '|'])).count();
        let inside = lines.get(index..index + rows).unwrap_or_default();
        if let Some(header) = inside.iter().position(|(_, line)| is_border(line.trim_start(), '=')) {
            tables.extend(table(lines, [index, index + header, index + rows - 1]));
        }
        index += rows.max(1);
    }
    tables
}

/// `====  ====` above, under the header and at the end.
fn ruled(lines: &[Line<'_>]) -> Vec<Table> {
    let is_rule =
        |line: &str| line.starts_with("==") && line.contains(" =") && line.chars().all(|c| c == '=' || c == ' ');
    let mut tables = Vec::new();
    let mut open: Option<(usize, Option<usize>)> = None;
    for (index, (_, line)) in lines.iter().enumerate().filter(|(_, (_, line))| is_rule(line.trim_start())) {
        let ends = lines.get(index + 1).is_none_or(|(_, next)| next.is_empty());
        open = match open {
            Some((first, header)) if lines[first].1 == *line => match header {
                Some(header) if ends => {
                    tables.extend(table(lines, [first, header, index]));
                    None
                }
                // Two rules are a table without a header, and so are two with an empty line between them.
                None if ends => None,
                None if lines[first..index].iter().any(|(_, line)| line.is_empty()) => Some((index, None)),
                None => Some((first, Some(index))),
                some => Some((first, some)),
            },
            // Other columns are another table.
            Some(_) | None => Some((index, None)),
        };
    }
    tables
}

/// `.. list-table::` and `.. csv-table::` with header rows.
fn directives(lines: &[Line<'_>]) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut index = 0;
    while let Some((_, line)) = lines.get(index) {
        let indent = line.len() - line.trim_start().len();
        let is_list = line.trim_start().starts_with(".. list-table::");
        if !is_list && !line.trim_start().starts_with(".. csv-table::") {
            index += 1;
            continue;
        }
        let is_inside = |(_, line): &&Line<'_>| line.is_empty() || line.len() - line.trim_start().len() > indent;
        let mut last = index + lines.iter().skip(index + 1).take_while(is_inside).count();
        let inside = lines.get(index + 1..=last).unwrap_or_default();
        let option = |name: &str| {
            let place = inside.iter().position(|(_, line)| line.trim_start().starts_with(name))?;
            let (_, value) = inside[place].1.split_once(name)?;
            Some((index + 1 + place, value.trim()))
        };
        let has_header_rows =
            option(":header-rows:").is_some_and(|(_, rows)| rows.parse::<usize>().is_ok_and(|rows| rows > 0));
        let body = inside.iter().position(|(_, line)| line.is_empty()).map(|empty| index + 2 + empty);
        let header = match (option(":header:"), body) {
            (Some((line, value)), _) if !is_list => {
                let end = lines[line].0 + lines[line].1.len();
                Some(Span::new(end - value.len(), end))
            }
            (_, Some(body)) if has_header_rows => {
                let rows = lines.get(body + 1..=last).unwrap_or_default();
                let is_row = |line: &str| !is_list || line.trim_start().starts_with("* -");
                let next = rows.iter().position(|(_, line)| is_row(line));
                next.and_then(|next| span_of(lines, body, body + next))
            }
            _ => None,
        };
        while last > index && lines[last].1.is_empty() {
            last -= 1;
        }
        let span = span_of(lines, index, last);
        tables.extend(header.zip(span).map(|(header, span)| Table { span, header }));
        index = last + 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Vec<&str> {
        tables_of(text)
            .iter()
            .map(|table| {
                assert!(table.span.contains(table.header), "{table:?}");
                table.header.slice(text).unwrap_or_default()
            })
            .collect()
    }

    #[test]
    fn drawn_tables_are_found_by_their_borders() {
        let grid = "text\n\n+------+-------+\n| Part | Price |\n+======+=======+\n| Seal | 4     |\n+------+-------+\n\nmore\n";
        assert_eq!(headers(grid), ["| Part | Price |"]);
        let span = tables_of(grid)[0].span.slice(grid).unwrap_or_default();
        assert!(span.starts_with("+--") && span.ends_with("-+") && span.lines().count() == 5, "{span}");
        let simple = "====  ===\nPart  Use\nname\n====  ===\nSeal  4\n\nPump  5\n====  ===\n\n====  ====\na     b\n====  ====\n\n\
                      ==  ==\nX   Y\n==  ==\n1   2\n==  ==";
        assert_eq!(headers(simple), ["Part  Use\nname", "X   Y"]);
        assert_eq!(headers("+---+\n| a |\n+---+\n| b |\n+---+\n"), [""; 0]);
    }

    #[test]
    fn listed_tables_are_found_by_what_they_say() {
        let list = "para\n\n.. list-table:: Parts\n   :header-rows: 1\n\n   * - Part\n     - Price\n   * - Seal\n     - 4\n\nafter\n";
        assert_eq!(headers(list), ["   * - Part\n     - Price"]);
        let span = tables_of(list)[0].span.slice(list).unwrap_or_default();
        assert!(span.starts_with(".. list") && span.ends_with("- 4"), "{span}");
        let csv = ".. csv-table:: Parts\n   :header: \"Part\", \"Price\"\n\n   Seal, 4\n\n.. csv-table::\n   :header-rows: 1\n\n   Size, Use\n   2, a\n";
        assert_eq!(headers(csv), ["\"Part\", \"Price\"", "   Size, Use"]);
        assert_eq!(headers(".. csv-table::\n\n   Seal, 4\n   Pump, 5\n"), [""; 0]);
    }

    #[test]
    fn a_border_too_many_does_not_take_the_next_table() {
        let text = "==  ==\nA   B\n==  ==\n\n1   2\n==  ==\nwords\n\nmore\n\n==  ==\nC   D\n==  ==\n3   4\n==  ==\n";
        assert_eq!(headers(text), ["C   D"]);
    }

    #[test]
    fn borders_without_end_cost_little() {
        for line in [
            "+---+\n",
            "+===+\n",
            "==  ==\n",
            "==  ==\nx\n",
            ".. list-table::\n",
            ".. csv-table::\n   :header: a\n",
            "+\n|\n",
        ] {
            assert!(tables_of(&line.repeat(100_000)).len() <= 100_000);
        }
    }
}
