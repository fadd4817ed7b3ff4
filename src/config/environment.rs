//! The variables of the environment, of which those that hold keys are taken out of other programs' reach.
//!
//! A program's environment is inherited by every program it starts, and on Linux it can be read as a file by whoever
//! may look into the process: a command that the agent runs would find the keys in its parent's. So they are read once,
//! kept here, and wiped where they stood; and the process is closed to others of the same person. What the person's own
//! shell exports stays in that shell: only a sandbox keeps a command from reading it there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

/// What was taken out of the environment.
static TAKEN_VARIABLES: Mutex<BTreeMap<String, SecretString>> = Mutex::new(BTreeMap::new());

/// Returns a variable, one that was taken out too.
pub fn variable(name: &str) -> Option<String> {
    let kept = lock_taken().get(name).map(|value| value.expose_secret().to_owned());
    kept.or_else(|| std::env::var(name).ok())
}

/// Returns the names of what was taken out.
pub fn taken_names() -> Vec<String> {
    lock_taken().keys().cloned().collect()
}

/// Returns the values that were taken out.
pub fn taken_values() -> Vec<SecretString> {
    lock_taken().values().cloned().collect()
}

/// Takes variables out of the environment and closes the process to other programs of the same person. Called once,
/// before anything is started. Where the system gives no way to, the variables are still kept from what is started
/// with [`without_keys`].
pub fn take_variables(names: &[String]) {
    let mut taken = lock_taken();
    for name in names {
        if let Ok(value) = std::env::var(name)
            && !value.is_empty()
        {
            taken.insert(name.clone(), value.into());
        }
    }
    let names: Vec<&str> = taken.keys().map(String::as_str).collect();
    if !names.is_empty()
        && let Err(error) = wipe_values(&names)
    {
        tracing::debug!("the keys stay in the environment of this process: {error}");
    }
    protect_process();
}

/// Keeps what was taken out from a program that is started.
pub fn without_keys(command: &mut Command) -> &mut Command {
    for name in lock_taken().keys() {
        command.env_remove(name);
    }
    command
}

/// Without it, whoever runs as the same person may read this process's memory. A core dump would have the keys as well.
/// What this process starts is as open as ever.
fn protect_process() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::debug!("other programs may look into this process: {error}");
    }
}

/// Returns whether other programs of the same person are kept from looking into this process.
pub fn is_process_protected() -> bool {
    #[cfg(target_os = "linux")]
    return matches!(nix::sys::prctl::get_dumpable(), Ok(false));
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Overwrites values where the system put them when the program began.
fn wipe_values(names: &[&str]) -> std::io::Result<()> {
    let environment = fs::read("/proc/self/environ")?;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let start = environment_start(&stat).ok_or(std::io::ErrorKind::InvalidData)?;
    let mut memory = None;
    for (offset, length) in value_ranges(&environment, names) {
        let memory = match &mut memory {
            Some(memory) => memory,
            None => memory.insert(File::options().write(true).open("/proc/self/mem")?),
        };
        memory.seek(SeekFrom::Start(start + offset as u64))?;
        memory.write_all(&vec![0; length])?;
    }
    Ok(())
}

/// Returns where the environment begins in memory: field 50 of proc_pid_stat(5). The name in field 2 may hold anything.
fn environment_start(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(50 - 3)?.parse().ok().filter(|start| *start != 0)
}

/// Returns where the values of variables stand and how long they are. O(environment).
fn value_ranges(environment: &[u8], names: &[&str]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut at = 0;
    for entry in environment.split(|byte| *byte == 0) {
        let equals = entry.iter().position(|byte| *byte == b'=');
        if let Some(equals) = equals
            && names.iter().any(|name| name.as_bytes() == &entry[..equals])
        {
            places.push((at + equals + 1, entry.len() - equals - 1));
        }
        at += entry.len() + 1;
    }
    places
}

fn lock_taken() -> MutexGuard<'static, BTreeMap<String, SecretString>> {
    // Every change is one insertion, so what a poisoned lock guards is whole.
    TAKEN_VARIABLES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_the_whole_name() {
        let environment = b"A=1\0KEY=sk-1\0MY_KEY=2\0EMPTY=\0odd\0KEY=x=y\0";
        let found = |names: &[&str]| -> Vec<&[u8]> {
            value_ranges(environment, names).into_iter().map(|(at, length)| &environment[at..at + length]).collect()
        };
        assert_eq!(found(&["KEY"]), [&b"sk-1"[..], b"x=y"]);
        assert_eq!(found(&["EMPTY", "odd", "B"]), [&b""[..]]);
    }

    #[test]
    fn the_place_of_the_environment_is_read_whatever_the_program_is_called() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        assert_eq!(environment_start(&format!("7 (a) b (c)) {}", fields.join(" "))), Some(50));
        assert_eq!(environment_start("7 (a) S 1"), None);
        #[cfg(target_os = "linux")]
        assert!(environment_start(&fs::read_to_string("/proc/self/stat").unwrap()).is_some());
    }
}
