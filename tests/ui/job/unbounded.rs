include!("../prelude.rs");
#[job]
async fn echo<T>(value: T) -> T { value }
fn main() {}
