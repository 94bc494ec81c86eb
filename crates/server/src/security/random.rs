//! Secrets of a session.

use uuid::Uuid;

/// A secret that nobody guesses: 244 random bits from the operating system, as text.
pub(crate) fn token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
