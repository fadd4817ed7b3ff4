//! Recordings as files: written while they are heard, or saved from what was kept.

use std::io;
use std::path::Path;

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::sync::mpsc;

use super::line::RecordLine;
use crate::event::Millis;
use crate::private;

/// Makes or replaces a file, the owner's alone.
pub(super) async fn create(path: &Path) -> io::Result<File> {
    private_options().write(true).create(true).truncate(true).open(path).await
}

/// Writes lines as a recording that begins with the first of them into a file that must not exist yet; the owner's alone.
pub async fn save(path: &Path, lines: &[RecordLine]) -> io::Result<()> {
    let mut file = BufWriter::new(private_options().write(true).create_new(true).open(path).await?);
    let began = lines.first().map_or(Millis(0), RecordLine::at);
    for line in lines {
        file.write_all(&line.clone().relative_to(began).to_jsonl()?).await?;
    }
    file.flush().await
}

fn private_options() -> OpenOptions {
    OpenOptions::from(private::open_options())
}

/// Writes lines as they come.
pub(super) async fn write(file: File, mut heard: mpsc::Receiver<RecordLine>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut batch = Vec::new();
    while heard.recv_many(&mut batch, 64).await > 0 {
        for line in batch.drain(..) {
            file.write_all(&line.to_jsonl()?).await?;
        }
        // A program that is killed leaves a recording all the same.
        file.flush().await?;
    }
    Ok(())
}
