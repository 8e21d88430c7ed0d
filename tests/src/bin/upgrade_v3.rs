//! Version 3 of a program that is upgraded.

fn main() {
    shop_v3::program::main();
}
