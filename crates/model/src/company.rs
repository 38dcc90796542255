//! Which migrations may be under way in the same tables at the same time.

use serde::{Deserialize, Serialize};

use crate::ident::{Ident, TableName};
use crate::plan::Plan;

/// What a plan is about in one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The table.
    pub table: TableName,
    /// The columns that it adds, changes or relies on; `None`: it may be about any of them.
    pub columns: Option<Vec<Ident>>,
    /// It only adds what no step of another plan depends on (a column, an index, a comment), and the engine lets others go on
    /// meanwhile.
    pub joins: bool,
}

/// Why a plan waits for another one that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The table that both are about.
    pub table: TableName,
    /// What of it.
    pub why: Why,
}

/// What two plans have in common that keeps them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A column.
    Column(Ident),
    /// One of them may be about any column.
    AnyColumn,
    /// The one that comes changes more than what it adds.
    Changes,
}

impl Plan {
    /// Returns why this plan, which has not begun, must wait for one that is under way; `None` when both go on beside each
    /// other.
    pub fn waits_for(&self, under_way: &Self) -> Option<Conflict> {
        let shared = self.tables.iter().filter(|table| under_way.tables.contains(table));
        let mut conflicts = shared.filter_map(|table| {
            let why = apart(self.about(table), under_way.about(table))?;
            Some(Conflict { table: table.clone(), why })
        });
        conflicts.next()
    }

    fn about(&self, table: &TableName) -> Option<&About> {
        self.about.iter().find(|about| about.table == *table)
    }
}

/// A plan that names a table, and says nothing of what it does there, only reads its structure: it may be about anything.
fn apart(comes: Option<&About>, there: Option<&About>) -> Option<Why> {
    if !comes.is_some_and(|about| about.joins) {
        return Some(Why::Changes);
    }
    let columns = |about: Option<&About>| about.and_then(|about| about.columns.clone());
    let (Some(comes), Some(there)) = (columns(comes), columns(there)) else { return Some(Why::AnyColumn) };
    comes.into_iter().find(|column| there.contains(column)).map(Why::Column)
}

impl Conflict {
    /// Returns what both are about, for people: `public.users (`first_name`)`.
    pub fn subject(&self) -> String {
        match &self.why {
            Why::Column(column) => format!("`{column}` of {}", self.table),
            Why::AnyColumn | Why::Changes => self.table.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(columns: Option<&[&'static str]>, joins: bool) -> About {
        let table = TableName { schema: Ident::known("public"), name: Ident::known("users") };
        let columns = columns.map(|names| names.iter().copied().map(Ident::known).collect());
        About { table, columns, joins }
    }

    #[test]
    fn only_what_adds_beside_other_columns_passes() {
        let pair = about(Some(&["first_name", "full_name"]), false);
        assert_eq!(apart(Some(&about(Some(&["nick"]), true)), Some(&pair)), None);
        assert_eq!(
            apart(Some(&about(Some(&["full_name"]), true)), Some(&pair)),
            Some(Why::Column(Ident::known("full_name")))
        );
        assert_eq!(apart(Some(&about(Some(&["nick"]), false)), Some(&pair)), Some(Why::Changes));
        assert_eq!(apart(Some(&about(None, true)), Some(&pair)), Some(Why::AnyColumn));
        assert_eq!(apart(Some(&about(Some(&["nick"]), true)), None), Some(Why::AnyColumn));
        assert_eq!(apart(None, Some(&pair)), Some(Why::Changes));
    }
}
