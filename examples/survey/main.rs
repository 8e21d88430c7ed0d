//! Surveys a source tree: how many files, lines and words of which language, and the longest
//! identifier of each.
//!
//! ```console
//! cargo run --release --example survey                  # this repository
//! cargo run --release --example survey -- ~/.cargo/registry
//! ```
//!
//! Press Ctrl-C, or kill it, and run it again: it goes on where it stopped.

mod facts;
mod jobs;
mod options;
mod progress;

use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use zahir::{RunHandle, Runtime, workflow};

use facts::Report;
use jobs::{add_up, list_files, list_folders, measure, sum_up};
use options::{Format, Options};

workflow! {
    /// What is in a source tree.
    pub async fn survey(root: String, ledger: Option<String>) -> Report {
        let folders = list_folders(&root);
        let tallies = for folder in folders {
            let files = list_files(&root, &folder);
            let found = for file in files {
                measure(&root, &file, &ledger)
            };
            add_up(&found)
        };
        sum_up(&root, &tallies)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match options.graph {
        Some(Format::Dot) => print!("{}", Survey::graph().to_dot()),
        Some(Format::Mermaid) => print!("{}", Survey::graph().to_mermaid()),
        None => match run(options).await {
            Ok(code) => return code,
            Err(problem) => {
                eprint!("survey: {problem}");
                let mut cause = problem.source();
                while let Some(problem) = cause {
                    eprint!(": {problem}");
                    cause = problem.source();
                }
                eprintln!();
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
}

/// Starts a survey, or goes on with the one that was interrupted.
async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = Runtime::open(&options.store)
        .workflow::<Survey>()
        .jobs_max(64)
        // It only reads: whoever kills it again and again does so from outside.
        .crash_attempts_max(100)
        .value_bytes_max(16 << 20)
        .start()
        .await?;
    let run = begin(&runtime, &options).await?;
    let bar = progress::show(&run);
    let report = tokio::select! {
        report = run.output() => Some(report?),
        _ = tokio::signal::ctrl_c() => None,
    };
    bar.finish();
    match report {
        Some(report) => {
            println!("{report}");
            runtime.shutdown().await?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            eprintln!("stopping: jobs under way get 10 s to finish");
            runtime.shutdown().await?;
            let saved = run.progress().done();
            eprintln!(
                "saved {saved} results in {}; run again to go on",
                options.store
            );
            Ok(ExitCode::from(130))
        }
    }
}

/// The survey of this folder that was interrupted, or a fresh one.
async fn begin(runtime: &Runtime, options: &Options) -> Result<RunHandle<Report>, Box<dyn Error>> {
    let is_same = |key: &str| {
        key.rsplit_once(" since ")
            .is_some_and(|(root, _)| root == options.folder)
    };
    let mut unfinished = runtime.recovered().runs().iter();
    if let Some(interrupted) = unfinished.find(|run| run.key().is_some_and(is_same)) {
        let run = runtime.handle::<Survey>(interrupted.id()).await?;
        let progress = run.progress();
        eprintln!(
            "resumed: {} of {} jobs were already done",
            progress.done(),
            progress.known()
        );
        return Ok(run);
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let call = survey(options.folder.clone(), options.ledger.clone());
    Ok(runtime
        .run(call)
        .key(format!("{} since {since}", options.folder))
        .start()
        .await?)
}
