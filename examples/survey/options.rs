//! The command line.

use std::path::Path;

pub const USAGE: &str =
    "usage: survey [FOLDER] [--store FILE] [--graph dot|mermaid] [--ledger FILE]

  FOLDER          what to survey (default: this repository)
  --store FILE    where to keep the records (default: survey.redb)
  --graph FORMAT  print the graph of the workflow and exit
  --ledger FILE   append a line for each file that is measured";

pub enum Drawing {
    Dot,
    Mermaid,
}

pub struct Options {
    /// The folder, as an absolute path.
    pub root: String,
    pub store: String,
    pub drawing: Option<Drawing>,
    pub ledger: Option<String>,
}

impl Options {
    pub fn from_args() -> Result<Self, String> {
        use lexopt::prelude::{Long, Value, ValueExt};
        let mut root = concat!(env!("CARGO_MANIFEST_DIR"), "/..").to_owned();
        let mut store = "survey.redb".to_owned();
        let (mut drawing, mut ledger) = (None, None);
        let mut parser = lexopt::Parser::from_env();
        let text = |value: std::ffi::OsString| value.string().map_err(|e| e.to_string());
        while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
            match argument {
                Value(folder) => root = text(folder)?,
                Long("store") => store = text(parser.value().map_err(|e| e.to_string())?)?,
                Long("ledger") => {
                    ledger = Some(text(parser.value().map_err(|e| e.to_string())?)?);
                }
                Long("graph") => {
                    drawing = match text(parser.value().map_err(|e| e.to_string())?)?.as_str() {
                        "dot" => Some(Drawing::Dot),
                        "mermaid" => Some(Drawing::Mermaid),
                        other => return Err(format!("`{other}` is not a format of `--graph`")),
                    }
                }
                other => return Err(other.unexpected().to_string()),
            }
        }
        let root = Path::new(&root)
            .canonicalize()
            .map_err(|e| format!("can't survey `{root}`: {e}"))?
            .into_os_string()
            .into_string()
            .map_err(|path| format!("can't survey {path:?}: the path is not Unicode"))?;
        Ok(Self {
            root,
            store,
            drawing,
            ledger,
        })
    }
}
