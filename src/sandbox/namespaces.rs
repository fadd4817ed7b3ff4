//! Namespaces of the command's own: what is closed is covered by something empty, what must stay as it is can't be
//! written, and without a network there is only the machine itself.
//!
//! The process gives nothing away by entering them: it has no rights afterwards that it didn't have. The command can't
//! undo a mount, because Landlock denies that.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::arguments::SupervisorPlan;

/// Sockets of other programs that are covered.
const MAX_SOCKETS: usize = 512;
const NOTHING: &str = "/dev/null";
/// What a mount doesn't say.
const NONE: Option<&str> = None;

/// Enters namespaces and covers what the plan closes. The process must have one thread only.
pub(super) fn enter(plan: &SupervisorPlan) -> Result<(), String> {
    let policy = &plan.policy;
    // Before the network is another one: the list is of one network.
    let sockets = sockets_outside(plan.folder());
    let (user, group) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    if !policy.network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    // Other users' files are nobody's in a namespace with one user: root, who may write them, stays outside.
    let owner = fs::metadata(plan.folder()).map_or(user.as_raw(), |folder| folder.uid());
    let is_own_user = !user.is_root() || owner == user.as_raw();
    if is_own_user {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|error| format!("no namespaces: {error}"))?;
    if is_own_user {
        let map = |file: &str, text: &str| fs::write(file, text).map_err(|error| format!("{file}: {error}"));
        map("/proc/self/setgroups", "deny")?;
        map("/proc/self/uid_map", &format!("{user} {user} 1"))?;
        map("/proc/self/gid_map", &format!("{group} {group} 1"))?;
    }
    let quiet = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(NONE, "/", NONE, quiet, NONE).map_err(|error| format!("no mounts of its own: {error}"))?;
    for path in existing(&policy.read_only) {
        bind_read_only(&path).map_err(|error| format!("{} can't be kept as it is: {error}", path.display()))?;
    }
    let is_used = |path: &Path| policy.write.iter().any(|used| used.starts_with(path));
    for path in existing(&policy.closed).into_iter().filter(|path| !is_used(path)) {
        cover(&path).map_err(|error| format!("{} can't be closed: {error}", path.display()))?;
    }
    for path in sockets {
        // Where there is no way to it for us, there is none for the command.
        let _ = mount(Some(NOTHING), &path, NONE, MsFlags::MS_BIND, NONE);
    }
    // The folder as it is now, with what was mounted in it.
    let here = std::env::current_dir().map_err(|error| format!("no working folder: {error}"))?;
    std::env::set_current_dir(&here).map_err(|error| format!("{}: {error}", here.display()))
}

/// Returns the paths that are there, without links, each once.
fn existing(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    paths.iter().filter_map(|path| path.canonicalize().ok()).collect()
}

fn bind_read_only(path: &Path) -> nix::Result<()> {
    mount(Some(path), path, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    // What a mount forbids already has to be forbidden again, or it can't be changed.
    let usual = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let tried = mount(NONE, path, NONE, usual, NONE);
    tried.or_else(|_| mount(NONE, path, NONE, usual | MsFlags::MS_NOEXEC, NONE))
}

fn cover(path: &Path) -> nix::Result<()> {
    if !path.is_dir() {
        return mount(Some(NOTHING), path, NONE, MsFlags::MS_BIND, NONE);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some("none"), path, Some("tmpfs"), flags, Some("size=4k,mode=0555"))
}

/// Returns the sockets at which other programs listen: who reaches the desktop's bus or a container's service has
/// commands run outside. Those in the folder are its own.
fn sockets_outside(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read("/proc/net/unix").unwrap_or_default();
    let path = |line: &[u8]| -> Option<PathBuf> {
        let at = line.iter().position(|byte| *byte == b'/')?;
        Some(PathBuf::from(OsStr::from_bytes(&line[at..])))
    };
    let paths: BTreeSet<PathBuf> = list.split(|byte| *byte == b'\n').filter_map(path).collect();
    let is_socket = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    paths.into_iter().filter(|path| !path.starts_with(folder)).filter(is_socket).take(MAX_SOCKETS).collect()
}
