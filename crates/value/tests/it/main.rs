//! Integration tests against a real Postgres.
