//! What lies in an OpenDocument file as a document of its own: a formula or a chart.

use crate::ExtractError;
use crate::flow::{Block, Grid};
use crate::package::{Package, resolve};
use crate::xml_walk::{Step, Xml};

/// Most rows that are read of a chart; more are a curve and no table.
const MAX_ROWS: usize = 5_000;

pub(crate) enum Object {
    Formula(String),
    Chart(Vec<Block>),
}

/// Reads the object in a folder of the package; one that is missing, broken or of another kind is an empty formula.
pub(crate) fn read_object(package: &mut Package<'_>, folder: &str) -> Object {
    let part = format!("{}/content.xml", resolve("", folder));
    let nothing = Object::Formula(String::new());
    let Ok(Some(source)) = package.text(&part) else { return nothing };
    read(&mut Xml::new(&part, &source)).unwrap_or(nothing)
}

fn read(xml: &mut Xml<'_>) -> Result<Object, ExtractError> {
    let (mut signs, mut written) = (String::new(), None);
    let mut blocks = Vec::new();
    let mut rows: Vec<Vec<String>> = Vec::new();
    while let Some(step) = xml.next()? {
        let Step::Open(tag) = step else { continue };
        match tag.name() {
            // As its author typed it, on one line.
            "annotation" => written = Some(xml.text()?),
            "mi" | "mn" | "mo" | "mtext" => signs.push_str(&xml.text()?),
            "title" | "subtitle" if tag.prefix() == "chart" => blocks.push(Block::Paragraph(xml.text()?)),
            "table-row" if rows.len() < MAX_ROWS => rows.push(Vec::new()),
            "table-row" => xml.skip()?,
            "table-cell" => {
                let text = xml.text()?;
                if let Some(row) = rows.last_mut() {
                    row.push(text);
                }
            }
            _ => {}
        }
    }
    if !rows.is_empty() {
        blocks.push(Block::Table(Grid::new(rows, true)));
    }
    Ok(if blocks.is_empty() { Object::Formula(written.unwrap_or(signs)) } else { Object::Chart(blocks) })
}
