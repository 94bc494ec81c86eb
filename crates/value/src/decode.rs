//! One decoder per class of types, each reading the text and the binary form.
//!
//! Every decoder takes the [`Wire`](crate::Wire) value and dispatches on its kind. SQL NULL and an
//! unchanged TOAST value have no decoded form: callers look at the kind first, and the decoders
//! answer [`Invalid`](crate::Invalid) for them.

mod array;
mod bytes;
mod calendar;
mod datetime;
mod interval;
mod net;
mod numeric;
mod scalar;
mod scan;

pub use array::{Array, Dimension, MAX_DIMENSIONS, array};
pub use bytes::{bit_string, bytea, char, jsonb_bytes, text_bytes};
pub use calendar::{DAYS_1970_TO_2000, civil_from_days, days_from_civil};
pub use datetime::{Date, TimeTz, Timestamp, date, time, timestamp, timetz};
pub use interval::{Interval, interval};
pub use net::{Family, Inet, inet, macaddr, macaddr8};
pub use numeric::{Decimal, Numeric, numeric, numeric_to_i128, numeric_to_i256};
pub use scalar::{bool, float4, float8, int2, int4, int8, money, oid, pg_lsn, uuid, xid8};

pub(crate) use datetime::{MICROS_PER_DAY, MICROS_PER_SECOND};
pub(crate) use numeric::Digits;
