//! Pages of a house that is live.

use crate::browser::{browse, look};
use crate::home::{Home, READY};

/// A row of nobody, newer than all.
const HARM: &str = "INSERT INTO employee__current (employee_id, employee_name, is_deleted, _version)
                    VALUES (777, 'stray', 0, '1329227995784915872903807060280344576')";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_live_house_is_there_and_accessible() {
    let home = Home::live().await;
    let _load = home.load().await;
    look("live", &home.house.console_url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_does_what_it_says() {
    let mut home = Home::live().await;
    let mut load = Some(home.load().await);
    let url = home.house.console_url();
    browse("actions", &url, async |verb: &str| match verb {
        "be_quiet" => drop(load.take()),
        "harm" => home.execute_in_clickhouse(HARM).await,
        "be_ready" => home.house.ready(READY).await.unwrap(),
        other => panic!("{other} is not known"),
    })
    .await;
}
