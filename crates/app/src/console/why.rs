//! Why a column has the type that it has, in words.

use walhouse_clickhouse::mapping::{ClickHouseType, ColumnPlan};
use walhouse_value::{Class, PgType};

/// The reason for a column's type.
pub(super) fn why(source: &PgType, column: &ColumnPlan, is_chosen: bool) -> String {
    let reason =
        if is_chosen { "chosen in the configuration; it holds every value" } else { natural(source, column.ty) };
    let null = if column.key { "part of the key, so never NULL" } else { "may be NULL in Postgres" };
    format!("{reason}; {null}")
}

fn natural(source: &PgType, ty: ClickHouseType) -> &'static str {
    let text = ty == ClickHouseType::String;
    match &source.class {
        Class::Bool | Class::Uuid => "the same values on both sides",
        Class::Int2 | Class::Int4 | Class::Int8 => "the same width on both sides",
        Class::Oid | Class::Xid8 => "unsigned in Postgres too",
        Class::PgLsn => "a position in the log is a 64-bit number",
        Class::Float4 | Class::Float8 => "the same bits on both sides",
        Class::Numeric { .. } if text => "more digits than ClickHouse's widest Decimal, so Postgres' own text",
        Class::Numeric { .. } => "a Decimal that holds every digit; NaN and infinities go to _unrepresentable",
        Class::NumericUnbounded => "any number of digits, which no Decimal holds, so Postgres' own text",
        Class::Money => "minor units as a Decimal; the currency is the server's setting",
        Class::Date => "infinity and years beyond ClickHouse's go to _unrepresentable",
        Class::Time => "to the microsecond, as in Postgres",
        Class::Timestamp => "to the microsecond; infinity and far years go to _unrepresentable",
        Class::TimestampTz => {
            "an instant, to the microsecond, shown in UTC; infinity and far years go to _unrepresentable"
        }
        Class::TimeTz | Class::Interval => "ClickHouse has no such type, so Postgres' own text",
        Class::Enum => "few different labels, so a dictionary; a new label needs no change",
        Class::Json | Class::Jsonb => "the document as text, exactly as Postgres writes it",
        Class::Bytea => "the bytes themselves",
        Class::Array(_) => "arrays may hold NULLs and any number of dimensions, so Postgres' own text",
        Class::Inet | Class::Cidr | Class::MacAddr | Class::MacAddr8 => {
            "with its mask or in its own form, so Postgres' text"
        }
        Class::Bit | Class::VarBit => "its ones and zeros as text",
        Class::Text | Class::Bpchar | Class::Char => "text as it is",
        Class::Other => "a type that ClickHouse does not have, so Postgres' own text",
    }
}

/// What a metadata column tells.
pub(super) fn meta(name: &str) -> &'static str {
    match name {
        "record_version" => "the change's own position in Postgres' log, as Debezium's __lsn",
        "arrival_date_time_tz" => "when the row arrived in ClickHouse",
        "source_updated_at_ms" => "when the transaction was committed, in milliseconds since 1970-01-01 UTC",
        "db_action" => "what happened to the row: read, insert, update or delete",
        "is_deleted" => "1 when the row was deleted",
        "_unrepresentable" => "by column name, Postgres' text of a value that the column cannot hold",
        "_version" => "orders the versions of a row: epoch, commit's position, place in the transaction",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walhouse_clickhouse::mapping::META_COLUMNS;

    #[test]
    fn every_type_and_metadata_column_has_a_reason() {
        for oid in [16, 20, 21, 23, 25, 26, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 1007, 869, 17] {
            let ty = PgType::builtin(oid, -1).unwrap();
            let column = ColumnPlan { name: "c".to_owned(), ty: ClickHouseType::natural(&ty), key: false };
            assert!(why(&ty, &column, false).len() > 20, "{oid}");
        }
        assert!(META_COLUMNS.iter().all(|column| !meta(column.name).is_empty()));
    }
}
