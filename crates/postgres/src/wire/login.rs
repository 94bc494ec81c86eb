//! From a connected socket to a session: TLS, startup packet, authentication, the server's parameters.

use std::io::{self, Read, Write};

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::frontend;
use rustls::StreamOwned;

use super::connection::{Connection, Mode};
use super::cursor::Cursor;
use super::socket::{Plain, Socket};
use super::{Malformed, tls};
use crate::config::SslMode;
use crate::endpoint::{Endpoint, Host};
use crate::{Error, Result, Secret};

/// Oldest major version that is understood: the first with Tid Range Scan, `binary` and `messages`.
const OLDEST_VERSION: u32 = 14;

/// Secures the socket as `sslmode` asks; the certificate's hash for channel binding comes with it.
pub(super) fn secure(mut plain: Plain, endpoint: &Endpoint, host: &Host) -> Result<(Socket, Option<Vec<u8>>)> {
    let name = match host {
        Host::Tcp(name) if endpoint.sslmode != SslMode::Disable => name,
        _ => return Ok((Socket::Plain(plain), None)),
    };
    let tls = |what: String| Error::Tls { endpoint: name.clone(), what };
    let broken = |source| Error::broken("ask for TLS", source);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    plain.write_all(&request).map_err(broken)?;
    let mut answer = [0];
    plain.read_exact(&mut answer).map_err(broken)?;
    if answer != [b'S'] {
        return match endpoint.sslmode {
            SslMode::Prefer => Ok((Socket::Plain(plain), None)),
            _ => Err(tls("the server offers no TLS".to_owned())),
        };
    }
    let mut session = tls::client(endpoint, name).map_err(tls)?;
    while session.is_handshaking() {
        session.complete_io(&mut plain).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => tls(error.to_string()),
            _ => broken(error),
        })?;
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let end_point = certificate.and_then(|certificate| tls::server_end_point(certificate));
    Ok((Socket::Tls(Box::new(StreamOwned::new(session, plain))), end_point))
}

/// Sends the startup packet and answers until the session is ready.
pub(super) fn login(
    connection: &mut Connection,
    endpoint: &Endpoint,
    mode: Mode,
    end_point: Option<Vec<u8>>,
) -> Result<()> {
    let options = endpoint.session_options();
    let mut parameters = vec![
        ("user", endpoint.user.as_str()),
        ("database", &endpoint.database),
        ("application_name", &endpoint.application_name),
        ("client_encoding", "UTF8"),
        ("options", &options),
    ];
    if mode == Mode::Replication {
        parameters.push(("replication", "database"));
    }
    let mut out = BytesMut::new();
    frontend::startup_message(parameters, &mut out)
        .map_err(|_| Error::config("a name holds a zero byte", "remove it"))?;
    connection.send(&out)?;

    let attempt = mode.attempt();
    let mut scram = None;
    loop {
        let frame = connection.frame(attempt)?;
        let body = connection.inbox.body(frame);
        match frame.tag {
            b'R' => {
                let request = authentication(body)?;
                let answer = respond(connection, endpoint, request, &mut scram, end_point.as_ref())?;
                connection.send(&answer)?;
            }
            b'S' => {
                let mut cursor = Cursor::new(body, "parameter");
                let (name, value) = (cursor.text()?, cursor.text()?);
                parameter(connection, &name, &value)?;
            }
            b'K' => {
                let mut cursor = Cursor::new(body, "cancel key");
                connection.cancel_key = (cursor.i32()?, cursor.i32()?);
            }
            b'E' => return Err(connection.refused(attempt, frame)),
            b'Z' => return Ok(()),
            _ => {}
        }
    }
}

fn parameter(connection: &mut Connection, name: &str, value: &str) -> Result<()> {
    match name {
        "server_encoding" => connection.sql_ascii = value == "SQL_ASCII",
        "server_version" => {
            let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
            let version = digits.parse().unwrap_or(0);
            if version < OLDEST_VERSION {
                return Err(Error::config(
                    format!("postgres {value} is too old"),
                    format!("use postgres {OLDEST_VERSION} or newer"),
                ));
            }
            connection.version = version;
        }
        _ => {}
    }
    Ok(())
}

/// What the server wants to know.
enum Authentication {
    Ok,
    Cleartext,
    Md5([u8; 4]),
    Sasl { plain: bool, plus: bool },
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    Other(u32),
}

fn authentication(body: &[u8]) -> Result<Authentication, Malformed> {
    let mut cursor = Cursor::new(body, "authentication request");
    Ok(match cursor.u32()? {
        0 => Authentication::Ok,
        3 => Authentication::Cleartext,
        5 => Authentication::Md5(cursor.u32()?.to_be_bytes()),
        10 => {
            let (mut plain, mut plus) = (false, false);
            while !cursor.is_at_end() {
                match cursor.text()?.as_str() {
                    SCRAM_SHA_256 => plain = true,
                    SCRAM_SHA_256_PLUS => plus = true,
                    _ => {}
                }
            }
            Authentication::Sasl { plain, plus }
        }
        11 => Authentication::SaslContinue(cursor.rest().to_vec()),
        12 => Authentication::SaslFinal(cursor.rest().to_vec()),
        other => Authentication::Other(other),
    })
}

/// The bytes to answer with; none when the server goes on by itself.
fn respond(
    connection: &Connection,
    endpoint: &Endpoint,
    request: Authentication,
    scram: &mut Option<ScramSha256>,
    end_point: Option<&Vec<u8>>,
) -> Result<BytesMut> {
    let mut out = BytesMut::new();
    let refused = |source| Error::broken("authenticate", source);
    let password = || password(connection, endpoint);
    match request {
        Authentication::Ok => {}
        Authentication::Cleartext => {
            frontend::password_message(password()?.expose().as_bytes(), &mut out).map_err(refused)?;
        }
        Authentication::Md5(salt) => {
            let hash = md5_hash(endpoint.user.as_bytes(), password()?.expose().as_bytes(), salt);
            frontend::password_message(hash.as_bytes(), &mut out).map_err(refused)?;
        }
        Authentication::Sasl { plain, plus } => {
            let (mechanism, binding) = match end_point {
                Some(hash) if plus => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash.clone())),
                Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
                None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            };
            if !plain && mechanism == SCRAM_SHA_256 {
                return Err(Error::config("the server offers no way of authentication that we know", "use SCRAM"));
            }
            let begun = scram.insert(ScramSha256::new(password()?.expose().as_bytes(), binding));
            frontend::sasl_initial_response(mechanism, begun.message(), &mut out).map_err(refused)?;
        }
        Authentication::SaslContinue(data) => {
            let scram = scram.as_mut().ok_or(Malformed("authentication sequence"))?;
            scram.update(&data).map_err(refused)?;
            frontend::sasl_response(scram.message(), &mut out).map_err(refused)?;
        }
        Authentication::SaslFinal(data) => {
            scram.as_mut().ok_or(Malformed("authentication sequence"))?.finish(&data).map_err(refused)?;
        }
        Authentication::Other(number) => {
            let what = format!("the server asks for authentication method {number}, which is not supported");
            return Err(Error::config(what, "use scram-sha-256, md5, password or trust in pg_hba.conf"));
        }
    }
    Ok(out)
}

fn password(connection: &Connection, endpoint: &Endpoint) -> Result<Secret> {
    let (host, port) = &connection.place;
    endpoint.password(host, *port)?.ok_or_else(|| {
        let what = format!("postgres asks for the password of {:?}, and none is given", endpoint.user);
        Error::config(what, "give it by PGPASSWORD, ~/.pgpass or password_file")
    })
}
