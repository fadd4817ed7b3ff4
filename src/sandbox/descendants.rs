//! The processes that came of a command: found by their parents, which the kernel keeps, and ended whatever they do
//! about it.

use std::collections::{HashMap, HashSet};
use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// After so many rounds something can't be killed: it hangs in the kernel.
const MAX_ROUNDS: usize = 500;
/// Processes that start others faster than they are stopped are killed as they are.
const MAX_FREEZES: usize = 50;

/// What is left of the children of this process.
pub(super) enum Reaped {
    /// None is.
    All,
    /// Some run.
    Some,
}

/// Takes the statuses of children that ended; tells each.
pub(super) fn reap(mut ended: impl FnMut(Pid, WaitStatus)) -> Reaped {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return Reaped::Some,
            Ok(status) => {
                if let Some(pid) = status.pid() {
                    ended(pid, status);
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) => return Reaped::All,
        }
    }
}

/// Returns the processes below this one that have not ended. O(processes of the machine).
pub(super) fn running() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid else { continue };
        let Ok(stat) = fs::read(entry.path().join("stat")) else { continue };
        if let Some((parent, is_over)) = parent_of(&stat) {
            children.entry(parent).or_default().push((pid, is_over));
        }
    }
    let mut below = Vec::new();
    let mut parents = vec![std::process::id().cast_signed()];
    while let Some(parent) = parents.pop() {
        for (pid, is_over) in children.remove(&parent).unwrap_or_default() {
            parents.push(pid);
            if !is_over {
                below.push(Pid::from_raw(pid));
            }
        }
    }
    below
}

/// Returns the parent in a line of proc_pid_stat(5), and whether the process is a zombie. Its name may hold anything.
fn parent_of(stat: &[u8]) -> Option<(i32, bool)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    Some((fields.next()?.parse().ok()?, matches!(state, "Z" | "X")))
}

/// Sends a signal to every process below this one.
pub(super) fn signal_all(signal: Signal) {
    for pid in running() {
        let _ = kill(pid, signal);
    }
}

/// Kills every process below this one. They are stopped first: none starts another while the others are killed. `wait`
/// is called between two looks. Returns whether nothing is left.
pub(super) fn kill_all(wait: impl Fn(), mut ended: impl FnMut(Pid, WaitStatus)) -> bool {
    for _ in 0..MAX_ROUNDS {
        if matches!(reap(&mut ended), Reaped::All) {
            return true;
        }
        let mut frozen = HashSet::new();
        for _ in 0..MAX_FREEZES {
            let fresh: Vec<Pid> = running().into_iter().filter(|pid| frozen.insert(*pid)).collect();
            if fresh.is_empty() {
                break;
            }
            for pid in fresh {
                let _ = kill(pid, Signal::SIGSTOP);
            }
        }
        for pid in frozen {
            let _ = kill(pid, Signal::SIGKILL);
        }
        if matches!(reap(&mut ended), Reaped::All) {
            return true;
        }
        wait();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_whatever_the_process_is_called() {
        assert_eq!(parent_of(b"12 (a) b (\xff) S 7 12 12 0"), Some((7, false)));
        assert_eq!(parent_of(b"12 (sh) Z 1 12"), Some((1, true)));
        for wrong in [b"".as_slice(), b"12 sh S 7", b"12 (sh)", b"12 (sh) S x"] {
            assert_eq!(parent_of(wrong), None);
        }
    }
}
