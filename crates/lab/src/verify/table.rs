//! What is compared with what.

/// A source table and its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Schema in Postgres.
    pub schema: String,
    /// Name in Postgres.
    pub name: String,
    /// The view (or table) of current rows in ClickHouse.
    pub view: String,
    /// The table of all versions in ClickHouse, if one is kept.
    pub history: Option<String>,
    /// Name of the target by which a TRUNCATE is recorded.
    pub target: String,
    /// Key columns. Empty: the primary key; where there is none, rows are compared as a bag.
    pub key: Vec<String>,
    /// Columns to compare. Empty: all columns of the source.
    pub columns: Vec<String>,
}

impl Table {
    /// A table with the names that walhouse gives by default: `t` for `public.t`, `s_t` for `s.t`, and
    /// `view_<target>_last_rec`, with a history.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        let (schema, name) = (schema.into(), name.into());
        let target = if schema == "public" { name.clone() } else { format!("{schema}_{name}") };
        Self {
            view: format!("view_{target}_last_rec"),
            history: Some(target.clone()),
            schema,
            name,
            target,
            key: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Another name of the view.
    #[must_use]
    pub fn view(mut self, view: impl Into<String>) -> Self {
        self.view = view.into();
        self
    }

    /// No history is kept, or an incomplete one: none is looked at.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        self.history = None;
        self
    }

    /// These key columns.
    #[must_use]
    pub fn key<S: Into<String>>(mut self, key: impl IntoIterator<Item = S>) -> Self {
        self.key = key.into_iter().map(Into::into).collect();
        self
    }

    /// Only these columns.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = columns.into_iter().map(Into::into).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names() {
        let public = Table::new("public", "sales");
        assert_eq!((public.view.as_str(), public.history.as_deref()), ("view_sales_last_rec", Some("sales")));
        let other = Table::new("shop", "sales").without_history();
        assert_eq!((other.view.as_str(), other.history), ("view_shop_sales_last_rec", None));
    }
}
