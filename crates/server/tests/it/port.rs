//! A port in use, and the end of serving.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use walhouse_pipeline::StatusBoard;
use walhouse_server::{Console, Listener, Recorder};

fn console() -> Console {
    Console::new(StatusBoard::new("s"), Recorder::detached().unwrap())
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test]
async fn a_port_in_use_is_one_line_that_says_what_to_do() {
    let holder = Listener::bind(loopback(), Duration::ZERO).await.unwrap();
    let error = Listener::bind(holder.address(), Duration::from_millis(250)).await.unwrap_err().to_string();
    assert!(error.contains(&holder.address().to_string()) && error.contains("choose another port"), "{error}");
    assert!(!error.contains('\n'));
}

#[tokio::test]
async fn a_port_that_gets_free_is_waited_for() {
    let holder = Listener::bind(loopback(), Duration::ZERO).await.unwrap();
    let address = holder.address();
    let waiting = tokio::spawn(Listener::bind(address, Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(holder);
    assert_eq!(waiting.await.unwrap().unwrap().address(), address);
}

#[tokio::test]
async fn an_idle_client_does_not_hold_the_process() {
    let listener = Listener::bind(loopback(), Duration::ZERO).await.unwrap();
    let address = listener.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(listener.serve(console(), async {
        let _ = stopped.await;
    }));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    let began = Instant::now();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
}
