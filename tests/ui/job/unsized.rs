include!("../prelude.rs");
#[job]
async fn text(text: str) {}
#[job]
async fn list(list: [u8]) {}
#[job]
async fn any(any: &dyn std::fmt::Debug, other: dyn std::fmt::Debug) {}
#[job]
async fn any_sent(any: &(dyn std::fmt::Debug + Send), all: &[dyn std::fmt::Debug]) {}
mod files {
    use super::*;
    use std::path::Path;
    #[job(once)]
    pub async fn read(ctx: &Context, path: &Path) -> usize { path.as_os_str().len() + ctx.node().len() }
    #[job(spawns(read))]
    pub async fn named(ctx: &Context, name: &std::ffi::OsStr, text: &std::ffi::CStr) { let _ = (ctx, name, text); }
}
fn main() {}
