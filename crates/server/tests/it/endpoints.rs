//! What each address answers.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use walhouse_change::{
    BoxFuture, Checkpoint, Domain, Error, Lsn, Opening, Origin, Retry, SlotKind, Snapshot, Source, State, Survey,
    TableSchema, TableState, Target,
};
use walhouse_pipeline::{Pipeline, Settings, Status, StatusBoard};
use walhouse_server::{Console, Recorder};

use crate::http::{get, get_as};

async fn serve(board: StatusBoard) -> SocketAddr {
    crate::http::serve(Console::new(board, Recorder::detached().unwrap())).await
}

#[tokio::test]
async fn lives_before_it_is_ready() {
    let address = serve(StatusBoard::new("shop")).await;
    let health = get(address, "/health").await;
    assert_eq!((health.code, health.body.as_str()), (200, "ok\n"));
    let ready = get(address, "/ready").await;
    assert_eq!(ready.code, 503);
    insta::assert_snapshot!(ready.body, @r#"{"ready":false,"state":"starting","reasons":["connecting to both ends"],"stopped":[]}"#);
}

#[tokio::test]
async fn shows_the_status() {
    let address = serve(StatusBoard::new("shop")).await;
    let answer = get(address, "/status").await;
    assert_eq!(answer.code, 200);
    let status: Status = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((status.slot.as_str(), status.checkpoint), ("shop", Lsn::ZERO));
}

#[tokio::test]
async fn serves_metrics_as_text() {
    let address = serve(StatusBoard::new("shop")).await;
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.code, 200);
    assert!(answer.head.contains("text/plain; version=0.0.4"), "{}", answer.head);
}

#[tokio::test]
async fn refuses_the_names_of_other_sites() {
    let address = serve(StatusBoard::new("shop")).await;
    for path in ["/", "/health", "/ready", "/status", "/metrics", "/nowhere"] {
        assert_eq!(get_as(address, "evil.example", path).await.code, 403, "{path}");
    }
    assert_eq!(get_as(address, "localhost", "/health").await.code, 200);
    assert_eq!(get(address, "/nowhere").await.code, 404);
}

/// An end that is down.
struct Down;

fn down<'a, T>() -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(async { Err(Error::new(Domain::Source, Retry::Later, "cannot connect").with_remedy("start it")) })
}

impl Origin for Down {
    fn survey(&self) -> BoxFuture<'_, Result<Survey, Error>> {
        down()
    }
    fn publish<'a>(&'a self, _: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<(), Error>> {
        down()
    }
    fn snapshot<'a>(
        &'a self,
        _: &'a [Arc<TableSchema>],
        _: SlotKind,
    ) -> BoxFuture<'a, Result<Arc<dyn Snapshot>, Error>> {
        down()
    }
    fn drop_slot(&self) -> BoxFuture<'_, Result<(), Error>> {
        down()
    }
    fn stream<'a>(&'a self, _: Lsn, _: &'a [Arc<TableSchema>]) -> BoxFuture<'a, Result<Box<dyn Source>, Error>> {
        down()
    }
}

impl Target for Down {
    fn load(&self) -> BoxFuture<'_, Result<State, Error>> {
        down()
    }
    fn save_checkpoint<'a>(&'a self, _: &'a Checkpoint) -> BoxFuture<'a, Result<(), Error>> {
        down()
    }
    fn save_table<'a>(&'a self, _: &'a TableState) -> BoxFuture<'a, Result<(), Error>> {
        down()
    }
    fn begin_copy<'a>(&'a self, _: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<(), Error>> {
        down()
    }
    fn copy_sink<'a>(
        &'a self,
        _: &'a Arc<TableSchema>,
        _: u16,
    ) -> BoxFuture<'a, Result<Box<dyn walhouse_change::Sink>, Error>> {
        down()
    }
    fn finish_copy<'a>(&'a self, _: &'a Arc<TableSchema>) -> BoxFuture<'a, Result<(), Error>> {
        down()
    }
    fn open<'a>(
        &'a self,
        _: &'a [Opening],
        _: u16,
        _: Arc<dyn walhouse_change::Observer>,
    ) -> BoxFuture<'a, Result<Box<dyn walhouse_change::Sink>, Error>> {
        down()
    }
}

/// The reason that `/ready` gives is the pipeline's own, with what mends it.
#[tokio::test]
async fn says_what_it_waits_for() {
    let pipeline = Pipeline::new(Arc::new(Down), Arc::new(Down), Settings::new("shop"));
    let board = pipeline.board();
    let address = serve(board.clone()).await;
    let cancel = CancellationToken::new();
    let running = tokio::spawn(pipeline.run(cancel.clone()));
    board.wait_for(|status| status.state.name() == "waiting").await;
    let ready = get(address, "/ready").await;
    assert_eq!(ready.code, 503);
    assert!(
        ready.body.contains("waiting for the source, attempt") && ready.body.contains("cannot connect"),
        "{}",
        ready.body
    );
    assert!(ready.body.contains("start it"), "{}", ready.body);
    cancel.cancel();
    running.await.unwrap().unwrap();
}
