include!("../prelude.rs");
workflow! { async fn with_self(self, name: String) -> usize { measure(&name) } }
workflow! { async fn with_context(ctx: &Context, name: String) -> usize { measure(&name) } }
workflow! { async fn with_references(name: &str, list: &[u64], user: &User) -> usize { measure(&name) } }
workflow! { async fn with_slices(name: str, list: [u64], any: dyn Send) -> usize { measure(&name) } }
workflow! { async fn unbounded<T>(value: T) -> T { value } }
fn main() {}
