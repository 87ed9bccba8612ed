//! A chart of an office file becomes its title and a table of what it shows: the numbers that were last drawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::ExtractError;
use crate::flow::{Block, Grid};
use crate::number_format::general;
use crate::package::{Package, Relation};
use crate::xml_walk::{Step, Xml};

/// Most points that are read from one chart; more are a curve and no table.
const MAX_POINTS: usize = 10_000;

#[derive(Default)]
struct Series {
    name: String,
    /// By index of the category.
    labels: BTreeMap<u32, String>,
    values: BTreeMap<u32, String>,
}

/// What a part that lies in the text shows: a chart or a diagram. `None` for parts of other kinds.
pub(crate) fn read_embedded(package: &mut Package<'_>, relation: &Relation) -> Option<Vec<Block>> {
    match relation.kind.as_str() {
        "chart" => Some(read_part(package, &relation.target)),
        "diagramData" => Some(crate::pptx::read_diagram(package, &relation.target)),
        _ => None,
    }
}

/// Reads the chart in a part; one that is missing or broken costs itself alone.
fn read_part(package: &mut Package<'_>, part: &str) -> Vec<Block> {
    match package.text(part) {
        Ok(Some(source)) => read(part, &source).unwrap_or_default(),
        Ok(None) | Err(_) => Vec::new(),
    }
}

fn read(part: &str, source: &str) -> Result<Vec<Block>, ExtractError> {
    let mut xml = Xml::new(part, source);
    let (mut titles, mut series, mut points) = (Vec::new(), Vec::new(), 0);
    while let Some(step) = xml.next()? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "title" => titles.push(words(&mut xml)?),
            "ser" if points < MAX_POINTS => {
                let read = read_series(&mut xml)?;
                points += read.values.len();
                series.push(read);
            }
            "ser" => xml.skip()?,
            _ => {}
        }
    }
    let mut blocks: Vec<Block> = titles.into_iter().map(Block::Paragraph).collect();
    let indices: BTreeSet<u32> = series.iter().flat_map(|one| one.values.keys().copied()).collect();
    if !indices.is_empty() && indices.len().saturating_mul(series.len()) <= 4 * MAX_POINTS {
        let label = |index: &u32| series.iter().find_map(|one| one.labels.get(index).cloned()).unwrap_or_default();
        let mut rows = vec![std::iter::once(String::new()).chain(series.iter().map(|one| one.name.clone())).collect()];
        rows.extend(indices.iter().map(|index| {
            let values = series.iter().map(|one| one.values.get(index).cloned().unwrap_or_default());
            std::iter::once(label(index)).chain(values).collect::<Vec<String>>()
        }));
        blocks.push(Block::Table(Grid::new(rows, true)));
    }
    Ok(blocks)
}

/// The words of a title, typed in or taken from a cell.
fn words(xml: &mut Xml<'_>) -> Result<String, ExtractError> {
    let depth = xml.depth();
    let mut all = String::new();
    while let Some(step) = xml.next_inside(depth)? {
        match step {
            Step::Open(tag) if matches!(tag.name(), "t" | "v") => all.push_str(&xml.text()?),
            Step::Close(end) if end.name() == "p" => all.push(' '),
            Step::Open(_) | Step::Text(_) | Step::Close(_) => {}
        }
    }
    Ok(all)
}

fn read_series(xml: &mut Xml<'_>) -> Result<Series, ExtractError> {
    let depth = xml.depth();
    let mut series = Series::default();
    while let Some(step) = xml.next_inside(depth)? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "tx" => series.name = words(xml)?,
            "cat" | "xVal" => series.labels = read_points(xml)?,
            "val" | "yVal" => series.values = read_points(xml)?,
            "dLbls" | "spPr" | "extLst" | "dPt" => xml.skip()?,
            _ => {}
        }
    }
    Ok(series)
}

fn read_points(xml: &mut Xml<'_>) -> Result<BTreeMap<u32, String>, ExtractError> {
    let depth = xml.depth();
    let (mut points, mut index) = (BTreeMap::new(), 0);
    while let Some(step) = xml.next_inside(depth)? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            "pt" => index = tag.number("idx").unwrap_or(index),
            "v" => {
                let text = xml.text()?;
                let text = text.trim().parse().map_or_else(|_| text.trim().to_owned(), general);
                if points.len() < MAX_POINTS {
                    // Levels of a category stand one after the other, the innermost first.
                    points.entry(index).or_insert(text);
                }
            }
            _ => {}
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_its_title_and_its_numbers() {
        let cache = |values: [&str; 2]| {
            let points = values.map(|value| format!("<c:pt><c:v>{value}</c:v></c:pt>"));
            let [first, second] = points;
            format!(
                "<cache>{}{}</cache>",
                first.replace("pt>", "pt idx='0'>").replace("</c:pt idx='0'>", "</c:pt>"),
                second.replace("<c:pt>", "<c:pt idx='1'>")
            )
        };
        let source = format!(
            "<c:chart><c:title><c:tx><a:p><a:t>Ducks </a:t><a:t>seen</a:t></a:p></c:tx></c:title>\
             <c:ser><c:tx><c:v>Wild</c:v></c:tx><c:cat>{}</c:cat><c:val>{}</c:val></c:ser></c:chart>",
            cache(["North", "South"]),
            cache(["120.0", "0.30000000000000004"])
        );
        let blocks = read("c", &source).expect("reads");
        assert_eq!(blocks[0], Block::Paragraph("Ducks seen ".to_owned()));
        let Block::Table(grid) = &blocks[1] else { panic!("{blocks:?}") };
        assert_eq!(grid.rows, [vec!["", "Wild"], vec!["North", "120"], vec!["South", "0.3"]]);
    }
}
