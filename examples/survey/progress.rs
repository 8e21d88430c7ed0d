//! A progress bar fed by the run's events; silent when stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use zahir::RunHandle;

use crate::facts::Report;

/// A bar on screen until it is finished.
pub struct Bar {
    bar: ProgressBar,
    feeder: tokio::task::JoinHandle<()>,
}

impl Bar {
    pub fn finish(self) {
        self.feeder.abort();
        self.bar.finish_and_clear();
    }
}

/// Shows how far `run` has come.
pub fn show(run: &RunHandle<Report>) -> Bar {
    let progress = run.progress();
    let bar = ProgressBar::new(progress.known()).with_position(progress.done());
    // What was done before does not count for the time left.
    bar.reset_eta();
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:40} {pos}/{len} jobs  {elapsed} elapsed, {eta} left  {msg}",
    ) {
        bar.set_style(style);
    }
    let (run, shown) = (run.clone(), bar.clone());
    let feeder = tokio::spawn(async move {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            tick.tick().await;
            let progress = run.progress();
            shown.set_length(progress.known());
            shown.set_position(progress.done());
            shown.set_message(format!("{} running", progress.running()));
        }
    });
    Bar { bar, feeder }
}
