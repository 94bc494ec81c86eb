//! State, and what `status`, `check` and `teardown` see.

use std::sync::Arc;

use walhouse_change::{Checkpoint, Lsn, Phase, SlotPhase, TableName, TableState, Target};
use walhouse_clickhouse::{ClickHouse, Config, Secret};

use crate::support::{INT8, Place, Script, table, write};

#[tokio::test(flavor = "multi_thread")]
async fn state_is_kept_and_forgotten() {
    let place = Place::shared("kept");
    assert!(place.target.state().await.unwrap().checkpoint.is_none());
    let state = place.target.load().await.unwrap();
    assert!(state.checkpoint.is_none() && state.tables.is_empty());
    let checkpoint =
        |phase, lsn| Checkpoint { phase, epoch: 1, lsn: Lsn(lsn), system_identifier: u64::MAX, timeline: 7 };
    place.target.save_checkpoint(&checkpoint(SlotPhase::Creating, 0)).await.unwrap();
    for lsn in [5, 6, u64::MAX - 1] {
        place.target.save_checkpoint(&checkpoint(SlotPhase::Ready, lsn)).await.unwrap();
    }
    let mut table = TableState::pending(TableName::new("public", "it's"), 16_400);
    place.target.save_table(&table).await.unwrap();
    table.phase = Phase::Stopped;
    table.consistent_point = Lsn(u64::MAX);
    table.rows_copied = 12;
    table.error = Some("why \\ \"so\"\n?".to_owned());
    place.target.save_table(&table).await.unwrap();
    // another process reads the same
    let other = ClickHouse::new(place.config.clone()).unwrap();
    for state in [other.state().await.unwrap(), other.load().await.unwrap()] {
        assert_eq!(state.checkpoint, Some(checkpoint(SlotPhase::Ready, u64::MAX - 1)));
        assert_eq!(state.tables, [table.clone()]);
    }
    let error = other.save_checkpoint(&checkpoint(SlotPhase::Ready, 6)).await.unwrap_err();
    assert!(error.one_line().contains("back"), "{}", error.one_line());
    other.save_checkpoint(&checkpoint(SlotPhase::Ready, u64::MAX - 1)).await.unwrap();
    // each slot has its own
    let config = Config { slot: "another".to_owned(), ..place.config.clone() };
    assert!(ClickHouse::new(config).unwrap().load().await.unwrap().checkpoint.is_none());
    other.teardown(false).await.unwrap();
    let state = other.state().await.unwrap();
    assert!(state.checkpoint.is_none() && state.tables.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn teardown_takes_what_is_ours_and_can_be_called_again() {
    let place = Place::shared("torn_down");
    let t = table(1, "t", &[("id", INT8)]);
    place.copied(&t, &[&[Some("1")]]).await;
    let mut sink = place.open(&[&t]).await;
    write(&mut sink, Script::default().begin(900).truncate(&[&t])).await;
    sink.close().await.unwrap();
    let owned = ["t_at", "view_t_last_rec", "t", "t__current"];
    assert_eq!(place.target.owned().await.unwrap(), owned);
    assert_eq!(place.target.teardown(true).await.unwrap(), owned);
    assert_eq!(place.target.teardown(true).await.unwrap(), Vec::<String>::new());
    assert_eq!(place.ask("SELECT count() FROM walhouse_truncates").await, "0");
    let empty = Place::shared("never_used");
    assert_eq!(empty.target.teardown(true).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_sees_what_would_be_in_the_way() {
    let place = Place::shared("checked");
    let t = table(1, "t", &[("id", INT8)]);
    place.copied(&t, &[]).await;
    let u = table(2, "u", &[("id", INT8)]);
    place.ask("CREATE TABLE u (x UInt8) ENGINE = Memory").await;
    let conflicts = place.target.conflicts(&[Arc::clone(&t), u]).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].one_line().contains("checked.u already"), "{}", conflicts[0].one_line());
    assert!(place.target.version().await.unwrap().starts_with("2"));
    assert_eq!(place.target.missing_rights().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_mends_them() {
    let url = walhouse_chdb::testing::shared().url();
    Place::shared("shop").target.load().await.unwrap();
    let line = |user: &str, password: &str| {
        let mut config = Config::new(&url, "refused");
        config.user = user.to_owned();
        config.password = Some(Secret::new(password));
        config.database = "not_there".to_owned();
        async move {
            let error = ClickHouse::new(config).unwrap().load().await.unwrap_err();
            assert_eq!(error.retry(), &walhouse_change::Retry::Never, "{}", error.one_line());
            error.one_line()
        }
    };
    let wrong = line("bob", "secret-word").await;
    assert!(wrong.contains("516") && wrong.contains("password_file"), "{wrong}");
    assert!(!wrong.contains("secret-word"), "{wrong}");
    let reader = line("reader", "pw").await;
    assert!(reader.contains("not_there") || reader.contains("grant"), "{reader}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_down_is_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = ClickHouse::new(Config::new(&url, "down")).unwrap().load().await.unwrap_err();
    assert_eq!(error.retry(), &walhouse_change::Retry::Later);
    let line = error.one_line();
    assert!(line.contains(&url) && line.contains("refused") && line.contains("check that ClickHouse runs"), "{line}");
}
