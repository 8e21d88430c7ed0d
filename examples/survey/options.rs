//! The command line.

use std::path::Path;

use clap::{Parser, ValueEnum};

/// Surveys a source tree; run again after Ctrl-C or a kill, it goes on.
#[derive(Parser)]
pub struct Options {
    /// What to survey; without it, this repository
    #[arg(
        default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."),
        hide_default_value = true,
        value_parser = absolute
    )]
    pub folder: String,
    /// Where the records are kept.
    #[arg(long, value_name = "FILE", default_value = "survey.redb")]
    pub store: String,
    /// Print the graph of the workflow and exit.
    #[arg(long, value_name = "FORMAT")]
    pub graph: Option<Format>,
    /// Append a line for each file that is measured.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    Dot,
    Mermaid,
}

/// A path as an absolute one, which means the same to the process that goes on.
fn absolute(path: &str) -> Result<String, String> {
    let path = Path::new(path).canonicalize().map_err(|e| e.to_string())?;
    let path = path.into_os_string().into_string();
    path.map_err(|path| format!("{} is not Unicode", path.display()))
}
