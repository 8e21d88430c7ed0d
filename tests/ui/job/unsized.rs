include!("../prelude.rs");
#[job]
async fn text(text: str) {}
#[job]
async fn list(list: [u8]) {}
#[job]
async fn any(any: &dyn std::fmt::Debug, other: dyn std::fmt::Debug) {}
fn main() {}
