//! The pipe's states as the page shows them: copying, broken, mended, silent.

use std::time::Duration;

use crate::browser::browse;
use crate::home::Home;

/// A table that takes some seconds to copy, so that its copy is caught in the middle.
const ARCHIVE: &str = "CREATE TABLE archive AS SELECT id, md5(id::text) AS text FROM generate_series(1, 2000000) id;
                       ALTER TABLE archive ADD PRIMARY KEY (id)";
/// From here on the copy is under way and its end is far.
const ENOUGH_ROWS: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_seen_until_it_is_done() {
    let mut home = Home::prepare(|builder| builder).await;
    home.server.connect().await.unwrap().batch_execute(ARCHIVE).await.unwrap();
    home.house.start().unwrap();
    home.copied("archive", ENOUGH_ROWS).await;
    // For as long as the browser looks at it.
    let mut held = Some(home.hold_copy("archive").await);
    browse("copying", &home.house.console_url(), async |verb: &str| match verb {
        "go_on" => held = None,
        other => panic!("{other} is not known"),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_that_it_is_mended() {
    let mut home = Home::live().await;
    let _load = home.load().await;
    let url = home.house.console_url();
    browse("broken", &url, async |verb: &str| match verb {
        "stop_postgres" => home.server.stop().await.unwrap(),
        "start_postgres" => home.server.start().await.unwrap(),
        "stop_walhouse" => drop(home.house.terminate(Duration::from_secs(30)).await.unwrap()),
        "start_walhouse" => home.start().await,
        other => panic!("{other} is not known"),
    })
    .await;
}
