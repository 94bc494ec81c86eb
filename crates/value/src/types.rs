//! Resolved column types: what the catalog says, reduced to what a decoder must know.
//!
//! A [`PgType`] is built once per column and relation, never per value. [`Class`] answers "which
//! decoder"; domains are resolved to their base, arrays carry their element type, and a type this
//! crate has no decoder for is [`Class::Other`], which is text only and never an error.

mod builtin;

/// A resolved column type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgType {
    /// The declared type's oid (a domain's own oid for a domain).
    pub oid: u32,
    /// The type modifier in force (a domain's, when the column has none); -1 for none.
    pub typmod: i32,
    /// The declared type's name, as `format_type(oid, NULL)` says it.
    pub name: String,
    /// Which decoder reads its values.
    pub class: Class,
    /// The base type below all domains; `None` when the type is no domain.
    pub base: Option<Box<PgType>>,
}

/// The families of types that share one wire form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `oid`, `xid`, `cid`: unsigned 32 bits.
    Oid,
    /// `xid8`: unsigned 64 bits.
    Xid8,
    /// `pg_lsn`: unsigned 64 bits, text `16/B374D848`.
    PgLsn,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric(precision, scale)`; the scale is -1000..=1000 and may exceed the precision.
    Numeric {
        /// Significant digits, 1..=1000.
        precision: u16,
        /// Digits after the point; negative rounds to tens, hundreds, ...
        scale: i16,
    },
    /// `numeric` without a modifier: any scale per value.
    NumericUnbounded,
    /// `money`: minor units.
    Money,
    /// Types whose binary form is their text: `text`, `varchar`, `name`, `xml`, `citext`, ...
    Text,
    /// `character(n)`, padded with spaces in both forms.
    Bpchar,
    /// `"char"`: one byte of any value.
    Char,
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `time with time zone`
    TimeTz,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `interval`
    Interval,
    /// `json`: text verbatim in both forms.
    Json,
    /// `jsonb`: a version byte and text in binary.
    Jsonb,
    /// `inet`
    Inet,
    /// `cidr`
    Cidr,
    /// `macaddr`
    MacAddr,
    /// `macaddr8`
    MacAddr8,
    /// `bit(n)`
    Bit,
    /// `bit varying(n)`
    VarBit,
    /// An enum: the label in both forms.
    Enum,
    /// A true array; dimensions belong to the value, not to the type.
    Array(Box<PgType>),
    /// Everything else: only its text is understood.
    Other,
}

/// What the catalog knows of one column's type, the input of [`PgType::from_catalog`].
#[derive(Clone, Debug)]
pub struct CatalogType {
    /// `pg_type.oid`.
    pub oid: u32,
    /// The column's `atttypmod`; for a type reached through `typbasetype` the domain's `typtypmod`.
    pub typmod: i32,
    /// `format_type(oid, NULL)`.
    pub name: String,
    /// `pg_type.typtype`: `b` base, `c` composite, `d` domain, `e` enum, `m` multirange, `p` pseudo, `r` range.
    pub typtype: u8,
    /// The resolved `typelem` of a true array (`typcategory = 'A' AND typelem <> 0`; a domain over an
    /// array has the category alone, a point the element alone), with typmod -1; else `None`.
    pub element: Option<PgType>,
    /// The resolved `typbasetype` of a domain, with the domain's `typtypmod`; else `None`.
    pub base: Option<PgType>,
}

impl PgType {
    /// A type that is no domain.
    pub fn new(oid: u32, typmod: i32, name: impl Into<String>, class: Class) -> Self {
        Self { oid, typmod, name: name.into(), class: class.with_typmod(typmod), base: None }
    }

    /// The type of a built-in oid, arrays of built-in types included; `None` for any other oid.
    pub fn builtin(oid: u32, typmod: i32) -> Option<Self> {
        builtin::by_oid(oid, typmod)
    }

    /// Resolves a catalog row: built-in oids by number, domains to their base, arrays by their
    /// element, enums; everything else becomes [`Class::Other`].
    pub fn from_catalog(row: CatalogType) -> Self {
        if let Some(known) = Self::builtin(row.oid, row.typmod) {
            return known;
        }
        match (row.typtype, row.base, row.element) {
            (b'd', Some(base), _) => Self::domain(row.oid, row.typmod, row.name, base),
            (b'b', _, Some(element)) => {
                let class = Class::Array(Box::new(element));
                Self::new(row.oid, row.typmod, row.name, class)
            }
            (b'e', _, _) => Self::new(row.oid, row.typmod, row.name, Class::Enum),
            (b'b', _, _) if is_citext(&row.name) => Self::new(row.oid, row.typmod, row.name, Class::Text),
            _ => Self::new(row.oid, row.typmod, row.name, Class::Other),
        }
    }

    fn domain(oid: u32, typmod: i32, name: String, base: PgType) -> Self {
        let base = match base.base {
            Some(deeper) => *deeper,
            None => base,
        };
        let base = base.with_typmod(typmod);
        Self { oid, typmod: base.typmod, name, class: base.class.clone(), base: Some(Box::new(base)) }
    }

    /// The type without its domains.
    pub fn base(&self) -> &PgType {
        self.base.as_deref().unwrap_or(self)
    }

    /// The base type as SQL, modifier included: `numeric(10,2)`, `character varying(20)[]`.
    pub fn sql_type(&self) -> String {
        let base = self.base();
        match &base.class {
            Class::Array(element) => format!("{}[]", element.sql_type()),
            _ => builtin::with_modifier(base.base_oid(), &base.name, base.typmod),
        }
    }

    /// The oid below all domains.
    pub fn base_oid(&self) -> u32 {
        self.base().oid
    }

    /// Whether the decoders and the renderer read this type's binary form. Ask Postgres for binary
    /// only where this holds; the text form is read for every type.
    pub fn binary_decodable(&self) -> bool {
        match &self.class {
            Class::Array(element) => element.binary_decodable(),
            Class::Other => false,
            _ => true,
        }
    }

    /// Applies a column's modifier to a type resolved without one; -1 changes nothing.
    fn with_typmod(mut self, typmod: i32) -> Self {
        if typmod >= 0 {
            self.typmod = typmod;
            self.class = self.class.with_typmod(typmod);
        }
        self
    }
}

impl Class {
    /// A fixed name of the class for errors and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Xid8 => "xid8",
            Self::PgLsn => "pg_lsn",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric { .. } | Self::NumericUnbounded => "numeric",
            Self::Money => "money",
            Self::Text => "text",
            Self::Bpchar => "character",
            Self::Char => "\"char\"",
            Self::Bytea => "bytea",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Time => "time",
            Self::TimeTz => "timetz",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Interval => "interval",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::MacAddr => "macaddr",
            Self::MacAddr8 => "macaddr8",
            Self::Bit => "bit",
            Self::VarBit => "varbit",
            Self::Enum => "enum",
            Self::Array(_) => "array",
            Self::Other => "other",
        }
    }

    /// Narrows the class by a modifier: numeric gets its precision, an array passes it to its
    /// element (a domain element keeps its own).
    fn with_typmod(self, typmod: i32) -> Self {
        match self {
            Self::NumericUnbounded => numeric_class(typmod),
            Self::Array(element) if typmod >= 0 && element.base.is_none() => {
                Self::Array(Box::new(element.with_typmod(typmod)))
            }
            other => other,
        }
    }
}

/// Postgres keeps `numeric(p,s)` as `((p << 16) | (s & 0x7ff)) + 4` (VARHDRSZ).
const NUMERIC_TYPMOD_OFFSET: i32 = 4;

fn numeric_class(typmod: i32) -> Class {
    if typmod < NUMERIC_TYPMOD_OFFSET {
        return Class::NumericUnbounded;
    }
    let packed = typmod - NUMERIC_TYPMOD_OFFSET;
    Class::Numeric {
        precision: ((packed >> 16) & 0xffff) as u16,
        // sign-extends the low 11 bits
        scale: (((packed & 0x7ff) ^ 0x400) - 0x400) as i16,
    }
}

/// `citext` is an extension's type without a fixed oid; its binary form is its text.
fn is_citext(name: &str) -> bool {
    name == "citext" || name.ends_with(".citext")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(oid: u32, typmod: i32, typtype: u8) -> CatalogType {
        CatalogType { oid, typmod, name: "x".into(), typtype, element: None, base: None }
    }

    #[test]
    fn numeric_modifiers() {
        let class = |typmod| PgType::builtin(1700, typmod).map(|t| t.class);
        let numeric = |precision, scale| Some(Class::Numeric { precision, scale });
        assert_eq!(class(-1), Some(Class::NumericUnbounded));
        assert_eq!(class(329_730), numeric(5, -2));
        assert_eq!(class(((10 << 16) | 2) + 4), numeric(10, 2));
        assert_eq!(class(((3 << 16) | 5) + 4), numeric(3, 5));
    }

    #[test]
    fn domain_over_domain_takes_the_inner_modifier() {
        let base = PgType::builtin(1700, ((10 << 16) | 2) + 4);
        let inner = PgType::from_catalog(CatalogType { base, ..catalog(70_000, -1, b'd') });
        let outer = PgType::from_catalog(CatalogType { base: Some(inner), ..catalog(70_001, -1, b'd') });
        assert_eq!(outer.class, Class::Numeric { precision: 10, scale: 2 });
        assert_eq!((outer.oid, outer.base_oid()), (70_001, 1700));
        assert_eq!(outer.sql_type(), "numeric(10,2)");
    }

    #[test]
    fn arrays_pass_their_modifier_on() {
        let array = PgType::builtin(1231, ((10 << 16) | 2) + 4).map(|t| (t.name.clone(), t.sql_type()));
        assert_eq!(array, Some(("numeric[]".into(), "numeric(10,2)[]".into())));
        let element = Some(PgType::from_catalog(catalog(70_000, -1, b'e')));
        let array = PgType::from_catalog(CatalogType { element, ..catalog(70_001, -1, b'b') });
        assert!(array.binary_decodable());
        let element = Some(PgType::from_catalog(catalog(70_002, -1, b'c')));
        let array = PgType::from_catalog(CatalogType { element, ..catalog(70_003, -1, b'b') });
        assert!(!array.binary_decodable());
    }
}
