//! Pages of a house that is live.

use crate::browser::look;
use crate::home::Home;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_live_house_is_there_and_accessible() {
    let home = Home::live().await;
    let _load = home.load().await;
    look("live", &home.house.console_url()).await;
}
