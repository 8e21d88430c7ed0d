//! Stored values in words, for messages: cut to a length, whatever the bytes are.

use std::fmt::Write as _;

use super::scan::{Shortened, map_entries};
use super::{DEPTH_MAX, scan};

/// How deep the lists and maps of a value are told.
const LEVELS_MAX: usize = 4;

/// The inputs of a call, as `url: "http://..", depth: 2`.
pub(crate) fn told_arguments(bytes: &[u8], chars_max: usize) -> String {
    let mut told = Told {
        text: String::new(),
        chars_left: chars_max,
    };
    let all = match map_entries(bytes, DEPTH_MAX) {
        Ok(entries) => told.fields(&entries),
        Err(_) => told.whole(bytes),
    };
    match all {
        Ok(()) => told.text,
        Err(Cut::Full) => told.text + "..",
        Err(Cut::Unreadable) => format!("{} bytes", bytes.len()),
    }
}

struct Told {
    text: String,
    chars_left: usize,
}

/// Why a text is not the whole value.
enum Cut {
    Full,
    Unreadable,
}

impl From<Shortened> for Cut {
    fn from(_: Shortened) -> Self {
        Self::Unreadable
    }
}

/// What is between values.
const COMMA: &str = ", ";

impl Told {
    fn push(&mut self, text: &str) -> Result<(), Cut> {
        for character in text.chars() {
            self.chars_left = self.chars_left.checked_sub(1).ok_or(Cut::Full)?;
            self.text.push(character);
        }
        Ok(())
    }

    fn fields(&mut self, entries: &[(&str, &[u8])]) -> Result<(), Cut> {
        for (at, (name, bytes)) in entries.iter().enumerate() {
            self.push(if at == 0 { "" } else { COMMA })?;
            self.push(name)?;
            self.push(": ")?;
            self.value(bytes, LEVELS_MAX)?;
        }
        Ok(())
    }

    fn whole(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        scan::check(bytes, DEPTH_MAX)?;
        self.value(bytes, LEVELS_MAX).map(drop)
    }

    /// Tells one value, and gives what follows it. Goes no deeper than `levels`.
    fn value<'b>(&mut self, bytes: &'b [u8], levels: usize) -> Result<&'b [u8], Cut> {
        let (&marker, after) = bytes.split_first().ok_or(Cut::Unreadable)?;
        let (items, rest) = match marker {
            0x80..=0x8f => (Items::Map(usize::from(marker & 0x0f)), after),
            0x90..=0x9f => (Items::List(usize::from(marker & 0x0f)), after),
            0xdc..=0xdf => {
                let width = if marker & 1 == 0 { 2 } else { 4 };
                let (count, rest) = number(after, width)?;
                let count = usize::try_from(count).map_err(|_| Cut::Unreadable)?;
                let is_list = marker <= 0xdd;
                (
                    if is_list {
                        Items::List(count)
                    } else {
                        Items::Map(count)
                    },
                    rest,
                )
            }
            _ => return self.leaf(bytes),
        };
        if levels == 0 {
            self.push(match items {
                Items::List(_) => "[..]",
                Items::Map(_) => "{..}",
            })?;
            return Ok(scan::skip(bytes, DEPTH_MAX)?);
        }
        self.items(items, rest, levels - 1)
    }

    fn items<'b>(
        &mut self,
        items: Items,
        mut rest: &'b [u8],
        levels: usize,
    ) -> Result<&'b [u8], Cut> {
        let (count, open, close) = match items {
            Items::List(count) => (count, "[", "]"),
            Items::Map(count) => (count, "{", "}"),
        };
        self.push(open)?;
        for at in 0..count {
            self.push(if at == 0 { "" } else { COMMA })?;
            if let Items::Map(_) = items {
                rest = match scan::text(rest) {
                    Ok((name, after)) => {
                        self.push(name)?;
                        after
                    }
                    Err(_) => self.value(rest, levels)?,
                };
                self.push(": ")?;
            }
            rest = self.value(rest, levels)?;
        }
        self.push(close)?;
        Ok(rest)
    }

    /// A value that contains no others.
    fn leaf<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Cut> {
        if let Ok((text, rest)) = scan::text(bytes) {
            // Cut first: a text may be long, and is escaped.
            let short: String = text.chars().take(self.chars_left).collect();
            self.push(&format!("{short:?}"))?;
            return Ok(rest);
        }
        let rest = scan::skip(bytes, 0)?;
        let (&marker, content) = bytes.split_first().ok_or(Cut::Unreadable)?;
        let length = content.len().checked_sub(rest.len());
        let content = content.get(..length.ok_or(Cut::Unreadable)?);
        let content = content.ok_or(Cut::Unreadable)?;
        let unsigned = content
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let mut text = String::new();
        let written = match marker {
            0x00..=0x7f => write!(text, "{marker}"),
            0xe0..=0xff => write!(text, "{}", i8::from_be_bytes([marker])),
            0xc0 => write!(text, "None"),
            0xc2 => write!(text, "false"),
            0xc3 => write!(text, "true"),
            0xca => write!(
                text,
                "{}",
                f32::from_bits(u32::try_from(unsigned).unwrap_or(0))
            ),
            0xcb => write!(text, "{}", f64::from_bits(unsigned)),
            0xcc..=0xcf => write!(text, "{unsigned}"),
            0xd0..=0xd3 => {
                // Widened by hand: the sign is the first bit of the content.
                let unused = 64 - 8 * u32::try_from(content.len()).unwrap_or(8).min(8);
                write!(text, "{}", (unsigned << unused).cast_signed() >> unused)
            }
            _ => write!(text, "{} bytes", content.len()),
        };
        written.map_err(|_| Cut::Unreadable)?;
        self.push(&text)?;
        Ok(rest)
    }
}

#[derive(Clone, Copy)]
enum Items {
    List(usize),
    Map(usize),
}

fn number(bytes: &[u8], width: usize) -> Result<(u64, &[u8]), Cut> {
    let (number, rest) = bytes.split_at_checked(width).ok_or(Cut::Unreadable)?;
    let number = number
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok((number, rest))
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::value::encode;

    #[derive(Serialize)]
    struct Call {
        url: &'static str,
        depth: u32,
        by: i64,
        share: f64,
        tags: Vec<Option<&'static str>>,
        range: (u8, i16),
        deep: Vec<Vec<Vec<Vec<Vec<u8>>>>>,
    }

    fn call() -> Call {
        Call {
            url: "http://a.b/\"c\"",
            depth: 2,
            by: -70_000,
            share: 0.5,
            tags: vec![Some("x"), None],
            range: (200, -3),
            deep: vec![vec![vec![vec![vec![1]]]]],
        }
    }

    #[test]
    fn the_inputs_of_a_call_are_told_by_name() {
        let bytes = encode(&call()).unwrap();
        assert_eq!(
            told_arguments(&bytes, 1000),
            "url: \"http://a.b/\\\"c\\\"\", depth: 2, by: -70000, share: 0.5, tags: [\"x\", None], \
             range: [200, -3], deep: [[[[[..]]]]]"
        );
    }

    #[test]
    fn what_is_long_is_cut() {
        let bytes = encode(&call()).unwrap();
        assert_eq!(told_arguments(&bytes, 12), "url: \"http:/..");
        let long = encode(&"é".repeat(10_000)).unwrap();
        assert_eq!(told_arguments(&long, 5), "\"éééé..");
    }

    #[test]
    fn any_bytes_are_told() {
        let numbers = encode(&vec![1_u8, 2]).unwrap();
        assert_eq!(told_arguments(&numbers, 100), "[1, 2]");
        assert_eq!(told_arguments(&[], 100), "0 bytes");
        assert_eq!(told_arguments(&[0xc1, 0x01], 100), "2 bytes");
        assert_eq!(
            told_arguments(&[0xdf, 0xff, 0xff, 0xff, 0xff], 100),
            "5 bytes"
        );
        for marker in 0..=255_u8 {
            for length in 0..20 {
                let bytes = [&[marker][..], &vec![marker; length]].concat();
                assert!(told_arguments(&bytes, 40).chars().count() <= 42);
            }
        }
    }
}
