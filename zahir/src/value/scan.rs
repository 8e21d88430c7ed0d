//! A walk over `MessagePack` bytes that neither recurses nor allocates by what the bytes claim.

use std::fmt;

/// Why bytes are not one whole value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortened {
    /// A length or a value goes beyond the end.
    Truncated,
    /// Something follows the value.
    Trailing(usize),
    /// Nested deeper than allowed.
    TooDeep(usize),
    /// `0xc1`, which `MessagePack` never uses.
    Reserved,
    /// A map was expected, with text as keys.
    NotAMap,
}

impl fmt::Display for Shortened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::Trailing(count) => write!(f, "{count} bytes too many"),
            Self::TooDeep(max) => write!(f, "nested deeper than {max} levels"),
            Self::Reserved => f.write_str("a byte that is no MessagePack"),
            Self::NotAMap => f.write_str("not a map from names to values"),
        }
    }
}

/// Checks that `bytes` are exactly one value, nested at most `depth_max` deep.
pub(crate) fn check(bytes: &[u8], depth_max: usize) -> Result<(), Shortened> {
    let rest = skip(bytes, depth_max)?;
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Shortened::Trailing(rest.len()))
    }
}

/// The entries of a map from text: name and bytes of each value, in the order they are stored.
pub(crate) fn map_entries(bytes: &[u8], depth_max: usize) -> Result<Vec<(&str, &[u8])>, Shortened> {
    let (token, mut rest) = token(bytes)?;
    let Token::Map(count) = token else {
        return Err(Shortened::NotAMap);
    };
    let mut entries = Vec::new();
    for _ in 0..count {
        let (name, after_name) = text(rest)?;
        let after_value = skip(after_name, depth_max)?;
        let length = after_name.len() - after_value.len();
        entries.push((name, &after_name[..length]));
        rest = after_value;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(Shortened::Trailing(rest.len()))
    }
}

/// Begins a map of `count` entries.
pub(crate) fn write_map_header(bytes: &mut Vec<u8>, count: u32) {
    bytes.push(0xdf);
    bytes.extend(count.to_be_bytes());
}

/// Begins a list of `count` values.
pub(crate) fn write_list_header(bytes: &mut Vec<u8>, count: u32) {
    bytes.push(0xdd);
    bytes.extend(count.to_be_bytes());
}

/// Appends text.
pub(crate) fn write_str(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.push(0xdb);
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// The first token of a value: its marker and, unless it contains values, its content.
enum Token {
    /// Complete in itself; text and binary content is skipped.
    Leaf,
    List(usize),
    Map(usize),
}

/// Skips one value.
pub(super) fn skip(bytes: &[u8], depth_max: usize) -> Result<&[u8], Shortened> {
    let mut rest = bytes;
    // How many values are still missing at each level.
    let mut missing = vec![1_usize];
    while let Some(count) = missing.last_mut() {
        if *count == 0 {
            missing.pop();
            continue;
        }
        *count -= 1;
        let (token, after) = token(rest)?;
        rest = after;
        let children = match token {
            Token::Leaf => continue,
            Token::List(count) => count,
            Token::Map(count) => count.checked_mul(2).ok_or(Shortened::Truncated)?,
        };
        // Every value takes at least one byte.
        if children > rest.len() {
            return Err(Shortened::Truncated);
        }
        if missing.len() > depth_max {
            return Err(Shortened::TooDeep(depth_max));
        }
        missing.push(children);
    }
    Ok(rest)
}

fn token(bytes: &[u8]) -> Result<(Token, &[u8]), Shortened> {
    let (&marker, rest) = bytes.split_first().ok_or(Shortened::Truncated)?;
    let leaf = |extra: usize, rest: &'_ [u8]| -> Result<usize, Shortened> {
        (extra <= rest.len())
            .then_some(extra)
            .ok_or(Shortened::Truncated)
    };
    let (token, content) = match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (Token::Leaf, 0),
        0x80..=0x8f => (Token::Map(usize::from(marker & 0x0f)), 0),
        0x90..=0x9f => (Token::List(usize::from(marker & 0x0f)), 0),
        0xa0..=0xbf => (Token::Leaf, usize::from(marker & 0x1f)),
        0xc1 => return Err(Shortened::Reserved),
        0xcc | 0xd0 => (Token::Leaf, 1),
        0xcd | 0xd1 | 0xd4 => (Token::Leaf, 2),
        0xd5 => (Token::Leaf, 3),
        0xca | 0xce | 0xd2 => (Token::Leaf, 4),
        0xd6 => (Token::Leaf, 5),
        0xcb | 0xcf | 0xd3 => (Token::Leaf, 8),
        0xd7 => (Token::Leaf, 9),
        0xd8 => (Token::Leaf, 17),
        0xc4 | 0xd9 => return sized(rest, 1, 0, None),
        0xc5 | 0xda => return sized(rest, 2, 0, None),
        0xc6 | 0xdb => return sized(rest, 4, 0, None),
        0xc7 => return sized(rest, 1, 1, None),
        0xc8 => return sized(rest, 2, 1, None),
        0xc9 => return sized(rest, 4, 1, None),
        0xdc => return sized(rest, 2, 0, Some(Token::List)),
        0xdd => return sized(rest, 4, 0, Some(Token::List)),
        0xde => return sized(rest, 2, 0, Some(Token::Map)),
        0xdf => return sized(rest, 4, 0, Some(Token::Map)),
    };
    let content = leaf(content, rest)?;
    Ok((token, &rest[content..]))
}

/// A token whose length is written in the next `width` bytes.
fn sized(
    bytes: &[u8],
    width: usize,
    extra: usize,
    container: Option<fn(usize) -> Token>,
) -> Result<(Token, &[u8]), Shortened> {
    let (length, rest) = bytes.split_at_checked(width).ok_or(Shortened::Truncated)?;
    let length = length
        .iter()
        .fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if let Some(container) = container {
        return Ok((container(length), rest));
    }
    let content = length.checked_add(extra).ok_or(Shortened::Truncated)?;
    let rest = rest.get(content..).ok_or(Shortened::Truncated)?;
    Ok((Token::Leaf, rest))
}

/// Text, and what follows it.
pub(super) fn text(bytes: &[u8]) -> Result<(&str, &[u8]), Shortened> {
    let (&marker, rest) = bytes.split_first().ok_or(Shortened::Truncated)?;
    let width = match marker {
        0xa0..=0xbf => 0,
        0xd9 => 1,
        0xda => 2,
        0xdb => 4,
        _ => return Err(Shortened::NotAMap),
    };
    let (_, after) = token(bytes)?;
    let content = &rest[width..rest.len() - after.len()];
    let text = std::str::from_utf8(content).map_err(|_| Shortened::NotAMap)?;
    Ok((text, after))
}
