//! Which cassette is used, and what differs from run to run in the requests it has.

use std::path::Path;

use crate::local_time::local_now;
use crate::net::cassette::{Cassette, CassetteError, CassetteMode};

/// Opens a cassette for sessions in this folder. The folder and the date, which the system prompt tells, may be others
/// when it is played.
pub fn open_cassette(path: &Path, mode: CassetteMode, speed: f64, folder: &Path) -> Result<Cassette, CassetteError> {
    let now = local_now();
    let stand_ins = vec![
        (folder.display().to_string(), "{folder}"),
        (now.strftime("%A, %Y-%m-%d").to_string(), "{date}"),
        (now.strftime("%Y-%m-%d").to_string(), "{date}"),
    ];
    Cassette::open(path, mode, speed, stand_ins)
}
