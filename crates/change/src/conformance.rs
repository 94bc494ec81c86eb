//! The tests of the contracts, written once: every implementation passes all of them.
