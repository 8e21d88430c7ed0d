//! Version 2 of a program that is upgraded.

fn main() {
    shop_v2::program::main();
}
