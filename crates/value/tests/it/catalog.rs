//! The table of built-in types against the server's own catalog.

use anyhow::Result;
use walhouse_value::{Class, PgType, Wire, render};

use crate::oracle::Oracle;

/// Built-in base types that no user's column has a reason to hold, or that no column may.
const NOT_LISTED: &[&str] = &[
    "unknown",
    "gtsvector",
    "pg_node_tree",
    "pg_ndistinct",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
];

#[tokio::test]
async fn built_in_types_carry_the_catalogs_numbers_and_names() -> Result<()> {
    let oracle = Oracle::start("built_in").await?;
    let sql = "SELECT oid, typarray, format_type(oid, NULL), typname::text FROM pg_type \
               WHERE oid < 16384 AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A' AND typrelid = 0 \
               OR oid IN (22, 30)";
    let rows = oracle.client.query(sql, &[]).await?;
    for row in &rows {
        let (oid, array, name) = (row.get::<_, u32>(0), row.get::<_, u32>(1), row.get::<_, &str>(2));
        let typname = row.get::<_, &str>(3);
        let Some(ty) = PgType::builtin(oid, -1) else {
            assert!(NOT_LISTED.contains(&typname), "{typname} ({oid}) is missing");
            continue;
        };
        assert_eq!((ty.oid, ty.name.as_str()), (oid, name));
        let array = PgType::builtin(array, -1).expect(name);
        assert_eq!(array.name, format!("{name}[]"));
        let expected = Class::Array(Box::new(ty));
        assert_eq!(array.class, expected);
    }
    assert!(rows.len() >= 70);
    Ok(())
}

#[tokio::test]
async fn extension_types_are_text_and_never_an_error() -> Result<()> {
    let oracle = Oracle::start("extensions").await?;
    for (extension, value, decodable) in [("citext", "Ab", true), ("hstore", "\"a\"=>\"1\"", false)] {
        let sql = "SELECT count(*) FROM pg_available_extensions WHERE name = $1";
        if oracle.client.query_one(sql, &[&extension]).await?.get::<_, i64>(0) == 0 {
            println!("{extension} is not installed here");
            continue;
        }
        oracle.client.batch_execute(&format!("CREATE EXTENSION {extension}")).await?;
        let ty = oracle.column(&format!("t_{extension}"), extension).await?;
        oracle.client.batch_execute(&format!("INSERT INTO t_{extension} (v) VALUES ('{value}')")).await?;
        assert_eq!(ty.binary_decodable(), decodable);
        for pair in oracle.pairs(&format!("t_{extension}")).await? {
            crate::agree::agree(&ty, &pair);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_type_without_a_send_function_is_read_as_text() -> Result<()> {
    let oracle = Oracle::start("aclitem").await?;
    let ty = oracle.column("acl", "aclitem").await?;
    oracle.client.batch_execute("INSERT INTO acl (v) VALUES ('postgres=r/postgres')").await?;
    assert!(!ty.binary_decodable());
    let mut out = Vec::new();
    for text in oracle.texts("acl").await? {
        render::text(&ty, Wire::Text(text.as_bytes()), &mut out)?;
    }
    assert_eq!(out, b"postgres=r/postgres");
    Ok(())
}
