//! The expansion means what it means, whatever the user's names are.
#![deny(warnings)]
#![allow(dead_code, non_camel_case_types, unused_macros)]

mod user {
    pub struct Ok; pub struct Err; pub struct Some; pub struct None; pub struct Result; pub struct Option;
    pub struct String; pub struct Vec; pub struct Box; pub struct Default; pub struct Send; pub struct Future;
    pub struct Job; pub struct Call; pub struct Out; pub struct Step; pub struct Value;
    pub trait Serialize {} pub trait Deserialize {} pub trait Clone {} pub trait Iterator {} pub trait Into {}
    pub mod core {} pub mod std {} pub mod alloc {} pub mod serde {} pub mod zahir {}
    pub type bool = u8; pub type usize = u8;
    macro_rules! vec { () => { compile_error!() } }
    macro_rules! assert { () => { compile_error!() } }
    macro_rules! concat { () => { compile_error!() } }

    #[::zahir::job(retry = 1, timeout = 1s)]
    pub async fn wire(ctx: &::zahir::Context, out: &str, arguments: u64, context: &[u64]) -> ::std::result::Result<u64, ::std::fmt::Error> {
        ::std::result::Result::Ok(arguments + out.len() as u64 + context.len() as u64 + u64::from(ctx.attempt()))
    }

    #[::zahir::job]
    pub async fn map(inputs: u64, index: u64, map: u64, serializer: u64, self_: u64) -> u64 { inputs + index + map + serializer + self_ }

    ::zahir::workflow! {
        pub async fn graph(wire_: u64, arguments: u64, call: u64) -> u64 {
            let out = map(arguments, call, wire_, 1, 2);
            let def = wire("x", out, &[arguments]);
            let value = for join in 0..def { map(join, out, 1, 1, 1) };
            let round = value.len() as u64 + def;
            map(round, 1, 1, 1, 1)
        }
    }
}

fn main() {
    assert_eq!(user::graph::graph().nodes().len(), 10);
}
