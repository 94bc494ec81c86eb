//! Single flows.
