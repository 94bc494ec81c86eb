//! A worker in this process, over a broker and a Postgres that all tests share, and a client for its API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;
use walhouse_connect::{Api, Rest, Runner, Settings, Worker};
use walhouse_kafka::client::Seat;
use walhouse_lab::kafka::Broker;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A worker with internal topics of its own.
pub(crate) struct House {
    pub(crate) worker: Worker,
    pub(crate) address: String,
    pub(crate) settings: String,
    pub(crate) name: String,
    stop: CancellationToken,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Waits until it is in charge of its group.
pub(crate) async fn in_charge(worker: &Worker) {
    let mut seat = worker.seat();
    tokio::time::timeout(Duration::from_secs(60), seat.wait_for(|seat| *seat == Seat::Held)).await.unwrap().unwrap();
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or(Json::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl House {
    /// With this in its properties file beside what tests need.
    pub(crate) async fn start(runner: Arc<dyn Runner>, extra: &str) -> Self {
        let name = format!("house{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let settings = format!(
            "bootstrap.servers={}\ngroup.id={name}\nconfig.storage.topic={name}_configs\noffset.storage.topic={name}_offsets\n\
             status.storage.topic={name}_statuses\noffset.storage.partitions=5\nlisteners=http://127.0.0.1:0\n{extra}",
            Broker::shared().await.unwrap().bootstrap(),
        );
        Self::again(runner, &settings, &name).await
    }

    /// A worker with the settings of a former one, which goes on where that stopped.
    pub(crate) async fn again(runner: Arc<dyn Runner>, settings: &str, name: &str) -> Self {
        let parsed = Settings::parse(settings).unwrap();
        let rest = Rest::bind(&parsed).await.unwrap();
        let address = rest.address().to_string();
        let worker = Worker::start(parsed, address.clone(), runner).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(rest.serve(Api::new(worker.clone(), None), stop.clone()));
        in_charge(&worker).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { worker, address, settings: settings.to_owned(), name: name.to_owned(), stop, client }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(&self) {
        self.worker.stop().await;
        self.stop.cancel();
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&str>, headers: &[(&str, &str)]) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.unwrap_or_default().to_owned())).unwrap();
        let answer = self.client.request(request).await.unwrap();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> Answer {
        self.call("POST", path, Some(&body.to_string()), &[("content-type", "application/json")]).await
    }

    /// Looks until it is so, for 20 s at most.
    pub(crate) async fn until(&self, path: &str, is: impl Fn(&Answer) -> bool) -> Answer {
        for _ in 0..400 {
            let answer = self.get(path).await;
            if is(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} stays {:?}", self.get(path).await);
    }
}
