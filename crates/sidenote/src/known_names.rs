//! Which documents know what a question names.
//!
//! A contract names its parties once and goes on about "the customer", so a name is looked for in the whole document. One that does
//! not know a name of the question rarely answers it, however much its sentences sound like it: the neighbour's contract has the
//! same clauses.

use std::collections::HashSet;

use sidenote_index::{DocumentId, Held, Index};

use crate::{
    error::Error,
    evidence::{above, share},
    retrieve::Hit,
    terms::{Term, names, term_set, terms},
};

/// Names of a question that are looked for; the first ones count.
const MAX_NAMES: usize = 32;

/// The names and numbers of a question, and who knows them.
pub(crate) struct KnownNames(Vec<Name>);

struct Name {
    terms: Vec<Term>,
    documents: HashSet<DocumentId>,
}

impl KnownNames {
    /// Looks for the names of `question`.
    pub(crate) fn of(question: &str, index: &Index) -> Result<Self, Error> {
        let known = names(question).into_iter().take(MAX_NAMES).map(|name| {
            let has_digit = name.chars().any(|c| c.is_ascii_digit());
            let held = if has_digit { Held::Phrase(name.to_owned()) } else { Held::Word(name.to_owned()) };
            Ok(Name { terms: terms(name), documents: index.documents_holding(&held)? })
        });
        Ok(Self(known.collect::<Result<_, Error>>()?))
    }

    /// Names, and the documents that know each.
    #[cfg(test)]
    pub(crate) fn sample(names: &[(&str, &[i64])]) -> Self {
        let name = |(name, documents): &(&str, &[i64])| Name {
            terms: terms(name),
            documents: documents.iter().map(|id| DocumentId(*id)).collect(),
        };
        Self(names.iter().map(name).collect())
    }

    /// Share of the names that a hit or another passage of its document holds, 0 to 1; 1 where the question names nothing.
    pub(crate) fn held_by(&self, hit: &Hit) -> f32 {
        let in_passage = term_set(&format!("{}\n{}", above(hit), hit.text));
        let is_held = |name: &&Name| {
            name.documents.contains(&hit.document.id) || name.terms.iter().all(|term| in_passage.contains(term))
        };
        share(self.0.iter().filter(is_held).count(), self.0.len())
    }
}
