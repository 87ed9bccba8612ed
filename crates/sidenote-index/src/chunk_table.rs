//! Which chunks have which vector, in memory: three numbers a chunk, in order, however many there are.

use std::collections::HashSet;

use roaring::RoaringTreemap;

use crate::sqlite::ChunkRow;
use crate::vector::Node;

/// Chunks in order of their vector, then of their document and their id.
#[derive(Debug, Default)]
pub(crate) struct ChunkTable {
    rows: Vec<ChunkRow>,
}

impl ChunkTable {
    /// Of rows in any order.
    pub(crate) fn of(rows: Vec<ChunkRow>) -> Self {
        let mut table = Self { rows };
        table.put_in_order();
        table
    }

    fn put_in_order(&mut self) {
        // What is in order already, as the database gives it, costs one look at each.
        self.rows.sort();
        self.rows.dedup();
    }

    pub(crate) fn rows(&self) -> &[ChunkRow] {
        &self.rows
    }

    /// The chunks that have this vector.
    pub(crate) fn with(&self, node: Node) -> &[ChunkRow] {
        let start = self.rows.partition_point(|row| row.node() < node);
        let rest = &self.rows[start..];
        &rest[..rest.partition_point(|row| row.node() == node)]
    }

    /// The vectors that any chunk has.
    pub(crate) fn nodes(&self) -> RoaringTreemap {
        self.rows.iter().map(ChunkRow::node).collect()
    }

    /// Takes chunks out and puts others in; says which vectors no chunk has any more.
    pub(crate) fn change(&mut self, out: &HashSet<i64>, into: Vec<ChunkRow>) -> Vec<Node> {
        let mut left = Vec::new();
        self.rows.retain(|row| {
            let goes = out.contains(&row.chunk);
            if goes {
                left.push(row.node());
            }
            !goes
        });
        self.rows.extend(into);
        self.put_in_order();
        left.dedup();
        left.retain(|node| self.with(*node).is_empty());
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(embedding: i64, document: i64, chunk: i64) -> ChunkRow {
        ChunkRow { embedding, document, chunk }
    }

    #[test]
    fn chunks_are_found_by_their_vector_and_the_last_one_takes_it_along() {
        let mut table = ChunkTable::of(vec![row(7, 1, 3), row(5, 1, 2), row(7, 1, 1), row(7, 1, 3)]);
        assert_eq!(table.with(7), [row(7, 1, 1), row(7, 1, 3)]);
        assert_eq!(table.with(6), []);
        assert!(table.change(&HashSet::from([1, 99]), vec![row(6, 2, 4)]).is_empty());
        assert_eq!(table.nodes().into_iter().collect::<Vec<_>>(), [5, 6, 7]);
        // One moves to another vector, two go.
        assert_eq!(table.change(&HashSet::from([2, 3, 4]), vec![row(8, 2, 4)]), [5, 6, 7]);
        assert_eq!(table.rows(), [row(8, 2, 4)]);
    }
}
