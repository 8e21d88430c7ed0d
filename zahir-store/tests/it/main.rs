//! Every promise of the store, by file:
//!
//! | file | promise |
//! |---|---|
//! | `contract` | both stores keep the contract of `Store` |

mod contract;
