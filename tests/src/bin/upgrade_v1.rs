//! Version 1 of a program that is upgraded.

fn main() {
    shop_v1::program::main();
}
