//! How to use zahir, page by page. There is no code here.

#[doc = include_str!("guide/children.md")]
pub mod children {}

#[doc = include_str!("guide/control_flow.md")]
pub mod control_flow {}

#[doc = include_str!("guide/failure.md")]
pub mod failure {}
