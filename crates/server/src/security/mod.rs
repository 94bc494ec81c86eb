//! Who may ask for what.
//!
//! On a loopback address everybody on this machine may, without a login, as they may read the
//! process' files; the danger there are web pages in a browser on this machine. So a request must
//! name a loopback host ([`host`]), and a change must carry a token that only our own page can
//! read ([`guard`]). On any other address a login and TLS come on top, and a console that lacks
//! them refuses to start ([`Access::check`]) unless the user spelled out that it is meant.
//!
//! Every change is on record ([`Audit`]).

mod access;
mod audit;
mod guard;
mod headers;
mod host;
mod random;
mod sessions;
mod tls;

pub use access::{Access, Allow, Credential, TlsFiles};
pub use audit::AuditEntry;
pub(crate) use audit::{Actor, Audit};
pub(crate) use guard::{COOKIE, Identity, guard};
pub(crate) use headers::set as set_headers;
pub(crate) use random::token as random_token;
pub(crate) use sessions::{LIFETIME as SESSION_LIFETIME, Login, Sessions};
pub(crate) use tls::acceptor;
