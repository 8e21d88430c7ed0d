//! The same work without zahir.

use std::path::Path;
use std::sync::mpsc;

use futures_util::stream::{self, StreamExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Outcome;

async fn step(value: u64) -> u64 {
    value + 1
}

/// A task for each job, one after the other.
pub async fn chain(length: u64) -> Outcome<u64> {
    let mut value = 0;
    for _ in 0..length {
        value = tokio::spawn(step(value)).await?;
    }
    Ok(value)
}

/// A task for each job, all at once, and their sum.
pub async fn fan(width: u64) -> Outcome<u64> {
    let tasks: Vec<_> = (0..width).map(|value| tokio::spawn(step(value))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await?;
    }
    Ok(sum)
}

/// A task for each of five jobs in a row.
async fn five(from: u64) -> Outcome<u64> {
    let mut value = from;
    for _ in 0..5 {
        value = tokio::spawn(step(value)).await?;
    }
    Ok(value)
}

pub async fn five_many(runs: u64, at_once: usize) -> Outcome {
    let mut all = stream::iter(0..runs)
        .map(|from| async move {
            assert_eq!(five(from).await?, from + 5);
            Outcome::Ok(())
        })
        .buffer_unordered(at_once);
    while let Some(run) = all.next().await {
        run?;
    }
    Ok(())
}

/// Tasks that wait for ever.
pub async fn pending(count: u64) -> Vec<JoinHandle<u64>> {
    let tasks = (0..count).map(|value| {
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            value
        })
    });
    let tasks: Vec<_> = tasks.collect();
    tokio::task::yield_now().await;
    tasks
}

/// The floor of a durable engine: boxed jobs in a row, and one thread that writes whatever waits in
/// one redb transaction, two-phase as zahir's.
pub struct Journal {
    writer: mpsc::Sender<(u64, Vec<u8>, oneshot::Sender<()>)>,
}

const ROWS: redb::TableDefinition<'_, (u64, u64), &[u8]> = redb::TableDefinition::new("rows");

impl Journal {
    pub fn create(path: &Path) -> Outcome<Self> {
        let database = redb::Database::create(path)?;
        let (writer, queue) = mpsc::channel::<(u64, Vec<u8>, oneshot::Sender<()>)>();
        std::thread::spawn(move || {
            let mut row = 0;
            while let Ok(first) = queue.recv() {
                let batch: Vec<_> = std::iter::once(first)
                    .chain(queue.try_iter().take(1_023))
                    .collect();
                let mut write = database.begin_write().expect("a writer");
                write.set_two_phase_commit(true);
                {
                    let mut rows = write.open_table(ROWS).expect("a table");
                    for (run, bytes, _) in &batch {
                        row += 1;
                        rows.insert((*run, row), bytes.as_slice()).expect("a row");
                    }
                }
                write.commit().expect("a commit");
                for (_, _, done) in batch {
                    // Whoever asked may have gone.
                    done.send(()).ok();
                }
            }
        });
        Ok(Self { writer })
    }

    async fn write(&self, run: u64, bytes: usize) -> Outcome {
        let (done, written) = oneshot::channel();
        self.writer.send((run, vec![7; bytes], done))?;
        Ok(written.await?)
    }

    async fn five(&self, from: u64) -> Outcome {
        self.write(from, 120).await?;
        let mut value = from;
        for _ in 0..5 {
            let job: std::pin::Pin<Box<dyn Future<Output = u64> + Send>> = Box::pin(step(value));
            value = job.await;
            self.write(from, 40).await?;
        }
        assert_eq!(value, from + 5);
        Ok(())
    }

    pub async fn five_many(&self, runs: u64, at_once: usize) -> Outcome {
        let mut all = stream::iter(0..runs)
            .map(|from| self.five(from))
            .buffer_unordered(at_once);
        while let Some(run) = all.next().await {
            run?;
        }
        Ok(())
    }

    /// So many commits of one row, one after the other.
    pub async fn commits(&self, count: u64) -> Outcome {
        for row in 0..count {
            self.write(row, 40).await?;
        }
        Ok(())
    }
}
