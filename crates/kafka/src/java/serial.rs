//! Java's object serialization, as far as keys of rows need it: an `Object[]` of numbers and texts.

/// An element of a key as Java holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// No value.
    Null,
    /// `java.lang.Short`
    Short(i16),
    /// `java.lang.Integer`
    Int(i32),
    /// `java.lang.Long`
    Long(i64),
    /// `java.lang.String`, and everything that has no better form here.
    Text(String),
    /// `java.util.UUID`
    Uuid(u128),
}

/// Shows the kind, never the value.
impl std::fmt::Debug for KeyPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Short(_) => "Short",
            Self::Int(_) => "Int",
            Self::Long(_) => "Long",
            Self::Text(_) => "Text",
            Self::Uuid(_) => "Uuid",
        })
    }
}

impl KeyPart {
    /// What Postgres reads this value from.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Short(number) => number.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Long(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Uuid(bits) => format!("{bits:032x}"),
        })
    }
}

/// Magic and version of a stream.
const HEADER: [u8; 4] = [0xac, 0xed, 0x00, 0x05];
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const END: u8 = 0x78;
/// Handles count from here.
const FIRST_HANDLE: u32 = 0x007e_0000;

/// A class as a stream describes it: name, serial version, fields (type and name); whether it extends Number.
struct Class {
    name: &'static str,
    version: u64,
    fields: &'static [(u8, &'static str)],
    number: bool,
}

const OBJECTS: Class =
    Class { name: "[Ljava.lang.Object;", version: 0x90ce_589f_1073_296c, fields: &[], number: false };
const NUMBER: Class = Class { name: "java.lang.Number", version: 0x86ac_951d_0b94_e08b, fields: &[], number: false };
const SHORT: Class =
    Class { name: "java.lang.Short", version: 0x684d_3713_3460_da52, fields: &[(b'S', "value")], number: true };
const INTEGER: Class =
    Class { name: "java.lang.Integer", version: 0x12e2_a0a4_f781_8738, fields: &[(b'I', "value")], number: true };
const LONG: Class =
    Class { name: "java.lang.Long", version: 0x3b8b_e490_cc8f_23df, fields: &[(b'J', "value")], number: true };
const UUID: Class = Class {
    name: "java.util.UUID",
    version: 0xbc99_03f7_986d_852f,
    fields: &[(b'J', "leastSigBits"), (b'J', "mostSigBits")],
    number: false,
};

/// Modified UTF-8: as Java writes texts, NUL in two bytes, characters beyond the BMP as two surrogates.
fn modified_utf8(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match unit {
            1..=0x7f => out.push(unit as u8),
            0 | 0x80..=0x7ff => out.extend([0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            _ => out.extend([0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]),
        }
    }
    out
}

fn from_modified_utf8(bytes: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().map(|byte| u16::from(*byte));
    while let Some(first) = rest.next() {
        units.push(match first {
            0..=0x7f => first,
            0xc0..=0xdf => (first & 0x1f) << 6 | rest.next()? & 0x3f,
            0xe0..=0xef => (first & 0xf) << 12 | (rest.next()? & 0x3f) << 6 | rest.next()? & 0x3f,
            _ => return None,
        });
    }
    String::from_utf16(&units).ok()
}

/// What a stream can refer back to.
#[derive(Clone, PartialEq)]
enum Handle {
    Class(String),
    Text(String),
    Object,
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    handles: Vec<Handle>,
}

impl Writer {
    fn refer(&mut self, handle: &Handle) -> bool {
        let Some(index) = self.handles.iter().position(|known| known == handle) else { return false };
        self.out.push(REFERENCE);
        self.out.extend((FIRST_HANDLE + index as u32).to_be_bytes());
        true
    }

    fn utf(&mut self, text: &str) {
        let bytes = modified_utf8(text);
        self.out.extend((bytes.len() as u16).to_be_bytes());
        self.out.extend(bytes);
    }

    fn class(&mut self, class: &Class) {
        let handle = Handle::Class(class.name.to_owned());
        if self.refer(&handle) {
            return;
        }
        self.out.push(CLASS);
        self.utf(class.name);
        self.out.extend(class.version.to_be_bytes());
        self.handles.push(handle);
        // serializable
        self.out.push(2);
        self.out.extend((class.fields.len() as u16).to_be_bytes());
        for (kind, name) in class.fields {
            self.out.push(*kind);
            self.utf(name);
        }
        self.out.push(END);
        if class.number { self.class(&NUMBER) } else { self.out.push(NULL) }
    }

    fn object(&mut self, class: &Class, value: &[u8]) {
        self.out.push(OBJECT);
        self.class(class);
        self.handles.push(Handle::Object);
        self.out.extend(value);
    }

    fn part(&mut self, part: &KeyPart) {
        match part {
            KeyPart::Null => self.out.push(NULL),
            KeyPart::Short(number) => self.object(&SHORT, &number.to_be_bytes()),
            KeyPart::Int(number) => self.object(&INTEGER, &number.to_be_bytes()),
            KeyPart::Long(number) => self.object(&LONG, &number.to_be_bytes()),
            KeyPart::Uuid(bits) => {
                let (most, least) = ((bits >> 64) as u64, *bits as u64);
                self.object(&UUID, &[least.to_be_bytes(), most.to_be_bytes()].concat());
            }
            KeyPart::Text(text) => {
                self.out.push(STRING);
                self.handles.push(Handle::Text(text.clone()));
                self.utf(text);
            }
        }
    }
}

/// The hexadecimal text of a serialized `Object[]`, or of a null.
pub(crate) fn write(parts: Option<&[KeyPart]>) -> String {
    let mut writer = Writer::default();
    writer.out.extend(HEADER);
    match parts {
        None => writer.out.push(NULL),
        Some(parts) => {
            writer.out.push(ARRAY);
            writer.class(&OBJECTS);
            writer.handles.push(Handle::Object);
            writer.out.extend((parts.len() as u32).to_be_bytes());
            parts.iter().for_each(|part| writer.part(part));
        }
    }
    super::digest::hex(&writer.out)
}

struct Reader<'a> {
    rest: &'a [u8],
    handles: Vec<Handle>,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn utf(&mut self) -> Option<String> {
        let len = usize::from(u16::from_be_bytes(self.take()?));
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        from_modified_utf8(head)
    }

    fn referred(&mut self) -> Option<Handle> {
        let number = u32::from_be_bytes(self.take()?).checked_sub(FIRST_HANDLE)?;
        self.handles.get(number as usize).cloned()
    }

    /// The name of the class described next; an empty one for none.
    fn class(&mut self) -> Option<String> {
        match self.byte()? {
            NULL => Some(String::new()),
            REFERENCE => match self.referred()? {
                Handle::Class(name) => Some(name),
                _ => None,
            },
            CLASS => {
                let name = self.utf()?;
                let _version: [u8; 8] = self.take()?;
                self.handles.push(Handle::Class(name.clone()));
                let _flags = self.byte()?;
                for _ in 0..u16::from_be_bytes(self.take()?) {
                    let _kind = self.byte()?;
                    self.utf()?;
                }
                (self.byte()? == END).then_some(())?;
                self.class()?;
                Some(name)
            }
            _ => None,
        }
    }

    fn part(&mut self) -> Option<KeyPart> {
        match self.byte()? {
            NULL => Some(KeyPart::Null),
            REFERENCE => match self.referred()? {
                Handle::Text(text) => Some(KeyPart::Text(text)),
                _ => None,
            },
            STRING => {
                self.handles.push(Handle::Object);
                let place = self.handles.len() - 1;
                let text = self.utf()?;
                *self.handles.get_mut(place)? = Handle::Text(text.clone());
                Some(KeyPart::Text(text))
            }
            OBJECT => {
                let class = self.class()?;
                self.handles.push(Handle::Object);
                match class.as_str() {
                    "java.lang.Short" => self.take().map(i16::from_be_bytes).map(KeyPart::Short),
                    "java.lang.Integer" => self.take().map(i32::from_be_bytes).map(KeyPart::Int),
                    "java.lang.Long" => self.take().map(i64::from_be_bytes).map(KeyPart::Long),
                    "java.util.UUID" => {
                        let (least, most) = (u64::from_be_bytes(self.take()?), u64::from_be_bytes(self.take()?));
                        Some(KeyPart::Uuid(u128::from(most) << 64 | u128::from(least)))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Reads what [`write`], or Java, wrote: none for what is no such array, or holds what is not known here.
pub(crate) fn read(text: &str) -> Option<Option<Vec<KeyPart>>> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    let mut reader = Reader { rest: bytes.strip_prefix(&HEADER)?, handles: Vec::new() };
    match reader.byte()? {
        NULL => Some(None),
        ARRAY => {
            (reader.class()? == OBJECTS.name).then_some(())?;
            reader.handles.push(Handle::Object);
            let count = u32::from_be_bytes(reader.take()?);
            (0..count).map(|_| reader.part()).collect::<Option<Vec<_>>>().map(Some)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by Java 17.
    #[test]
    fn is_what_java_writes() {
        let array = "aced0005757200135b4c6a6176612e6c616e672e4f626a6563743b90ce589f1073296c0200007870000000";
        let number = "7872001 06a6176612e6c616e672e4e756d62657286ac951d0b94e08b0200007870".replace(' ', "");
        let integer =
            format!("7372 00116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565{number}")
                .replace(' ', "");
        let cases = [
            (None, "aced000570".to_owned()),
            (Some(vec![KeyPart::Int(1)]), format!("{array}01{integer}00000001")),
            (
                Some(vec![KeyPart::Int(1), KeyPart::Int(2), KeyPart::Text("é\0x".into())]),
                format!("{array}03{integer}000000017371007e000200000002740005c3a9c08078"),
            ),
            (
                Some(vec![KeyPart::Long(5), KeyPart::Short(3), KeyPart::Long(7)]),
                format!(
                    "{array}037372000e6a6176612e6c616e672e4c6f6e673b8be490cc8f23df0200014a000576616c7565{number}\
                     00000000000000057372000f6a6176612e6c616e672e53686f7274684d37133460da5202000153000576616c756578\
                     71007e000300037371007e00020000000000000007"
                ),
            ),
            (
                Some(vec![KeyPart::Uuid(0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11)]),
                format!(
                    "{array}017372000e6a6176612e7574696c2e55554944bc9903f7986d852f0200024a000c6c65617374536967426974734a\
                     000b6d6f7374536967426974737870bb6d6bb9bd380a11a0eebc999c0b4ef8"
                ),
            ),
        ];
        for (parts, text) in cases {
            assert_eq!(write(parts.as_deref()), text);
            assert_eq!(read(&text), Some(parts));
        }
        let twice = format!("{array}0374000162 71007e0002 70").replace(' ', "");
        let b = KeyPart::Text("b".into());
        assert_eq!(read(&twice), Some(Some(vec![b.clone(), b, KeyPart::Null])));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(aced0005)?[0-9a-f]{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn there_and_back(texts in prop::collection::vec(any::<String>(), 0..4), number: i64) {
            let mut parts: Vec<KeyPart> = texts.into_iter().map(KeyPart::Text).collect();
            parts.push(KeyPart::Long(number));
            prop_assert_eq!(read(&write(Some(&parts))), Some(Some(parts)));
        }
    }
}
