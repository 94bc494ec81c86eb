//! A connection made a request's own: its database, its settings, its id.
//!
//! A connection outside a session is thrown away afterwards. A session's is given back as it was: what came by URL
//! is read before and restored after, what the statement itself changed (SET, USE) stays.

use crate::connection::Connection;
use crate::execute::{Server, assignment, backquote};
use crate::failure::Failure;
use crate::http::Request;
use crate::kill::quote;
use crate::options::Access;
use crate::session::{Asked, Key};

/// A connection on loan to one request.
pub(crate) struct Lease<'s> {
    server: &'s Server,
    connection: Option<Connection>,
    session: Option<(Key, Asked)>,
    restore: Vec<String>,
    readonly: Option<String>,
}

impl<'s> Lease<'s> {
    /// Takes the session's connection, or a new one, and applies the request to it.
    pub(crate) fn take(server: &'s Server, request: &Request) -> Result<Lease<'s>, Failure> {
        let session = request.session.clone().map(|asked| ((request.user.name.clone(), asked.id.clone()), asked));
        let connection = match &session {
            Some((key, asked)) => server.sessions.take(key, asked, &server.connector)?,
            None => server.connector.open()?,
        };
        let mut lease = Lease { server, connection: Some(connection), session, restore: Vec::new(), readonly: None };
        lease.use_database(request)?;
        lease.apply_settings(request)?;
        Ok(lease)
    }

    /// The connection.
    ///
    /// # Panics
    /// Never: it is there until the lease is dropped.
    #[expect(clippy::expect_used, reason = "the connection leaves the lease in Drop only")]
    pub(crate) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("the connection is there until drop")
    }

    fn use_database(&mut self, request: &Request) -> Result<(), Failure> {
        let wanted = match &request.user.access {
            Access::ReadOnly { database } => {
                if request.database.as_ref().is_some_and(|asked| asked != database && asked != "default") {
                    return Err(Failure::denied(format_args!(
                        "{} may use database {database} only",
                        request.user.name
                    )));
                }
                Some(database)
            }
            Access::Full => request.database.as_ref(),
        };
        let Some(wanted) = wanted else { return Ok(()) };
        if self.session.is_some() {
            let before = self.connection().query(b"SELECT currentDatabase()", "TSVRaw", &[])?.0;
            let before = String::from_utf8_lossy(&before).trim_end_matches('\n').to_owned();
            if &before == wanted {
                return Ok(());
            }
            self.restore.push(format!("USE {}", backquote(&before)));
        } else if wanted == "default" {
            return Ok(());
        }
        self.connection().run(&format!("USE {}", backquote(wanted))).map(|_| ())
    }

    fn apply_settings(&mut self, request: &Request) -> Result<(), Failure> {
        let mut assignments = Vec::with_capacity(request.settings.len() + 1);
        for (name, value) in &request.settings {
            if name == "readonly" {
                self.readonly = Some(String::from_utf8_lossy(value).into_owned());
                continue;
            }
            assignments.push(assignment(name, value)?);
        }
        if self.session.is_some() && !assignments.is_empty() {
            self.remember(request)?;
        }
        assignments.push(format!("log_comment = {}", quote(request.query_id.as_bytes())));
        self.connection().run(&format!("SET {}", assignments.join(", "))).map(|_| ())
    }

    /// Notes the values that the request's settings replace.
    fn remember(&mut self, request: &Request) -> Result<(), Failure> {
        let names: Vec<String> = request.settings.iter().map(|(name, _)| quote(name.as_bytes())).collect();
        let sql = format!("SELECT name, changed, value FROM system.settings WHERE name IN ({})", names.join(", "));
        let rows = self.connection().run(&sql)?;
        // a TSV value is escaped as an SQL string is
        let before: Vec<String> = rows
            .lines()
            .filter_map(|row| {
                let mut columns = row.splitn(3, '\t');
                let (name, changed, value) = (columns.next()?, columns.next()?, columns.next()?);
                Some(if changed == "1" { format!("{name} = '{value}'") } else { format!("{name} = DEFAULT") })
            })
            .collect();
        if !before.is_empty() {
            self.restore.push(format!("SET {}", before.join(", ")));
        }
        Ok(())
    }

    /// Sets `readonly`, last, since it cannot be taken back: 2 when the request may only read (settings stay
    /// possible, as clients send them with every query). A session's connection is used again, so there the check of
    /// the statement's class stands alone.
    pub(crate) fn restrict(&mut self, limited: bool) -> Result<(), Failure> {
        let asked = self.readonly.take();
        if self.session.is_some() {
            return Ok(());
        }
        let value = match asked.as_deref() {
            Some("0") | None if limited => "2".to_owned(),
            Some(value) => value.to_owned(),
            None => return Ok(()),
        };
        self.connection().run(&format!("SET {}", assignment("readonly", value.as_bytes())?)).map(|_| ())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let (Some(mut connection), Some((key, mut asked))) = (self.connection.take(), self.session.take()) else {
            return;
        };
        for statement in self.restore.drain(..).rev() {
            if let Err(failure) = connection.run(&statement) {
                tracing::warn!(code = failure.code, "a session could not be restored, it ends");
                asked.close = true;
            }
        }
        self.server.sessions.give_back(&key, &asked, connection);
    }
}
