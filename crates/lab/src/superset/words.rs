//! From names to words that a person reads.

/// `sales_territory_id` becomes `Sales territory id`.
pub(super) fn label(name: &str) -> String {
    let spaced = name.trim_matches('_').replace('_', " ");
    let mut chars = spaced.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => name.to_owned(),
    }
}

/// `name`, with underscores behind it until it is not `taken`.
pub(super) fn free_name(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut free = name.to_owned();
    while taken(&free) {
        free.push('_');
    }
    free
}

/// A quoted name for SQL that Superset rewrites before it sends it: both read backticks as a name.
pub(super) fn quoted(name: &str) -> String {
    crate::clickhouse::identifier(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(label("sales_territory_id"), "Sales territory id");
        assert_eq!(label("été"), "Été");
        assert_eq!(label("_"), "_");
    }

    #[test]
    fn a_taken_name_gives_way() {
        assert_eq!(free_name("total_a", |name| name == "total_a" || name == "total_a_"), "total_a__");
    }
}
