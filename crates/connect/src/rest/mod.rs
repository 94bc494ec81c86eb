//! Connect's REST API: every path, status, header and error body as Connect 3.5.1 gives them.
//!
//! The address is taken before the worker starts, since statuses name it; requests that come before wait.

mod connectors;
mod jackson;
mod loggers;
mod plugin_paths;
mod reply;
mod route;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::Response;
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::worker::{Settings, Worker};

pub use loggers::LevelSetter;
use loggers::Loggers;
use reply::{Problem, Reply};
use route::Route;

/// Configurations are some kilobytes; Jetty takes more, and nobody needs it.
const MAX_BODY: usize = 4 << 20;

/// The version and the commit that the root path names: what tools ask for to know what a worker can do.
const VERSION: (&str, &str) = ("3.5.1", "2c6fb6c54472e90a");

/// The API, bound to its address.
pub struct Rest {
    listener: TcpListener,
    address: SocketAddr,
}

/// Connect's API over a worker, without its address: what HTTP requests and a console in the same process ask. Cheap to
/// clone.
#[derive(Clone)]
pub struct Api {
    worker: Worker,
    loggers: Arc<Loggers>,
}

impl Api {
    /// Over this worker. `levels` is told when somebody sets the level of a logger.
    #[must_use]
    pub fn new(worker: Worker, levels: Option<LevelSetter>) -> Self {
        Self { worker, loggers: Arc::new(Loggers::new(levels)) }
    }

    /// The worker that is asked.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Answers one request as over HTTP: the status, and the body where there is one. `path` is encoded, and may have a
    /// query; `body` is JSON.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Json>) -> (u16, Option<Json>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        let reply = match request {
            Ok(request) => dispatch(self, request).await.unwrap_or_else(Reply::from),
            Err(_) => Problem::bare(404).into(),
        };
        reply.into_parts()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl Rest {
    /// Takes the address of the settings.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub async fn bind(settings: &Settings) -> Result<Self> {
        let failed = |error: std::io::Error| Error::Listen {
            address: settings.listen.to_string(),
            cause: error.to_string().to_lowercase(),
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// The socket failed.
    pub async fn serve(self, api: Api, stop: CancellationToken) -> Result<()> {
        let router = Router::new().fallback(answer).with_state(api);
        let served = axum::serve(self.listener, router).with_graceful_shutdown(stop.cancelled_owned());
        let address = self.address.to_string();
        served.await.map_err(|error| Error::Listen { address, cause: error.to_string() })
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn answer(State(api): State<Api>, request: Request) -> Response {
    let method = request.method().clone();
    let reply = dispatch(&api, request).await.unwrap_or_else(Reply::from);
    reply.into_response(method == Method::HEAD)
}

async fn dispatch(api: &Api, request: Request) -> std::result::Result<Reply, Problem> {
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path())?;
    let Some(route) = route else { return Err(Problem::bare(404)) };
    if parts.method == Method::OPTIONS {
        return Ok(Reply::options(route.allowed()));
    }
    if !route.allows(&parts.method) {
        return Err(Problem::bare(405));
    }
    let media = parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    if media.is_some_and(|media| !is_json(media)) {
        return Err(Problem::bare(415));
    }
    if !parts.headers.get_all(header::ACCEPT).iter().all(|value| accepts_json(value.to_str().unwrap_or_default())) {
        return Err(Problem::bare(406));
    }
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Problem::new(413, "Request body is too large"))?;
    if media.is_none() && !body.is_empty() && route.reads_body(&parts.method) {
        return Err(Problem::new(415, "HTTP 415 Unsupported Media Type"));
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let call = Call { api, method: &parts.method, query, body: &body, host };
    match route {
        Route::Root => Ok(Reply::json(200, call.root())),
        Route::Connectors | Route::Connector(..) => call.connectors(&route).await,
        Route::Plugins | Route::PluginConfig(_) | Route::Validate(_) => call.plugins(&route).await,
        Route::Loggers | Route::Logger(_) => call.loggers(&route),
    }
}

/// One request.
struct Call<'a> {
    api: &'a Api,
    method: &'a Method,
    query: Query,
    body: &'a [u8],
    /// What the client called this worker, for a `Location`.
    host: String,
}

impl Call<'_> {
    fn root(&self) -> serde_json::Value {
        serde_json::json!({
            "version": VERSION.0,
            "commit": VERSION.1,
            "kafka_cluster_id": self.api.worker.cluster_id(),
        })
    }
}

/// Query parameters in order.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let decode = |text: &str| route::decode(&text.replace('+', " ")).unwrap_or_default();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self(pairs.collect())
    }

    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn get<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.all(key).next()
    }

    /// Anything but `true` is false, as Java reads it.
    fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn is_json(media: &str) -> bool {
    media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn accepts_json(accept: &str) -> bool {
    let accepted = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(range.as_str(), "" | "*" | "*/*" | "application/*" | "application/json")
    };
    accept.split(',').any(accepted)
}
