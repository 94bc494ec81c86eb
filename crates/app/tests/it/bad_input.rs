//! What a user gets wrong, one thing per test: the line that says so, the exit code, and that a second run works once
//! it is mended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use walhouse_lab::postgres::{Server, connect};

use crate::harness::{LoneEngine, Pipe, READY, TABLE, settings};

/// A port or a folder that is held is waited for as long.
const HELD: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password() {
    let server = Server::builder().password("right-secret").start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong-secret\n").unwrap();
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", server.port());
    let lines = settings("password", "*.*") + &format!("password_file = {file:?}\n");
    let mut pipe = Pipe::by(server.url(), &url, "password", TABLE, |builder| builder.postgres(&lines)).await;
    pipe.refused(3, &["password authentication failed", "28P01", "to mend it", "password_file"]).await;
    assert!(!pipe.house.log().contains("-secret"), "{}", pipe.house.log_tail());

    std::fs::write(&file, "right-secret\n").unwrap();
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
    assert!(!pipe.house.log().contains("-secret"), "{}", pipe.house.log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_replication() {
    let server = Server::shared().await.unwrap();
    let url = server.create_database("bad_role").await.unwrap();
    let sql = format!(
        "CREATE ROLE \"Plain\" LOGIN; GRANT CREATE ON DATABASE bad_role TO \"Plain\"; {TABLE}; \
        ALTER TABLE t OWNER TO \"Plain\""
    );
    let as_role = url.replace("postgres@", "Plain@");
    let mut pipe = Pipe::by(url, &as_role, "bad_role", &sql, |builder| builder).await;
    pipe.refused(3, &["replication", "42501", "to mend it: ALTER ROLE \"Plain\" REPLICATION"]).await;
    pipe.execute("ALTER ROLE \"Plain\" REPLICATION").await;
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_level_that_is_not_logical() {
    let mut server = Server::builder().setting("wal_level", "replica").start().await.unwrap();
    let mut pipe = Pipe::on(server.url(), "level", TABLE, |builder| builder).await;
    pipe.refused(3, &["wal_level is replica", "to mend it: ALTER SYSTEM SET wal_level = logical", "restart"]).await;
    server.set("wal_level", "logical");
    server.restart().await.unwrap();
    pipe.source = connect(&server.url()).await.unwrap();
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_free_slot() {
    let server = Server::builder().setting("max_replication_slots", "1").start().await.unwrap();
    let mut pipe = Pipe::on(server.url(), "slots", TABLE, |builder| builder).await;
    pipe.execute("SELECT pg_create_physical_replication_slot('taken')").await;
    pipe.refused(3, &["slot", "53400", "to mend it: raise max_replication_slots", "drop an unused slot"]).await;
    pipe.execute("SELECT pg_drop_replication_slot('taken')").await;
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

/// Senders come and go, so this one is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn no_free_sender_is_waited_for() {
    let mut server = Server::builder().setting("max_wal_senders", "0").start().await.unwrap();
    let mut pipe = Pipe::on(server.url(), "senders", TABLE, |builder| builder).await;
    pipe.house.start().unwrap();
    pipe.unready(&["waiting for the source", "53300", "to mend it: raise max_wal_senders"]).await;
    assert_eq!(pipe.status()["state"], "waiting");
    server.set("max_wal_senders", "10");
    server.restart().await.unwrap();
    pipe.source = connect(&server.url()).await.unwrap();
    pipe.house.ready(READY).await.unwrap();
    pipe.until_equal(&["t"]).await;
}

/// Such a table is stopped, the others go on, and it is not published: its updates work as before.
#[tokio::test(flavor = "multi_thread")]
async fn tables_without_a_usable_identity_are_left_out() {
    let sql = format!(
        "{TABLE}; CREATE TABLE bare (id int NOT NULL, v text); INSERT INTO bare VALUES (1, 'value-of-a-row');
        CREATE TABLE nothing (id int PRIMARY KEY, v text); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
        INSERT INTO nothing VALUES (1, 'value-of-a-row')"
    );
    let mut pipe = Pipe::start("bad_identity", &sql).await;
    pipe.execute("UPDATE bare SET v = 'a'; UPDATE nothing SET v = 'a'; UPDATE t SET v = 'a'").await;
    pipe.until_equal(&["t"]).await;
    let (code, body) = pipe.house.get("/ready").await.unwrap();
    let ready: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200, "{body}");
    let stopped: Vec<&str> =
        ready["stopped"].as_array().unwrap().iter().map(|table| table["error"].as_str().unwrap()).collect();
    assert!(stopped[0].contains("table public.bare") && stopped[0].contains("ADD PRIMARY KEY"), "{body}");
    assert!(stopped[1].contains("table public.nothing") && stopped[1].contains("REPLICA IDENTITY DEFAULT"), "{body}");
    let published = "SELECT string_agg(tablename, ',') FROM pg_publication_tables WHERE pubname = 'bad_identity'";
    assert_eq!(pipe.source.query_one(published, &[]).await.unwrap().get::<_, String>(0), "t");
    let log = pipe.house.log();
    for table in ["public.bare", "public.nothing"] {
        assert_eq!(log.lines().filter(|line| line.contains(table)).count(), 1, "one line for {table}: {log}");
    }

    pipe.house.terminate(READY).await.unwrap();
    pipe.execute("ALTER TABLE bare ADD PRIMARY KEY (id); ALTER TABLE nothing REPLICA IDENTITY DEFAULT").await;
    pipe.run().await;
    pipe.execute("UPDATE bare SET v = 'b'; UPDATE nothing SET v = 'b'").await;
    pipe.until_equal(&["t", "bare", "nothing"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_else_in_clickhouse_is_left_alone() {
    let mut pipe = Pipe::start("bad_foreign", TABLE).await;
    pipe.clickhouse().query("CREATE TABLE other (x String) ENGINE = MergeTree ORDER BY x").execute().await.unwrap();
    pipe.clickhouse().query("INSERT INTO other VALUES ('mine')").execute().await.unwrap();
    pipe.house.terminate(READY).await.unwrap();
    pipe.execute("CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other VALUES (1, 'value-of-a-row')")
        .await;
    pipe.run().await;
    pipe.execute("INSERT INTO t VALUES (2, 'b'); UPDATE other SET v = 'c'").await;
    pipe.until_equal(&["t"]).await;
    let status = pipe.status();
    let error = status["tables"][0]["error"].as_str().unwrap();
    assert!(error.contains("ClickHouse has a table default.other already"), "{error}");
    assert!(error.contains("[tables.\"public.other\"] name"), "{error}");
    assert_eq!(pipe.target("SELECT x FROM other").await, "mine\n");

    pipe.clickhouse().query("RENAME TABLE other TO kept").execute().await.unwrap();
    pipe.house.terminate(READY).await.unwrap();
    pipe.run().await;
    pipe.until_equal(&["t", "other"]).await;
    assert_eq!(pipe.target("SELECT x FROM kept").await, "mine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_named_and_not_there() {
    let configure = |builder: walhouse_lab::house::Builder| builder.postgres(&settings("bad_table", "public.orders"));
    let mut pipe = Pipe::prepare("bad_table", TABLE, configure).await;
    pipe.refused(3, &["public.orders", "tables = ["]).await;
    pipe.execute("CREATE TABLE orders (id int PRIMARY KEY)").await;
    pipe.run().await;
    pipe.until_equal(&["orders"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_s_port_is_waited_for() {
    let mut pipe = Pipe::prepare("bad_console", TABLE, |builder| builder).await;
    let holder = std::net::TcpListener::bind(pipe.house.console_url().trim_start_matches("http://")).unwrap();
    pipe.house.start().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(pipe.house.log().contains("in use, waiting for it"), "{}", pipe.house.log_tail());
    drop(holder);
    pipe.house.ready(READY).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_s_port_is_in_use() {
    let mut pipe = Pipe::prepare("bad_port", TABLE, |builder| builder).await;
    let address = pipe.house.clickhouse_url().trim_start_matches("http://").to_owned();
    let holder = std::net::TcpListener::bind(&address).unwrap();
    let began = Instant::now();
    pipe.house.start().unwrap();
    pipe.unready(&["starting"]).await;
    pipe.ends(1, &[&address, "in use", "choose another port"]).await;
    assert!(began.elapsed() >= HELD, "{:?}", began.elapsed());
    assert!(pipe.house.log().contains("in use, waiting for it"), "{}", pipe.house.log());
    drop(holder);
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_s_folder_is_held_by_another_process() {
    let mut pipe = Pipe::prepare("bad_folder", TABLE, |builder| builder).await;
    let folder = pipe.house.folder().join("engine");
    let holder = LoneEngine::start(&folder);
    let began = Instant::now();
    pipe.refused(1, &[folder.to_str().unwrap(), "held by another process", "stop it or choose another folder"]).await;
    assert!(began.elapsed() >= HELD, "{:?}", began.elapsed());
    assert!(pipe.house.log().contains("waiting for it"), "{}", pipe.house.log());
    drop(holder);
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

/// Where the tests' own library is.
fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("WALHOUSE_LIBCHDB").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| std::env::home_dir().unwrap().join(".cache")).join("walhouse/libchdb");
    let mut versions = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path().join("libchdb.so"));
    versions.find(|path| path.exists()).unwrap()
}

async fn refuses_library(name: &str, make: impl FnOnce(&Path), reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libchdb.so");
    make(&file);
    let configure =
        |builder: walhouse_lab::house::Builder| builder.environment("WALHOUSE_LIBCHDB", file.to_str().unwrap());
    let mut pipe = Pipe::prepare(name, TABLE, configure).await;
    let remedy = "point WALHOUSE_LIBCHDB at a libchdb.so, or unset it";
    pipe.refused(1, &[file.to_str().unwrap(), "is not a usable libchdb", reason, remedy]).await;
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(library(), &file).unwrap();
    pipe.run().await;
    pipe.until_equal(&["t"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_is_garbage() {
    refuses_library("bad_garbage", |file| std::fs::write(file, "garbage").unwrap(), "not a shared library").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_is_torn() {
    let torn = |file: &Path| {
        let mut whole = std::fs::File::open(library()).unwrap();
        let mut part = std::fs::File::create(file).unwrap();
        std::io::copy(&mut std::io::Read::take(&mut whole, 1 << 20), &mut part).unwrap();
    };
    refuses_library("bad_torn", torn, "it is torn: it has 1048576 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_is_another() {
    let another = |file: &Path| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let libc = maps.lines().filter_map(|line| line.split_whitespace().last()).find(|path| path.contains("libc.so"));
        std::fs::copy(libc.unwrap(), file).unwrap();
    };
    refuses_library("bad_library", another, "it has no chdb_").await;
}

/// A small disk of its own.
struct Disk {
    folder: tempfile::TempDir,
    mounted: PathBuf,
}

impl Disk {
    /// None where mounting is not permitted.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().join("engine");
        std::fs::create_dir(&mounted).unwrap();
        let options = format!("size={size},mode=0755");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&mounted).output();
        match output {
            Ok(output) if output.status.success() => Some(Self { folder, mounted }),
            Ok(output) => {
                eprintln!("skipped, no mount: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped, no mount: {error}");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.mounted).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.mounted).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let Some(disk) = Disk::mount("64m") else { return };
    let mut pipe = Pipe::prepare("bad_disk", TABLE, |builder| builder.folder(disk.folder.path())).await;
    pipe.run().await;
    for id in 0..20 {
        let text = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 2000) WHERE n > 0)";
        let sql = format!("INSERT INTO t SELECT 100 + {id} * 100 + n, {text} FROM generate_series(1, 100) n");
        pipe.execute(&sql).await;
    }
    pipe.unready(&["waiting for the target", "disk", "to mend it"]).await;
    // An engine that answers and takes nothing is not taken for one that is well again.
    for _ in 0..20 {
        assert_eq!(pipe.house.get("/ready").await.unwrap().0, 503);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(pipe.status()["state"], "waiting");
    disk.resize("1g");
    pipe.house.ready(READY).await.unwrap();
    pipe.until_equal(&["t"]).await;
    let log = pipe.house.log();
    assert_eq!(log.matches("live again").count(), 1, "{log}");
}
