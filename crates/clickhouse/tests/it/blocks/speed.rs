//! What reading the current state costs: FINAL over the current table, as the view does it, against the
//! newest version per key of the log. Prints, judges only that they agree:
//! `cargo test -p walhouse-clickhouse --test it current_state_cost -- --ignored --nocapture`.

use std::time::Instant;

use anyhow::Result;
use walhouse_clickhouse::mapping::TableKind;

use super::support::{Database, builtin, plan, schema};

const KEYS: u64 = 500_000;
const VERSIONS: u64 = 5;
/// Inserts per version of all keys.
const PARTS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn current_state_cost() -> Result<()> {
    let database = Database::create("cost").await?;
    let columns = vec![
        ("id", builtin(20)),
        ("amount", builtin(20)),
        ("city", builtin(25)),
        ("name", builtin(25)),
        ("sold_at", builtin(1184)),
    ];
    let plan = plan(&database.layout(), &schema("public", "sales", columns, 1));
    database.create_all(&plan).await?;
    for &kind in plan.tables() {
        let table = plan.table_name(kind);
        for insert in 0..VERSIONS * PARTS {
            let (version, part) = (insert / PARTS, insert % PARTS);
            database
                .run(&format!(
                    "INSERT INTO cost.{table} (id, amount, city, name, sold_at, record_version, source_updated_at_ms, \
                     db_action, is_deleted, _version) SELECT number * {PARTS} + {part}, number + {version}, \
                     concat('city ', toString(number % 50)), concat('name of ', toString(number)), \
                     toDateTime64(1700000000 + number, 6, 'UTC'), {version}, {version}, 'update', \
                     {version} = 4 AND number % 10 = 0, {insert} * 1000000 + 1 + number FROM numbers({KEYS} / {PARTS})"
                ))
                .await?;
        }
    }
    let newest = "(SELECT * FROM sales ORDER BY id, _version DESC LIMIT 1 BY id)";
    let ways = [
        ("view (FINAL)", "view_sales_last_rec WHERE 1".to_owned()),
        ("log, LIMIT 1 BY", format!("{newest} WHERE is_deleted = 0")),
    ];
    let questions = [
        ("sum by city", "SELECT city, sum(amount), count() FROM {} GROUP BY city ORDER BY city"),
        ("one key", "SELECT id, amount FROM {} AND id = 77777"),
    ];
    for state in ["as inserted", "merged"] {
        if state == "merged" {
            for kind in [TableKind::Log, TableKind::Current] {
                database.run(&format!("OPTIMIZE TABLE cost.{} FINAL", plan.table_name(kind))).await?;
            }
        }
        let parts = "SELECT table, count(), sum(rows) FROM system.parts WHERE database = 'cost' AND active \
                     GROUP BY table ORDER BY table";
        println!("{state}: {:?}", database.rows(parts).await?);
        for (question, sql) in questions {
            let (mut answers, mut best) = (Vec::new(), [f64::MAX; 2]);
            // in turns, so that whatever else the machine does falls on both
            for _ in 0..10 {
                for ((_, from), best) in ways.iter().zip(&mut best) {
                    let start = Instant::now();
                    answers.push(database.rows(&sql.replace("{}", from)).await?);
                    *best = best.min(start.elapsed().as_secs_f64());
                }
            }
            for ((way, _), best) in ways.iter().zip(best) {
                println!("  {question}, {way}: {:.1} ms", best * 1e3);
            }
            assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{question}: answers differ");
        }
    }
    Ok(())
}
