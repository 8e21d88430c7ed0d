//! A crawler that finds its work while it runs: folders are pages, what is in them are its links.
//!
//! ```console
//! cargo run --release --example crawl                         # this repository, five levels deep
//! cargo run --release --example crawl -- /usr/share --depth 8
//! ```
//!
//! Each folder spawns a job for each entry in it, and goes on as the job that adds up what they found:
//! a folder whose entries are still under way holds neither a slot nor memory of its own. Kill it and
//! run it again: no page that was read is read again.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use zahir::{Context, Runtime, job, workflow};

/// What was found in a folder and below it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    files: u64,
    folders: u64,
    bytes: u64,
    /// Folders that are too deep, and what can't be read.
    left_out: u64,
}

/// Reads a folder, spawns a job for each entry in it, and hands on to the job that adds up.
#[job(spawns(crawl, look_at, add_up))]
pub async fn crawl(ctx: &Context, folder: PathBuf, depth: u32) -> Found {
    note(&folder);
    let left_out = Found {
        left_out: 1,
        ..Found::default()
    };
    let Some(depth) = depth.checked_sub(1) else {
        return left_out;
    };
    let Ok(entries) = entries(&folder) else {
        return left_out;
    };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for (entry, is_folder) in entries {
        if is_folder {
            folders.push(ctx.spawn(crawl(entry, depth)));
        } else {
            files.push(ctx.spawn(look_at(entry)));
        }
    }
    ctx.continue_as(AddUp::of(files, folders)).await
}

/// How many bytes a file has; nothing, if it can't be read.
#[job]
pub async fn look_at(file: PathBuf) -> Option<u64> {
    note(&file);
    let about = std::fs::symlink_metadata(file).ok()?;
    Some(about.len())
}

/// Adds up what the entries of a folder have.
#[job]
pub async fn add_up(files: &[Option<u64>], folders: &[Found]) -> Found {
    let readable = files.iter().flatten();
    let own = Found {
        files: readable.clone().count() as u64,
        folders: 1,
        bytes: readable.sum(),
        left_out: files.iter().filter(|file| file.is_none()).count() as u64,
    };
    folders.iter().fold(own, |sum, folder| Found {
        files: sum.files + folder.files,
        folders: sum.folders + folder.folders,
        bytes: sum.bytes + folder.bytes,
        left_out: sum.left_out + folder.left_out,
    })
}

workflow! {
    /// Everything below a folder, down to some depth.
    pub async fn crawl_all(folder: PathBuf, depth: u32) -> Found {
        crawl(folder, depth)
    }
}

/// What is in a folder, links to elsewhere not followed, and whether it is a folder itself.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?.is_dir()))
    });
    entries.collect()
}

static LEDGER: OnceLock<PathBuf> = OnceLock::new();

/// Says that a page was read.
fn note(page: &Path) {
    let Some(ledger) = LEDGER.get() else { return };
    let file = OpenOptions::new().create(true).append(true).open(ledger);
    let line = format!("{}\n", page.display());
    let noted = file.and_then(|mut file| file.write_all(line.as_bytes()));
    noted.expect("a ledger that can be written");
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("crawl: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if !options.folder.is_dir() {
        return Err(format!("{} is no folder", options.folder.display()).into());
    }
    if let Some(ledger) = &options.ledger {
        let _ = LEDGER.set(ledger.clone());
    }
    let runtime = Runtime::open(&options.store)
        .workflow::<CrawlAll>()
        // It only reads: whoever kills it again and again does so from outside.
        .crash_attempts_max(100)
        .start()
        .await?;
    if !runtime.recovered().runs().is_empty() {
        println!("goes on");
    }
    let key = format!("{} {}", options.folder.display(), options.depth);
    let call = crawl_all(options.folder.clone(), options.depth);
    let run = runtime.run(call).key(key).start().await?;
    let bar = ProgressBar::new_spinner()
        .with_style(ProgressStyle::with_template("{spinner} {msg}  {elapsed}")?);
    let mut output = std::pin::pin!(run.output());
    let found = loop {
        let tick = tokio::time::sleep(Duration::from_millis(100));
        tokio::select! {
            ended = &mut output => break ended?,
            () = tick => {
                let progress = run.progress();
                bar.set_message(format!("{} of {} jobs", progress.done(), progress.known()));
            }
        }
    };
    bar.finish_and_clear();
    let progress = run.progress();
    runtime.shutdown().await?;
    println!(
        "{}: {} files of {} bytes in {} folders, {} left out",
        options.folder.display(),
        found.files,
        found.bytes,
        found.folders,
        found.left_out,
    );
    // A run that was over before has nothing to tell of its progress.
    if progress.known() > 0 {
        println!("{} jobs", progress.done());
    }
    Ok(())
}

/// Crawls a folder tree, each entry of it a job; run again after a kill, it goes on.
#[derive(Parser)]
struct Options {
    /// Where to begin.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// How many levels of folders are followed.
    #[arg(long, default_value_t = 5)]
    depth: u32,
    /// Where the run is kept.
    #[arg(long, value_name = "FILE", default_value = "crawl.redb")]
    store: PathBuf,
    /// Gets a line for each page that is read.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}
