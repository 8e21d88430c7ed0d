use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    name: String,
    parts: Vec<Option<f64>>,
    #[serde(default)]
    later: Option<u128>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Kind {
    Plain,
    Pair {
        left: i64,
        right: BTreeMap<(u8, u8), char>,
    },
}

fn sample() -> Sample {
    Sample {
        name: "a".repeat(300),
        parts: vec![Some(f64::INFINITY), None, Some(-0.5)],
        later: Some(u128::MAX),
        kind: Kind::Plain,
    }
}

#[test]
fn a_value_survives_its_bytes() {
    let codec = Codec::of::<Sample>();
    let bytes = (codec.encode)(&Value::new(sample())).unwrap();
    let value = (codec.decode)(&bytes).unwrap();
    assert_eq!(value.get::<Sample>(), Some(&sample()));
}

#[test]
fn trailing_and_missing_bytes_are_refused() {
    let mut bytes = encode(&sample()).unwrap();
    assert!(decode::<Sample>(&bytes[..bytes.len() - 1]).is_err());
    bytes.push(0);
    let error = decode::<Sample>(&bytes).unwrap_err();
    assert!(error.to_string().contains("1 bytes too many"), "{error}");
}

#[test]
fn nesting_is_bounded_in_both_directions() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Nest(Vec<Self>);
    let nested = |depth| (1..depth).fold(Nest::default(), |inner, _| Nest(vec![inner]));
    assert!(decode::<Nest>(&encode(&nested(DEPTH_MAX)).unwrap()).is_ok());
    let error = encode(&nested(DEPTH_MAX + 1)).unwrap_err();
    assert!(error.to_string().contains("64 levels"), "{error}");
    assert!(decode::<Nest>(&vec![0x91; 1 << 20]).is_err());
}

#[test]
fn a_claimed_length_allocates_nothing() {
    // A list of four thousand million elements, in five bytes.
    assert!(decode::<Vec<Sample>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
}

#[test]
fn a_shared_value_is_not_taken_apart() {
    let value = Value::new(7_u64);
    let other = value.clone();
    let value = value.try_into_inner::<u64>().unwrap_err();
    drop(other);
    let value = value.try_into_inner::<u32>().unwrap_err();
    assert_eq!(value.try_into_inner::<u64>().unwrap(), 7);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(decode::<Sample>(&bytes));
        drop(map_entries(&bytes, DEPTH_MAX));
    }

    #[test]
    fn the_scan_accepts_what_is_encoded(
        value in proptest::collection::vec((".*", any::<Option<i64>>(), any::<f32>()), 0..40)
    ) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(scan::check(&bytes, DEPTH_MAX), Ok(()));
    }
}

/// A value whose destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

/// Two destructors that panic in one list ended the process.
#[test]
fn a_destructor_that_panics_is_contained_in_its_value() {
    drop(vec![Value::new(Bomb), Value::new(Bomb)]);
    let unwound = std::panic::catch_unwind(|| {
        let _value = Value::new(Bomb);
        panic!("beside it");
    });
    let payload = unwound.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"beside it"));
}

#[test]
fn a_mistake_is_told_with_the_field_it_is_in() {
    #[derive(Debug, serde::Serialize)]
    struct Before {
        lines: Vec<(String, i64)>,
    }
    #[derive(Debug, serde::Deserialize)]
    struct After {
        #[expect(dead_code, reason = "it is read only")]
        lines: Vec<(String, u8)>,
    }
    let lines = vec![("one".to_owned(), 1), ("two".to_owned(), -1)];
    let bytes = encode(&Before { lines }).unwrap();
    let error = decode::<After>(&bytes).unwrap_err().to_string();
    let expected = "After`: `lines[1][1]`: invalid value: integer `-1`, expected u8";
    assert!(error.ends_with(expected), "{error}");
}
