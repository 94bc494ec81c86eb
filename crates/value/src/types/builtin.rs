//! The built-in types by oid: fixed numbers, the same on every Postgres version.

use super::{Class, NUMERIC_TYPMOD_OFFSET, PgType};

/// (oid, oid of its array type, `format_type(oid, NULL)`, class); modifiers narrow the class later.
type Row = (u32, u32, &'static str, Class);

static TYPES: [Row; 75] = [
    (16, 1000, "boolean", Class::Bool),
    (17, 1001, "bytea", Class::Bytea),
    (18, 1002, "\"char\"", Class::Char),
    (19, 1003, "name", Class::Text),
    (20, 1016, "bigint", Class::Int8),
    (21, 1005, "smallint", Class::Int2),
    (22, 1006, "int2vector", Class::Other),
    (23, 1007, "integer", Class::Int4),
    (24, 1008, "regproc", Class::Other),
    (25, 1009, "text", Class::Text),
    (26, 1028, "oid", Class::Oid),
    (27, 1010, "tid", Class::Other),
    (28, 1011, "xid", Class::Oid),
    (29, 1012, "cid", Class::Oid),
    (30, 1013, "oidvector", Class::Other),
    (114, 199, "json", Class::Json),
    (142, 143, "xml", Class::Text),
    (600, 1017, "point", Class::Other),
    (601, 1018, "lseg", Class::Other),
    (602, 1019, "path", Class::Other),
    (603, 1020, "box", Class::Other),
    (604, 1027, "polygon", Class::Other),
    (628, 629, "line", Class::Other),
    (650, 651, "cidr", Class::Cidr),
    (700, 1021, "real", Class::Float4),
    (701, 1022, "double precision", Class::Float8),
    (718, 719, "circle", Class::Other),
    (774, 775, "macaddr8", Class::MacAddr8),
    (790, 791, "money", Class::Money),
    (829, 1040, "macaddr", Class::MacAddr),
    (869, 1041, "inet", Class::Inet),
    (1033, 1034, "aclitem", Class::Other),
    (BPCHAR, 1014, "character", Class::Bpchar),
    (VARCHAR, 1015, "character varying", Class::Text),
    (1082, 1182, "date", Class::Date),
    (TIME, 1183, "time without time zone", Class::Time),
    (TIMESTAMP, 1115, "timestamp without time zone", Class::Timestamp),
    (TIMESTAMPTZ, 1185, "timestamp with time zone", Class::TimestampTz),
    (1186, 1187, "interval", Class::Interval),
    (TIMETZ, 1270, "time with time zone", Class::TimeTz),
    (BIT, 1561, "bit", Class::Bit),
    (VARBIT, 1563, "bit varying", Class::VarBit),
    (NUMERIC, 1231, "numeric", Class::NumericUnbounded),
    (1790, 2201, "refcursor", Class::Text),
    (2202, 2207, "regprocedure", Class::Other),
    (2203, 2208, "regoper", Class::Other),
    (2204, 2209, "regoperator", Class::Other),
    (2205, 2210, "regclass", Class::Other),
    (2206, 2211, "regtype", Class::Other),
    (2950, 2951, "uuid", Class::Uuid),
    (2970, 2949, "txid_snapshot", Class::Other),
    (3220, 3221, "pg_lsn", Class::PgLsn),
    (3614, 3643, "tsvector", Class::Other),
    (3615, 3645, "tsquery", Class::Other),
    (3734, 3735, "regconfig", Class::Other),
    (3769, 3770, "regdictionary", Class::Other),
    (3802, 3807, "jsonb", Class::Jsonb),
    (3904, 3905, "int4range", Class::Other),
    (3906, 3907, "numrange", Class::Other),
    (3908, 3909, "tsrange", Class::Other),
    (3910, 3911, "tstzrange", Class::Other),
    (3912, 3913, "daterange", Class::Other),
    (3926, 3927, "int8range", Class::Other),
    (4072, 4073, "jsonpath", Class::Other),
    (4089, 4090, "regnamespace", Class::Other),
    (4096, 4097, "regrole", Class::Other),
    (4191, 4192, "regcollation", Class::Other),
    (4451, 6150, "int4multirange", Class::Other),
    (4532, 6151, "nummultirange", Class::Other),
    (4533, 6152, "tsmultirange", Class::Other),
    (4534, 6153, "tstzmultirange", Class::Other),
    (4535, 6155, "datemultirange", Class::Other),
    (4536, 6157, "int8multirange", Class::Other),
    (5038, 5039, "pg_snapshot", Class::Other),
    (5069, 271, "xid8", Class::Xid8),
];

const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const TIMETZ: u32 = 1266;
const BIT: u32 = 1560;
const VARBIT: u32 = 1562;
const NUMERIC: u32 = 1700;

/// The length of a character type's modifier counts Postgres' 4-byte header.
const VARHDRSZ: i32 = 4;

pub(super) fn by_oid(oid: u32, typmod: i32) -> Option<PgType> {
    let (scalar, array, name, class) = TYPES.iter().find(|(scalar, array, ..)| *scalar == oid || *array == oid)?;
    if *scalar == oid {
        return Some(PgType::new(oid, typmod, *name, class.clone()));
    }
    let element = PgType::new(*scalar, -1, *name, class.clone());
    let class = Class::Array(Box::new(element));
    Some(PgType::new(*array, typmod, format!("{name}[]"), class))
}

/// `format_type(oid, typmod)` for the modifiers that change what a value may be.
pub(super) fn with_modifier(oid: u32, name: &str, typmod: i32) -> String {
    if typmod < 0 {
        return name.to_owned();
    }
    match oid {
        BPCHAR | VARCHAR if typmod >= VARHDRSZ => format!("{name}({})", typmod - VARHDRSZ),
        BIT | VARBIT => format!("{name}({typmod})"),
        NUMERIC if typmod >= NUMERIC_TYPMOD_OFFSET => match super::numeric_class(typmod) {
            Class::Numeric { precision, scale } => format!("{name}({precision},{scale})"),
            _ => name.to_owned(),
        },
        TIME | TIMETZ | TIMESTAMP | TIMESTAMPTZ => match name.split_once(' ') {
            Some((head, zone)) => format!("{head}({typmod}) {zone}"),
            None => name.to_owned(),
        },
        _ => name.to_owned(),
    }
}
