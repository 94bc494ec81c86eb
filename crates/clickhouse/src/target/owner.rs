//! How we know our own tables: by a comment, which travels with a table through renames.
//!
//! `walhouse: <slot> <schema>.<table>`, and ` (copy)` behind it while the copy is in progress. A
//! table without it is somebody's, and is never written to, replaced or dropped.

use walhouse_change::TableName;

const PREFIX: &str = "walhouse: ";
const COPYING: &str = " (copy)";

/// The comment of `table`'s finished tables and views.
pub(super) fn comment(slot: &str, table: &TableName) -> String {
    format!("{}{table}", prefix(slot))
}

/// The comment of `table`'s copy in progress.
pub(super) fn copy_comment(slot: &str, table: &TableName) -> String {
    format!("{}{COPYING}", comment(slot, table))
}

/// With what every comment of the slot's tables begins. A slot's name has no space.
pub(super) fn prefix(slot: &str) -> String {
    format!("{PREFIX}{slot} ")
}

/// Whose a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The copy in progress of the table in question.
    Copy,
    /// The finished table in question.
    Ours,
    /// Another slot's, another source table's, or somebody's.
    Foreign,
}

/// Reads a comment for `table` of `slot`.
pub(super) fn owner(comment: &str, slot: &str, table: &TableName) -> Owner {
    if comment == self::comment(slot, table) {
        Owner::Ours
    } else if comment == copy_comment(slot, table) {
        Owner::Copy
    } else {
        Owner::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_ours_from_others() {
        let table = TableName::new("public", "t");
        let of = |text: &str| owner(text, "shop", &table);
        assert_eq!(of(&comment("shop", &table)), Owner::Ours);
        assert_eq!(of(&copy_comment("shop", &table)), Owner::Copy);
        assert_eq!(of(""), Owner::Foreign);
        assert_eq!(of("walhouse: shop2 public.t"), Owner::Foreign);
        assert_eq!(of("walhouse: shop public.t2"), Owner::Foreign);
    }
}
