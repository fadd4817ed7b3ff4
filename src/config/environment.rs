//! Environment variables. Those with keys are removed from the environment, out of reach of other programs.
//!
//! A program's environment is inherited by every program it starts, and on Linux it can be read as a file by other
//! processes of the same user: a command run by the agent would find the keys of its parent process. So keys are read
//! once, stored here, and overwritten in the environment, and the process is protected from others of the same user.
//! What the user's own shell exports stays in that shell: only a sandbox keeps a command from reading it there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

/// The variables removed from the environment.
static TAKEN_VARIABLES: Mutex<BTreeMap<String, SecretString>> = Mutex::new(BTreeMap::new());

/// Returns a variable, also if it was removed from the environment.
pub fn variable(name: &str) -> Option<String> {
    let kept = lock_taken().get(name).map(|value| value.expose_secret().to_owned());
    kept.or_else(|| std::env::var(name).ok())
}

/// Returns the names of the removed variables.
pub fn taken_names() -> Vec<String> {
    lock_taken().keys().cloned().collect()
}

/// Returns the values of the removed variables.
pub fn taken_values() -> Vec<SecretString> {
    lock_taken().values().cloned().collect()
}

/// Removes variables from the environment and protects the process from other programs of the same user. Called once,
/// before any program is started. If the system doesn't support that, the variables are still hidden from programs
/// started with [`without_keys`].
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

/// Removes the variables from a command's environment.
pub fn without_keys(command: &mut Command) -> &mut Command {
    for name in lock_taken().keys() {
        command.env_remove(name);
    }
    command
}

/// Gives a command the variables that were removed, except these: for a program that the person runs as their own.
pub fn restore_keys(command: &mut Command, except: &[String]) {
    for (name, value) in lock_taken().iter() {
        if except.contains(name) {
            command.env_remove(name);
        } else {
            command.env(name, value.expose_secret());
        }
    }
}

/// Otherwise programs of the same user could read this process's memory, and a core dump would contain the keys. Child
/// processes are not protected.
fn protect_process() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::debug!("other programs may look into this process: {error}");
    }
}

/// Returns whether other programs of the same user are kept from reading this process.
pub fn is_process_protected() -> bool {
    #[cfg(target_os = "linux")]
    return matches!(nix::sys::prctl::get_dumpable(), Ok(false));
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Overwrites values where the system placed them when the program started.
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

/// Returns the address of the environment in memory: field 50 of proc_pid_stat(5). The name in field 2 may contain
/// anything.
fn environment_start(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(50 - 3)?.parse().ok().filter(|start| *start != 0)
}

/// Returns the ranges of the variables' values in the environment. O(environment).
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
    // Every change is a single insertion, so the data behind a poisoned lock is intact.
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
    fn a_program_of_the_person_gets_what_was_taken_but_for_our_own() {
        for name in ["RESTORED_KEY", "OUR_SERVER_TOKEN"] {
            lock_taken().insert(name.to_owned(), "s3cret".into());
        }
        let mut command = Command::new("true");
        restore_keys(&mut command, &["OUR_SERVER_TOKEN".to_owned()]);
        let value = |name: &str| command.get_envs().find(|(known, _)| *known == name).map(|(_, value)| value);
        assert_eq!(value("RESTORED_KEY"), Some(Some("s3cret".as_ref())));
        assert_eq!(value("OUR_SERVER_TOKEN"), Some(None));
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
