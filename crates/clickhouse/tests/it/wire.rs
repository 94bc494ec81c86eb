//! What an insert looks like on the wire: the client is pinned, and this is why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::post;
use walhouse_change::Target;

use crate::support::{COPIED_AT, INT8, Place, Script, TEXT, table, write};

type Parameters = BTreeMap<String, String>;
type Seen = Arc<Mutex<Vec<(Parameters, Vec<u8>)>>>;

async fn answer(State(seen): State<Seen>, Query(parameters): Query<Parameters>, body: axum::body::Bytes) -> String {
    if parameters.contains_key("query") {
        if let Ok(mut seen) = seen.lock() {
            seen.push((parameters, body.to_vec()));
        }
        return String::new();
    }
    let sql = String::from_utf8_lossy(&body).into_owned();
    match sql {
        sql if sql.contains("version()") => "{\"version\":\"25.3.1.1\"}\n".to_owned(),
        // an older server, which knows one of the optional settings
        sql if sql.contains("system.settings") => {
            "{\"name\":\"input_format_native_allow_types_conversion\"}\n".to_owned()
        }
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_says_all_that_matters() {
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(post(answer)).with_state(Arc::clone(&seen));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let place = Place::at(&url, "wire");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    let mut sink = place.target.copy_sink(&t, 0).await.unwrap();
    for _ in 0..2 {
        write(&mut sink, Script::default().begin(COPIED_AT).read(&t, &[Some("1"), Some("one")])).await;
    }
    sink.close().await.unwrap();
    serving.abort();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    let (first, second) = (&seen[0].0, &seen[1].0);
    assert_ne!(first["insert_deduplication_token"], second["insert_deduplication_token"]);
    assert_ne!(first["query_id"], second["query_id"]);
    for (parameters, body) in seen.iter() {
        assert!(parameters["query"].starts_with("INSERT INTO `wire`.`t__c"), "{parameters:?}");
        assert!(parameters["query"].ends_with(" FORMAT Native"), "{parameters:?}");
        assert!(parameters["query_id"].starts_with("walhouse-wire-wire-copy-t-"), "{parameters:?}");
        assert_eq!(parameters["query_id"], parameters["log_comment"]);
        let fixed = [
            ("async_insert", "0"),
            ("wait_for_async_insert", "1"),
            ("insert_deduplicate", "1"),
            ("max_insert_threads", "1"),
            ("optimize_on_insert", "0"),
            ("input_format_native_allow_types_conversion", "0"),
        ];
        for (name, value) in fixed {
            assert_eq!(parameters[name], value, "{name}");
        }
        // unknown to this server, so an error there; and nothing is compressed on loopback
        assert!(!parameters.contains_key("deduplicate_insert") && !parameters.contains_key("decompress"));
        // a Native block: 8 columns, 1 row, the first column's name
        assert!(body.starts_with(b"\x08\x01\x02id\x05Int64\x01\0\0\0\0\0\0\0"), "{:?}", &body[..24]);
    }
}

/// Away from loopback blocks are compressed, frame by frame, and still one block each.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_inserts_arrive() {
    let url = walhouse_chdb::testing::shared().url().replace("127.0.0.1", "0.0.0.0");
    let place = Place::at(&url, "compressed");
    let t = table(1, "t", &[("id", INT8), ("v", TEXT)]);
    place.copied(&t, &[]).await;
    let mut sink = place.open(&[&t]).await;
    let mut script = Script::default().begin(200);
    for id in 0..50_000 {
        let v = format!("{id} {}", "text ".repeat(20));
        script = script.insert(&t, &[Some(id.to_string().as_str()), Some(&v)]);
    }
    write(&mut sink, script).await;
    sink.close().await.unwrap();
    assert_eq!(place.ask("SELECT count(), sum(length(v)) FROM view_t_last_rec").await, "50000\t5288890");
    let parts = "SELECT count() FROM system.parts WHERE database = 'compressed' AND table = 't' AND active";
    assert_eq!(place.ask(parts).await, "1");
}
