//! Arrays: dimensions per value, elements as wire values of their own.
//!
//! The elements come in row-major order. Binary elements borrow from the value; text elements
//! borrow too unless they were quoted with escapes, which are undone in a scratch buffer that the
//! caller keeps from value to value.

use super::scan::{BAD_TEXT, Form, form, signed, take};
use crate::{Invalid, Wire};

/// Postgres' MAXDIM.
pub const MAX_DIMENSIONS: usize = 6;

pub(crate) const NAME: &str = "array";
const BAD_BINARY: &str = "malformed binary array";

/// One dimension of an array value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimension {
    /// Number of elements.
    pub length: u32,
    /// Subscript of the first element; 1 unless the value says otherwise.
    pub lower: i32,
}

/// A view of one array value. `Debug` shows no element.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    count: usize,
    dimensions: [Dimension; MAX_DIMENSIONS],
    body: Body<'a>,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    /// (i32 length or -1, bytes) per element.
    Binary(&'a [u8]),
    /// The braces and what is between them.
    Text(&'a [u8]),
}

impl std::fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Array").field("dimensions", &self.dimensions()).finish_non_exhaustive()
    }
}

impl Array<'_> {
    /// The dimensions, outermost first; none for `{}`.
    #[inline]
    pub fn dimensions(&self) -> &[Dimension] {
        self.dimensions.get(..self.count).unwrap_or_default()
    }

    /// Number of elements over all dimensions.
    #[inline]
    pub fn len(&self) -> usize {
        if self.count == 0 {
            return 0;
        }
        self.dimensions().iter().fold(1usize, |product, dimension| product.saturating_mul(dimension.length as usize))
    }

    /// Whether the array is `{}`.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Calls `each` with every element in row-major order; a NULL element is [`Wire::Null`], any
    /// other has the array's own form. `scratch` is cleared as needed.
    ///
    /// # Errors
    /// The first error of `each`, or a malformed array.
    pub fn for_each<E: From<Invalid>>(
        &self,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Wire<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.body {
            Body::Binary(mut bytes) => {
                for _ in 0..self.len() {
                    let element = take_element(&mut bytes);
                    each(element.ok_or(Invalid::new(NAME, BAD_BINARY))?)?;
                }
                Ok(())
            }
            Body::Text(text) => TextElements { rest: text }.for_each(scratch, each),
        }
    }
}

/// An array of any element type.
///
/// # Errors
/// A header, element length, brace or quote that does not add up.
#[inline]
pub fn array(wire: Wire<'_>) -> Result<Array<'_>, Invalid> {
    match form(wire, NAME)? {
        Form::Binary(bytes) => parse_binary(bytes).ok_or(Invalid::new(NAME, BAD_BINARY)),
        Form::Text(text) => parse_text(text).ok_or(Invalid::new(NAME, BAD_TEXT)),
    }
}

/// i32 dimensions, i32 has-null, u32 element oid, (i32 length, i32 lower)*, elements.
fn parse_binary(mut bytes: &[u8]) -> Option<Array<'_>> {
    let count = usize::try_from(i32::from_be_bytes(take(&mut bytes)?)).ok()?;
    let _has_null_and_element_oid: [u8; 8] = take(&mut bytes)?;
    let mut dimensions = [Dimension::default(); MAX_DIMENSIONS];
    for dimension in dimensions.get_mut(..count)? {
        let length = i32::from_be_bytes(take(&mut bytes)?);
        dimension.length = u32::try_from(length).ok().filter(|length| *length > 0)?;
        dimension.lower = i32::from_be_bytes(take(&mut bytes)?);
    }
    let array = Array { count, dimensions, body: Body::Binary(bytes) };
    // checked here so that the element count bounds every later loop
    for _ in 0..array.len() {
        take_element(&mut bytes)?;
    }
    bytes.is_empty().then_some(array)
}

#[inline]
fn take_element<'a>(bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
    let length = i32::from_be_bytes(take(bytes)?);
    if length == -1 {
        return Some(Wire::Null);
    }
    let (element, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Wire::Binary(element))
}

/// `[2:3][-1:0]={{..},{..}}`, the bounds only where a lower one is not 1.
fn parse_text(text: &[u8]) -> Option<Array<'_>> {
    let mut rest = text;
    let mut bounds = [Dimension::default(); MAX_DIMENSIONS];
    let mut bound_count = 0usize;
    while let Some(inner) = rest.strip_prefix(b"[") {
        let close = inner.iter().position(|byte| *byte == b']')?;
        *bounds.get_mut(bound_count)? = parse_bound(inner.get(..close)?)?;
        bound_count += 1;
        rest = inner.get(close + 1..)?;
    }
    if bound_count > 0 {
        rest = rest.strip_prefix(b"=")?;
    }
    let (count, mut dimensions) = measure(rest)?;
    if bound_count > 0 {
        let same = |(a, b): (&Dimension, &Dimension)| a.length == b.length;
        if bound_count != count || !bounds.iter().zip(&dimensions).take(count).all(same) {
            return None;
        }
        dimensions = bounds;
    }
    Some(Array { count, dimensions, body: Body::Text(rest) })
}

/// `lower:upper`.
fn parse_bound(text: &[u8]) -> Option<Dimension> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let lower = i32::try_from(signed(text.get(..colon)?)?).ok()?;
    let upper = i32::try_from(signed(text.get(colon + 1..)?)?).ok()?;
    let length = u32::try_from(i64::from(upper) - i64::from(lower) + 1).ok()?;
    Some(Dimension { length, lower })
}

/// The shape of a braces expression: how many dimensions, and each one's length with lower bound 1.
fn measure(text: &[u8]) -> Option<(usize, [Dimension; MAX_DIMENSIONS])> {
    let mut dimensions = [Dimension { length: 0, lower: 1 }; MAX_DIMENSIONS];
    if text == b"{}" {
        return Some((0, dimensions));
    }
    let depth = text.iter().take_while(|byte| **byte == b'{').count();
    if depth == 0 || depth > MAX_DIMENSIONS {
        return None;
    }
    let mut scan = TextElements { rest: text };
    let mut lengths = [0u32; MAX_DIMENSIONS];
    let mut open = 0usize;
    loop {
        match scan.next_token()? {
            Token::Open => {
                open += 1;
                *lengths.get_mut(open.checked_sub(1)?)? = 0;
            }
            Token::Element(_) if open != depth => return None,
            Token::Element(_) => {
                let length = lengths.get_mut(depth.checked_sub(1)?)?;
                *length = length.checked_add(1)?;
            }
            Token::Close => {
                let level = open.checked_sub(1)?;
                let length = *lengths.get(level)?;
                let known = &mut dimensions.get_mut(level)?.length;
                // 0 = not yet known; every brace of one level must then hold as many
                if length == 0 || (*known != 0 && *known != length) {
                    return None;
                }
                *known = length;
                open = level;
                if open == 0 {
                    break;
                }
                let parent = lengths.get_mut(open.checked_sub(1)?)?;
                *parent = parent.checked_add(1)?;
            }
        }
    }
    scan.rest.is_empty().then_some((depth, dimensions))
}

enum Token<'a> {
    Open,
    Close,
    Element(Item<'a>),
}

enum Item<'a> {
    Bare(&'a [u8]),
    /// The inside of the quotes, escapes still in.
    Quoted(&'a [u8]),
}

struct TextElements<'a> {
    rest: &'a [u8],
}

impl<'a> TextElements<'a> {
    /// The next brace or element; commas separate and carry nothing.
    fn next_token(&mut self) -> Option<Token<'a>> {
        if let Some(rest) = self.rest.strip_prefix(b",") {
            self.rest = rest;
        }
        let (first, rest) = self.rest.split_first()?;
        match first {
            b'{' => {
                self.rest = rest;
                Some(Token::Open)
            }
            b'}' => {
                self.rest = rest;
                Some(Token::Close)
            }
            b'"' => {
                let end = closing_quote(rest)?;
                self.rest = rest.get(end + 1..)?;
                Some(Token::Element(Item::Quoted(rest.get(..end)?)))
            }
            _ => {
                let end = self.rest.iter().position(|byte| matches!(byte, b',' | b'}'))?;
                let (bare, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest;
                (!bare.is_empty()).then_some(Token::Element(Item::Bare(bare)))
            }
        }
    }

    fn for_each<E: From<Invalid>>(
        mut self,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Wire<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(token) = self.next_token() {
            let Token::Element(item) = token else {
                continue;
            };
            match item {
                Item::Bare(b"NULL") => each(Wire::Null)?,
                Item::Bare(bare) => each(Wire::Text(bare))?,
                Item::Quoted(quoted) if !quoted.contains(&b'\\') => each(Wire::Text(quoted))?,
                Item::Quoted(quoted) => {
                    unescape(quoted, scratch);
                    each(Wire::Text(scratch))?;
                }
            }
        }
        Ok(())
    }
}

/// Where the quote that was opened before `text` closes.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn unescape(quoted: &[u8], scratch: &mut Vec<u8>) {
    scratch.clear();
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        let literal = if *byte == b'\\' { bytes.next() } else { Some(byte) };
        scratch.extend(literal);
    }
}
