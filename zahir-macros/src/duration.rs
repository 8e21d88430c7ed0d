//! Durations, written as literals: `30s`, `100ms`, `1h30m`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Lit;

use crate::errors::Errors;
use crate::names::did_you_mean;

/// The units and their microseconds.
const UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Suffixes that Rust itself gives a meaning.
const NUMBERS: [&str; 14] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64",
];

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duration {
    micros: u64,
}

impl Duration {
    /// The expression for it.
    pub(crate) fn expression(self) -> TokenStream {
        let seconds = self.micros / 1_000_000;
        let nanos = u32::try_from(self.micros % 1_000_000 * 1_000).unwrap_or(0);
        // Not `from_micros`: lints would propose a larger unit at the user's literal.
        quote!(__zahir::Duration::new(#seconds, #nanos))
    }

    /// What one would write in Rust.
    pub(crate) fn in_rust(self) -> String {
        let units = [("secs", 1_000_000), ("millis", 1_000), ("micros", 1)];
        let whole = units
            .iter()
            .find(|(_, micros)| self.micros.is_multiple_of(*micros));
        whole.map_or_else(String::new, |(unit, micros)| {
            format!("Duration::from_{unit}({})", self.micros / micros)
        })
    }
}

/// The duration that a literal is; `None` if it is none by intent: it has no unit.
pub(crate) fn of_literal(literal: &Lit) -> Option<Result<Duration, String>> {
    match literal {
        Lit::Int(number) => parse(number.base10_digits(), number.suffix()),
        Lit::Float(number) => {
            let whole = parse("1", number.suffix());
            whole
                .is_some_and(|whole| whole.is_ok())
                .then(|| Err("write whole numbers, as in `1500ms` or `1h30m`".to_owned()))
        }
        _ => None,
    }
}

/// The duration that has to be here; says what is wrong otherwise. `example` shows a right one.
pub(crate) fn required(literal: &Lit, example: &str, errors: &Errors) -> Option<Duration> {
    match of_literal(literal) {
        Some(Ok(duration)) => return Some(duration),
        Some(Err(message)) => errors.at(literal, message),
        None => match literal {
            Lit::Str(text) if quoted(&text.value()) => errors.at(
                literal,
                format!("a duration is written without quotes: `{}`", text.value()),
            ),
            Lit::Int(number) if number.suffix().is_empty() => errors.at(
                literal,
                format!("a duration needs a unit, as in `{number}s`"),
            ),
            _ => errors.at(literal, format!("expected a duration, as in `{example}`")),
        },
    }
    None
}

/// The same, where none at all makes no sense: nothing ends at once.
pub(crate) fn limit(literal: &Lit, example: &str, errors: &Errors) -> Option<Duration> {
    let found = required(literal, example, errors)?;
    if found.micros == 0 {
        errors.at(
            literal,
            "with no time at all every attempt would fail: write how long it may take, or leave \
             the time-out away",
        );
        return None;
    }
    Some(found)
}

/// Is this text a duration once the quotes are gone?
fn quoted(text: &str) -> bool {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    digits > 0 && matches!(parse(&text[..digits], &text[digits..]), Some(Ok(_)))
}

fn parse(digits: &str, suffix: &str) -> Option<Result<Duration, String>> {
    let begins = suffix.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if !begins || NUMBERS.contains(&suffix) {
        return None;
    }
    let text = format!("{digits}{suffix}").replace('_', "");
    Some(sum(&text))
}

/// `1h30m`: the sum of its parts.
fn sum(text: &str) -> Result<Duration, String> {
    let mut micros = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, factor) = known.ok_or_else(|| unknown_unit(number, unit))?;
        micros = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*factor))
            .and_then(|part| micros.checked_add(part))
            .ok_or("this duration is too long")?;
        rest = after;
    }
    Ok(Duration { micros })
}

fn unknown_unit(number: &str, unit: &str) -> String {
    if unit.is_empty() {
        return format!("`{number}` has no unit here: `us`, `ms`, `s`, `m`, `h` or `d`");
    }
    let meant = match unit {
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "hr" | "hrs" | "hour" | "hours" => Some("h"),
        "milli" | "millis" | "msec" => Some("ms"),
        "day" | "days" => Some("d"),
        _ => None,
    };
    let hint = match meant {
        Some(meant) => format!("; did you mean `{number}{meant}`?"),
        None => did_you_mean(unit, UNITS.map(|(name, _)| name)).unwrap_or_default(),
    };
    format!("`{unit}` is not a unit of time (`us`, `ms`, `s`, `m`, `h`, `d`){hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, micros: Result<u64, &str>) {
        let literal = syn::parse_str::<Lit>(text).expect("a literal");
        let duration = of_literal(&literal).expect("with a unit");
        match (duration, micros) {
            (Ok(duration), Ok(micros)) => assert_eq!(duration.micros, micros, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (duration, micros) => panic!("{text}: {duration:?} instead of {micros:?}"),
        }
    }

    #[test]
    fn durations_are_sums_of_whole_parts() {
        check("30s", Ok(30_000_000));
        check("1_000ms", Ok(1_000_000));
        check("1h30m", Ok(5_400_000_000));
        check("2d", Ok(172_800_000_000));
        check("1.5h", Err("whole numbers"));
        check("30sec", Err("did you mean `30s`?"));
        check("30sek", Err("not a unit of time"));
        check("1h30", Err("`30` has no unit"));
        check("99999999999999999999d", Err("too long"));
    }

    #[test]
    fn a_number_is_no_duration() {
        for text in ["30", "30u32", "1.5", "1.5f64", "\"30s\""] {
            let literal = syn::parse_str::<Lit>(text).expect("a literal");
            assert_eq!(of_literal(&literal), None, "{text}");
        }
    }
}
