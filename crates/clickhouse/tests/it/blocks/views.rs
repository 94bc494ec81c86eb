//! The views over tables that were filled with blocks: what is there, what was there, what is gone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use walhouse_clickhouse::block::KeyEncoder;
use walhouse_clickhouse::block::{Fill, Filled, StoredRows};
use walhouse_clickhouse::ddl;
use walhouse_clickhouse::mapping::{Layout, TableKind, TableOverride, TablePlan, collisions};
use walhouse_value::{Class, PgType};

use super::support::{Database, Images, NULL, Value, block, builtin, plan, schema, text, tombstone};

fn table(layout: &Layout, source: &str, name: &str) -> Arc<TablePlan> {
    plan(layout, &schema(source, name, vec![("id", builtin(23)), ("v", builtin(25))], 1))
}

fn row(id: i32, value: &str) -> Vec<Value> {
    vec![text(id), text(value)]
}

/// Both layouts: with and without history the view is the same.
async fn layouts(name: &str) -> Result<Vec<(Database, Layout)>> {
    let mut all = Vec::new();
    for history in [true, false] {
        let database = Database::create(&format!("{name}_{history}")).await?;
        let layout = Layout { history, ..database.layout() };
        all.push((database, layout));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_does_not_come_back() -> Result<()> {
    for (database, layout) in layouts("deleted").await? {
        let plan = table(&layout, "public", "t");
        database.create_all(&plan).await?;
        database.insert(&plan, &block(&plan, &[row(1, "a"), row(2, "b")], 10, 1000)).await?;
        database.insert(&plan, &block(&plan, &[row(1, "a2")], 20, 2000)).await?;
        database.insert(&plan, &tombstone(&plan, vec![text(1), NULL], 30, 3000)).await?;
        let view = "SELECT id, v, db_action, is_deleted, record_version, source_updated_at_ms FROM view_t_last_rec";
        assert_eq!(database.rows(view).await?, ["2\tb\tinsert\t0\t11\t1000"]);
        // an old event that comes again changes nothing
        database.insert(&plan, &block(&plan, &[row(1, "late")], 25, 2500)).await?;
        assert_eq!(database.rows(view).await?, ["2\tb\tinsert\t0\t11\t1000"]);
        database.insert(&plan, &block(&plan, &[row(1, "again")], 40, 4000)).await?;
        assert_eq!(database.one("SELECT count() FROM view_t_last_rec").await?, "2");
        assert_eq!(database.one("SELECT v FROM view_t_last_rec WHERE id = 1").await?, "again");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_hides_what_is_not_newer() -> Result<()> {
    for (database, layout) in layouts("truncated").await? {
        let (t, other) = (table(&layout, "public", "t"), table(&layout, "public", "other"));
        for plan in [&t, &other] {
            database.create_all(plan).await?;
            database.insert(plan, &block(plan, &[row(1, "a"), row(2, "b")], 10, 1000)).await?;
        }
        let truncate = "INSERT INTO walhouse_truncates VALUES ('t', 15, 1500)";
        database.run(&truncate.replace("INTO ", &format!("INTO {}.", database.name))).await?;
        assert_eq!(database.one("SELECT count() FROM view_t_last_rec").await?, "0");
        assert_eq!(database.one("SELECT count() FROM view_other_last_rec").await?, "2");
        database.insert(&t, &block(&t, &[row(2, "new")], 20, 2000)).await?;
        assert_eq!(database.rows("SELECT id, v FROM view_t_last_rec").await?, ["2\tnew"]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_at_a_time() -> Result<()> {
    for (name, retention) in [("at", None), ("at_retention", Some(Duration::from_secs(90 * 86_400)))] {
        let database = Database::create(name).await?;
        let plan = table(&Layout { retention, ..database.layout() }, "public", "t");
        database.create_all(&plan).await?;
        database.insert(&plan, &block(&plan, &[row(1, "a"), row(2, "b")], 10, 1000)).await?;
        database.insert(&plan, &block(&plan, &[row(1, "a2")], 20, 2000)).await?;
        database.insert(&plan, &tombstone(&plan, vec![text(2), NULL], 30, 3000)).await?;
        database.run(&format!("INSERT INTO {name}.walhouse_truncates VALUES ('t', 40, 4000)")).await?;
        database.insert(&plan, &block(&plan, &[row(3, "c")], 50, 5000)).await?;
        let expected: [(&str, &[&str]); 7] = [
            ("0.999", &[]),
            ("1", &["1\ta", "2\tb"]),
            ("2", &["1\ta2", "2\tb"]),
            ("3", &["1\ta2"]),
            ("3.999999", &["1\ta2"]),
            ("4.5", &[]),
            ("5", &["3\tc"]),
        ];
        for (at, rows) in expected {
            let sql = format!(
                "SELECT id, v FROM t_at(at = '1970-01-01 00:00:00'::DateTime64(6, 'UTC') + toIntervalMicrosecond({at} * 1000000)) ORDER BY id"
            );
            assert_eq!(database.rows(&sql).await?, rows, "at {at}");
        }
        let by_text = "SELECT count() FROM t_at(at = '1970-01-01 00:00:01.5')";
        assert_eq!(database.one(by_text).await?, "2");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_log_expires_the_current_state_never() -> Result<()> {
    let database = Database::create("expires").await?;
    let layout = Layout { retention: Some(Duration::from_secs(1)), ..database.layout() };
    let plan = table(&layout, "public", "t");
    database.create_all(&plan).await?;
    database.insert(&plan, &block(&plan, &[row(1, "a")], 10, 1000)).await?;
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    database.run("OPTIMIZE TABLE expires.t FINAL").await?;
    assert_eq!(database.one("SELECT count() FROM t").await?, "0");
    assert_eq!(database.one("SELECT count() FROM view_t_last_rec").await?, "1");
    assert_eq!(database.one("SELECT count() FROM t_at(at = '2024-01-01 00:00:00')").await?, "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schemas_with_one_table_name() -> Result<()> {
    let database = Database::create("schemas").await?;
    let plans = [table(&database.layout(), "public", "sales"), table(&database.layout(), "b", "sales")];
    assert_eq!(collisions(&plans.each_ref().map(|plan| TablePlan::clone(plan))), Ok(()));
    for (plan, value) in plans.iter().zip(["of public", "of b"]) {
        database.create_all(plan).await?;
        database.insert(plan, &block(plan, &[row(1, value)], 10, 1000)).await?;
    }
    assert_eq!(database.rows("SELECT v FROM view_sales_last_rec").await?, ["of public"]);
    assert_eq!(database.rows("SELECT v FROM view_b_sales_last_rec").await?, ["of b"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_of_the_seeds_query() -> Result<()> {
    let database = Database::create("seed").await?;
    let layout = database.layout();
    let make = |name: &str, columns: Vec<(&str, PgType)>, view: Option<&str>| {
        let overrides = TableOverride { view: view.map(str::to_owned), ..TableOverride::default() };
        TablePlan::new(schema("public", name, columns, 1), &overrides, &layout).map(Arc::new)
    };
    let (int, bigint, varchar) = (|| builtin(23), || builtin(20), || builtin(1043));
    let sales =
        vec![("sales_id", int()), ("employee_id", int()), ("sales_territory_id", int()), ("sales_amount", bigint())];
    let territory = vec![
        ("sales_territory_id", int()),
        ("sales_territory_country", varchar()),
        ("sales_territory_region", varchar()),
    ];
    let employee = vec![("employee_id", int()), ("employee_name", varchar())];
    let sales = make("sales", sales, None)?;
    let territory = make("sales_territory", territory, None)?;
    let employee = make("employee", employee, Some("view_employees_last_rec"))?;
    let cells = |values: &[&str]| values.iter().map(text).collect::<Vec<_>>();
    let fill = [
        (&territory, vec![cells(&["1", "Kenya", "Nairobi"]), cells(&["2", "Ghana", "Accra"])]),
        (&employee, vec![cells(&["1", "John"]), cells(&["2", "Mary"])]),
        (
            &sales,
            vec![
                cells(&["1", "1", "1", "5000000000"]),
                cells(&["2", "1", "1", "7"]),
                cells(&["3", "2", "2", "9"]),
                cells(&["4", "2", "1", "1"]),
            ],
        ),
    ];
    for (plan, rows) in fill {
        database.create_all(plan).await?;
        database.insert(plan, &block(plan, &rows, 10, 1000)).await?;
    }
    database.insert(&sales, &tombstone(&sales, vec![text(4), NULL, NULL, NULL], 20, 2000)).await?;
    let query = walhouse_lab::rembo::SEED_QUERY.trim_end_matches(';');
    let expected = ["1\tJohn\t1\tKenya\tNairobi\t5000000007\t2", "2\tMary\t2\tGhana\tAccra\t9\t1"];
    assert_eq!(database.rows(query).await?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_need_their_quotes() -> Result<()> {
    let database = Database::create("quo`ted \\ 'base'").await?;
    let label = PgType::new(70_000, -1, "mood", Class::Enum);
    let columns = vec![("i`d", label), ("na me?", builtin(25)), ("back\\slash", builtin(23))];
    let plan = plan(&database.layout(), &schema("it's", "a`b\\c d?", columns, 1));
    database.create_all(&plan).await?;
    database.insert(&plan, &block(&plan, &[vec![text("k"), text("v"), text(1)]], 10, 1000)).await?;
    let view = ddl::qualified(&database.name, &plan.view);
    let shown = database.rows(&format!("SELECT * EXCEPT (arrival_date_time_tz) FROM {view}")).await?;
    assert_eq!(shown, ["k\tv\t1\t10\t1000\tinsert\t0\t{}"]);
    let at = ddl::qualified(&database.name, &plan.at_view().unwrap_or_default());
    assert_eq!(database.one(&format!("SELECT count() FROM {at}(at = '2024-01-01 00:00:00')")).await?, "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_added_in_its_place() -> Result<()> {
    for (database, layout) in layouts("added").await? {
        let before = table(&layout, "public", "t");
        database.create_all(&before).await?;
        database.insert(&before, &block(&before, &[row(1, "a")], 10, 1000)).await?;
        let columns = vec![("id", builtin(23)), ("v", builtin(25)), ("w", builtin(1700)), ("x", builtin(1184))];
        let after = plan(&layout, &schema("public", "t", columns, 1));
        for &kind in after.tables() {
            for index in [2, 3] {
                let sql = ddl::add_column(&after, &after.table_name(kind), index).unwrap_or_default();
                database.run(&sql).await?;
            }
            let names = format!(
                "SELECT arrayStringConcat(groupArray(name || ' ' || type), ', ') FROM (SELECT name, type FROM \
                 system.columns WHERE database = '{}' AND table = '{}' ORDER BY position)",
                database.name,
                after.table_name(kind)
            );
            let expected = "id Int32, v Nullable(String), w Nullable(String), x Nullable(DateTime64(6, \\'UTC\\')), \
                            record_version Int64, arrival_date_time_tz DateTime, source_updated_at_ms Nullable(Int64), \
                            db_action Nullable(String), is_deleted UInt8, _unrepresentable Map(String, String), \
                            _version UInt128";
            assert_eq!(database.one(&names).await?, expected);
        }
        for view in ddl::views(&after) {
            database.run(&view).await?;
        }
        let added = vec![text(2), text("b"), text("1.10"), text("infinity")];
        database.insert(&after, &block(&after, &[added], 20, 2000)).await?;
        let view = "SELECT id, v, w, x, _unrepresentable FROM view_t_last_rec ORDER BY id";
        assert_eq!(database.rows(view).await?, ["1\ta\t\\N\t\\N\t{}", "2\tb\t1.10\t\\N\t{'x':'infinity'}"]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_its_place() -> Result<()> {
    // the engine's `default` database is of another kind than those that are created
    for name in ["swapped", "default"] {
        let database = Database::create(name).await?;
        let plan = table(&database.layout(), "public", "swapped");
        for round in [1, 2] {
            for &kind in plan.tables() {
                let staging = plan.staging_name(kind);
                database.run(&ddl::drop_table(name, &staging)).await?;
                database.run(&ddl::create_table(&plan, kind, &staging)).await?;
                if round == 1 {
                    database.run(&ddl::rename(name, &staging, &plan.table_name(kind))).await?;
                } else {
                    database.run(&ddl::exchange(name, &staging, &plan.table_name(kind))).await?;
                    database.run(&ddl::drop_table(name, &staging)).await?;
                }
            }
            for view in ddl::views(&plan) {
                database.run(&view).await?;
            }
            assert_eq!(database.one("SELECT count() FROM view_swapped_last_rec").await?, "0");
            database.insert(&plan, &block(&plan, &[row(1, "a")], 10, 1000)).await?;
            assert_eq!(database.one("SELECT count() FROM view_swapped_last_rec").await?, "1");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_values_are_read_back() -> Result<()> {
    let database = Database::create("read_back").await?;
    let columns = vec![
        ("a", builtin(25)),
        ("b", PgType::builtin(1700, ((40 << 16) | 2) + 4).unwrap_or_else(|| builtin(1700))),
        ("c", builtin(25)),
        ("d", builtin(1184)),
        ("e", PgType::new(70_000, -1, "mood", Class::Enum)),
    ];
    let plan = plan(&database.layout(), &schema("public", "t", columns, 2));
    database.create_all(&plan).await?;
    let key = |a: &str, b: &str| vec![text(a), text(b)];
    let rows = [
        [key("x'y\\z", "1.5"), vec![text("large"), text("infinity"), text("sad")]].concat(),
        [key("", "-2"), vec![NULL, text("2024-01-01 00:00:00+00"), NULL]].concat(),
        [key("other", "3"), vec![NULL, NULL, NULL]].concat(),
    ];
    database.insert(&plan, &block(&plan, &rows, 10, 1000)).await?;
    let images = Images::new(&plan, &rows);
    let encoder = KeyEncoder::new(Arc::clone(&plan));
    let keys = [encoder.key(images.get(0), None)?, encoder.key(images.get(1), None)?];
    let sql = ddl::read_back(&plan, &[2, 3, 4], &keys);
    let sql = sql.strip_suffix(" FORMAT RowBinary").unwrap_or(&sql);
    let answer = database.bytes(sql, "RowBinary").await?;
    let stored = StoredRows::parse(&plan, &[2, 3, 4], answer.into())?;
    assert_eq!(stored.len(), 2);
    let get = |key: usize, column| stored.get(keys[key].as_bytes()).and_then(|row| row.value(column));
    assert!(matches!(get(0, 2), Some(Filled::Stored(bytes)) if bytes == "large"));
    assert!(matches!(get(0, 3), Some(Filled::Unrepresentable(b"infinity"))));
    assert!(matches!(get(0, 4), Some(Filled::Stored(bytes)) if bytes == "sad"));
    assert!(matches!(get(1, 2), Some(Filled::Null)));
    assert!(matches!(get(1, 3), Some(Filled::Stored(bytes)) if bytes[..] == 1_704_067_200_000_000i64.to_le_bytes()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dictionaries_of_every_width() -> Result<()> {
    let database = Database::create("dictionaries").await?;
    let label = || PgType::new(70_000, -1, "mood", Class::Enum);
    let columns = vec![("id", builtin(23)), ("k", label()), ("v", label())];
    let plan = plan(&database.layout(), &schema("public", "t", columns, 2));
    database.create_all(&plan).await?;
    for (round, distinct) in [1, 255, 256, 257, 65_535, 65_536, 70_000].into_iter().enumerate() {
        let rows: Vec<_> = (0..distinct)
            .map(|n| vec![text(round), text(format!("k{n}")), if n % 7 == 3 { NULL } else { text(format!("v{n}")) }])
            .chain([vec![text(round), text(""), text("")]])
            .collect();
        database.insert_into(&plan, TableKind::Log, &block(&plan, &rows, 10, 1000)).await?;
        let sql = format!(
            "SELECT count(), uniqExact(k), countIf(v IS NULL), countIf(k = '' AND v = ''), \
             countIf(v IS NOT NULL AND substring(k, 2) != substring(assumeNotNull(v), 2)) FROM t WHERE id = {round}"
        );
        let nulls = (0..distinct).filter(|n| n % 7 == 3).count();
        assert_eq!(database.one(&sql).await?, format!("{0}\t{0}\t{nulls}\t1\t0", distinct + 1));
    }
    Ok(())
}
