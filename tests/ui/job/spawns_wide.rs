include!("../prelude.rs");
#[job]
#[allow(unused_variables)]
async fn wide(i0: u8, i1: u8, i2: u8, i3: u8, i4: u8, i5: u8, i6: u8, i7: u8, i8: u8, i9: u8, i10: u8, i11: u8, i12: u8, i13: u8, i14: u8, i15: u8, i16: u8, i17: u8, i18: u8, i19: u8, i20: u8, i21: u8, i22: u8, i23: u8, i24: u8) -> u8 { i0 }
#[job]
#[allow(unused_variables)]
async fn widest(i0: u8, i1: u8, i2: u8, i3: u8, i4: u8, i5: u8, i6: u8, i7: u8, i8: u8, i9: u8, i10: u8, i11: u8, i12: u8, i13: u8, i14: u8, i15: u8, i16: u8, i17: u8, i18: u8, i19: u8, i20: u8, i21: u8, i22: u8, i23: u8) -> u8 { i0 }
#[job(spawns(widest, wide))]
async fn root(ctx: &Context) { let _ = ctx; }
fn main() {}
