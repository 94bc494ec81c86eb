//! Asks Postgres for the text and the binary form of the same value.

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use futures_util::TryStreamExt;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, SimpleQueryMessage};
use walhouse_lab::postgres::Server;
use walhouse_value::{CatalogType, PgType, SESSION_SETTINGS};

/// A database of its own, with the session settings forced.
pub(crate) struct Oracle {
    pub(crate) client: Client,
    pub(crate) version: u32,
}

/// One value in both forms; `None` is NULL.
pub(crate) struct Pair {
    pub(crate) binary: Option<Vec<u8>>,
    pub(crate) text: Option<Vec<u8>>,
}

/// A value in its binary form, of whatever type the parameter has.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl ToSql for Raw {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Oracle {
    /// `database` must be unique among the tests of this binary.
    pub(crate) async fn start(database: &str) -> Result<Self> {
        let url = Server::shared().await?.create_database(database).await?;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        for (name, value) in SESSION_SETTINGS {
            // names are found in the default schema; how they print is not under test here
            if name != "search_path" {
                client.batch_execute(&format!("SET {name} = '{value}'")).await?;
            }
        }
        let version = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?;
        let version = u32::try_from(version.get::<_, i32>(0))?;
        Ok(Self { client, version })
    }

    /// Creates a table `name` with one column `v` of the type and resolves the type from the catalog.
    pub(crate) async fn column(&self, name: &str, sql_type: &str) -> Result<PgType> {
        let create = format!("CREATE TABLE {name} (id int GENERATED ALWAYS AS IDENTITY, v {sql_type})");
        self.client.batch_execute(&create).await.with_context(|| create.clone())?;
        let sql = "SELECT atttypid, atttypmod FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = 'v'";
        let row = self.client.query_one(sql, &[&name]).await?;
        self.resolve(row.get(0), row.get(1)).await
    }

    /// Resolves a type as a catalog reader does, domains and elements first.
    pub(crate) async fn resolve(&self, oid: u32, typmod: i32) -> Result<PgType> {
        let sql = "SELECT format_type(oid, NULL), typtype, typelem, typcategory = 'A' AND typelem <> 0, typbasetype, typtypmod \
                   FROM pg_type WHERE oid = $1";
        let row = self.client.query_one(sql, &[&oid]).await?;
        let (typelem, array, typbasetype) = (row.get::<_, u32>(2), row.get::<_, bool>(3), row.get::<_, u32>(4));
        let element = match array {
            true => Some(Box::pin(self.resolve(typelem, -1)).await?),
            false => None,
        };
        let base = match typbasetype {
            0 => None,
            base => Some(Box::pin(self.resolve(base, row.get(5))).await?),
        };
        Ok(PgType::from_catalog(CatalogType {
            oid,
            typmod,
            name: row.get(0),
            typtype: u8::try_from(row.get::<_, i8>(1))?,
            element,
            base,
        }))
    }

    /// `format_type` of the base type and modifier.
    pub(crate) async fn format_type(&self, ty: &PgType) -> Result<String> {
        let typmod = Some(ty.typmod).filter(|typmod| *typmod >= 0);
        let row = self.client.query_one("SELECT format_type($1, $2)", &[&ty.base_oid(), &typmod]).await?;
        Ok(row.get(0))
    }

    /// Every value of the table's column in both forms. `format` prints through the output function;
    /// a cast to text would not (inet, boolean and character(n) have casts of their own).
    pub(crate) async fn pairs(&self, table: &str) -> Result<Vec<Pair>> {
        let sql = format!(
            "COPY (SELECT v, CASE WHEN v IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', v) END \
             FROM {table} ORDER BY id) TO STDOUT (FORMAT binary)"
        );
        self.copy(&sql).await
    }

    /// The text form alone, for types that have no binary form.
    pub(crate) async fn texts(&self, table: &str) -> Result<Vec<String>> {
        let rows = self.client.simple_query(&format!("SELECT v FROM {table} WHERE v IS NOT NULL")).await?;
        let text = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(text).collect())
    }

    async fn copy(&self, sql: &str) -> Result<Vec<Pair>> {
        let stream = self.client.copy_out(sql).await.with_context(|| sql.to_owned())?;
        let all = stream.try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        });
        let all = all.await?;
        let mut rest = all.get(19..).context("copy header")?;
        let mut pairs = Vec::new();
        loop {
            let (count, tail) = rest.split_first_chunk::<2>().context("tuple")?;
            rest = tail;
            match i16::from_be_bytes(*count) {
                -1 => return Ok(pairs),
                count => ensure!(count == 2, "two columns were asked for"),
            }
            let binary = field(&mut rest)?;
            let text = field(&mut rest)?;
            pairs.push(Pair { binary, text });
        }
    }
}

fn field(rest: &mut &[u8]) -> Result<Option<Vec<u8>>> {
    let (length, tail) = rest.split_first_chunk::<4>().context("field length")?;
    *rest = tail;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        return Ok(None);
    };
    let (bytes, tail) = rest.split_at_checked(length).context("field")?;
    *rest = tail;
    Ok(Some(bytes.to_vec()))
}
