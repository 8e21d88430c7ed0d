include!("../prelude.rs");
#[job]
async fn many(_a: u8, _b: u8, _c: u8, _d: u8, _e: u8, _f: u8, _g: u8, _h: u8, _i: u8, _j: u8, _k: u8, _l: u8, _m: u8, _n: u8, _o: u8, _p: u8, _q: u8, _r: u8, _s: u8, _t: u8, _u: u8, _v: u8, _w: u8, _x: u8, _y: u8, _z: u8) {}
#[job(spawns(measure, many))]
async fn parent(ctx: &Context) { drop(ctx.spawn(measure(""))); }
#[job(spawns(measure, many))]
async fn generic<T: Payload>(ctx: &Context, value: T) { let _ = (ctx, value); }
fn main() {}
