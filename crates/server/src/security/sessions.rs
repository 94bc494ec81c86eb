//! Who has logged in with the password, and how often somebody tried in vain.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Credential;
use super::random::token;

/// A working day; then the password is asked for again.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// More people than that do not look at one console; the oldest session makes room.
const MOST: usize = 1000;
/// In vain within [`TRIES_WINDOW`]; then everybody waits. It slows a guesser to 20 a minute, and
/// the password is not asked for where a session exists.
const TRIES: usize = 10;
const TRIES_WINDOW: Duration = Duration::from_secs(30);

/// The sessions, by the digest of their secret.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: HashMap<String, Session>,
    failures: VecDeque<Instant>,
}

#[derive(Debug)]
struct Session {
    secret: Credential,
    csrf: String,
    until: Instant,
}

/// What a login attempt gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// The cookie's value.
    Open(String),
    /// Not the password.
    Wrong,
    /// Too many attempts; nothing was compared.
    Wait,
}

impl Sessions {
    pub(crate) fn log_in(&self, password: &Credential, attempt: &str, now: Instant) -> Login {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.failures.front().is_some_and(|&at| now - at > TRIES_WINDOW) {
            inner.failures.pop_front();
        }
        if inner.failures.len() >= TRIES {
            return Login::Wait;
        }
        if !password.is(attempt) {
            inner.failures.push_back(now);
            return Login::Wrong;
        }
        inner.open.retain(|_, session| session.until > now);
        if inner.open.len() >= MOST {
            let oldest = inner.open.iter().min_by_key(|(_, session)| session.until).map(|(id, _)| id.clone());
            oldest.and_then(|id| inner.open.remove(&id));
        }
        let (id, secret) = (token(), token());
        let session = Session { secret: Credential::of(&secret), csrf: token(), until: now + LIFETIME };
        inner.open.insert(id.clone(), session);
        Login::Open(format!("{id}.{secret}"))
    }

    /// The CSRF token of the session with this cookie; none when there is no such session.
    pub(crate) fn csrf(&self, cookie: &str) -> Option<String> {
        self.csrf_at(cookie, Instant::now())
    }

    fn csrf_at(&self, cookie: &str, now: Instant) -> Option<String> {
        let (id, secret) = cookie.split_once('.')?;
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = inner.open.get(id)?;
        (session.until > now && session.secret.is(secret)).then(|| session.csrf.clone())
    }

    pub(crate) fn log_out(&self, cookie: &str) {
        if self.csrf(cookie).is_some()
            && let Some((id, _)) = cookie.split_once('.')
        {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).open.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(sessions: &Sessions, password: &Credential, now: Instant) -> String {
        match sessions.log_in(password, "right", now) {
            Login::Open(cookie) => cookie,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_ends_by_itself_and_by_logging_out() {
        let (sessions, password, now) = (Sessions::default(), Credential::of("right"), Instant::now());
        let (first, second) = (open(&sessions, &password, now), open(&sessions, &password, now));
        assert_ne!(sessions.csrf(&first).unwrap(), sessions.csrf(&second).unwrap());
        let (id, _) = first.split_once('.').unwrap();
        for forged in ["", ".", id, &format!("{id}."), &format!("{id}.{}", second.split_once('.').unwrap().1)] {
            assert_eq!(sessions.csrf(forged), None, "{forged}");
        }
        sessions.log_out(&first);
        assert_eq!(sessions.csrf(&first), None);
        assert_eq!(sessions.csrf_at(&second, now + LIFETIME + Duration::from_secs(1)), None);
    }

    #[test]
    fn a_guesser_is_slowed_down() {
        let (sessions, password, now) = (Sessions::default(), Credential::of("right"), Instant::now());
        for _ in 0..TRIES {
            assert_eq!(sessions.log_in(&password, "wrong", now), Login::Wrong);
        }
        assert_eq!(sessions.log_in(&password, "right", now), Login::Wait);
        open(&sessions, &password, now + TRIES_WINDOW + Duration::from_secs(1));
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let (sessions, password, now) = (Sessions::default(), Credential::of("right"), Instant::now());
        let first = open(&sessions, &password, now);
        for number in 1..=MOST as u64 {
            open(&sessions, &password, now + Duration::from_millis(number));
        }
        assert_eq!(sessions.csrf(&first), None);
    }
}
