//! What holds for every command of a person's sessions, and what comes of it for a command in a folder.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{SandboxLimits, SandboxPolicy, SandboxSupport, SandboxedCommand, arguments, hidden_variables};
use crate::event::SandboxNote;

/// In the working folders: read, but not written. What stands there is done or believed later, outside.
const KEPT: &[&str] = &[".git", ".jarvis"];
/// In the person's folder: neither read nor written, because keys are in it.
const CLOSED_AT_HOME: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".config/gcloud",
    ".config/gh",
    ".docker/config.json",
    ".netrc",
    ".git-credentials",
    ".pypirc",
    ".cargo/credentials.toml",
];
/// In the person's folder: not written where they work in that very folder, because it is run later.
const KEPT_AT_HOME: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".gitconfig",
    ".config/git",
    ".config/fish",
    ".config/autostart",
    ".config/systemd",
    ".local/bin",
    ".cargo/bin",
    ".cargo/config.toml",
];
const TEMPORARY: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];
/// In words, at most so many places.
const MAX_NAMED: usize = 3;

/// What the person set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxSettings {
    pub network: bool,
    /// Further places that are written.
    pub write: Vec<PathBuf>,
    /// Variables that are not hidden.
    pub env: Vec<String>,
    /// Of each process; 0 is three quarters of the machine's.
    pub memory_bytes: u64,
    pub processes: u64,
}

/// The rules of a sandbox for any folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxRules {
    settings: SandboxSettings,
    supervisor: PathBuf,
    pub(super) home: Option<PathBuf>,
    /// Neither read nor written.
    closed: Vec<PathBuf>,
}

/// Returns the folders of temporary files.
pub(super) fn temporary() -> impl Iterator<Item = PathBuf> {
    TEMPORARY.iter().map(PathBuf::from).chain([std::env::temp_dir()])
}

impl SandboxRules {
    /// `own` are the folders of this program: its settings, sessions and logs. `supervisor` is what
    /// [`supervisor`](super::supervisor) returns.
    pub fn new(
        settings: SandboxSettings,
        own: impl IntoIterator<Item = PathBuf>,
        home: Option<PathBuf>,
        supervisor: PathBuf,
    ) -> Self {
        let at_home = home.iter().flat_map(|home| CLOSED_AT_HOME.iter().map(|path| home.join(path)));
        let closed = own.into_iter().chain(at_home).collect();
        Self { settings, supervisor, home, closed }
    }

    /// Returns what holds on this machine. The first call starts a program and waits for it, some milliseconds.
    pub fn support(&self) -> &'static SandboxSupport {
        SandboxSupport::here(&self.supervisor)
    }

    /// The same, and nothing else waits for it.
    pub async fn ask_support(self: &Arc<Self>) -> &'static SandboxSupport {
        if let Some(known) = SandboxSupport::known() {
            return known;
        }
        let asking = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || asking.support()).await;
        asked.unwrap_or_else(|_| self.support())
    }

    /// Returns how a program is started by a supervisor; none where nothing confines it. Who starts it ends it with
    /// [`END_NOW`](super::END_NOW), and not with SIGKILL: what is killed so can end nothing.
    pub fn command(
        &self,
        policy: &SandboxPolicy,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Option<SandboxedCommand> {
        let support = Some(self.support()).filter(|support| support.holds() || policy.is_open)?;
        let mut all = arguments::written(policy, support.has_namespaces() && !policy.is_open);
        all.push(program.as_ref().to_owned());
        all.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        Some(SandboxedCommand { program: self.supervisor.clone().into(), arguments: all })
    }

    /// Returns the variables that commands don't get.
    pub fn hidden_variables(&self) -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        hidden_variables(names, &self.settings.env)
    }

    /// Returns what a command may do that works in `folder`.
    pub fn policy(&self, folder: &Path, extra_folders: &[PathBuf], time: Duration) -> SandboxPolicy {
        let folders = std::iter::once(folder).chain(extra_folders.iter().map(PathBuf::as_path));
        let folders: Vec<&Path> = folders.chain(self.settings.write.iter().map(PathBuf::as_path)).collect();
        let mut read_only: Vec<PathBuf> =
            folders.iter().flat_map(|folder| KEPT.iter().map(|name| folder.join(name))).collect();
        if let Some(home) = self.home.as_ref().filter(|home| folders.iter().any(|folder| home.starts_with(folder))) {
            read_only.extend(KEPT_AT_HOME.iter().map(|path| home.join(path)));
        }
        let write = folders.into_iter().map(Path::to_owned).chain(temporary()).collect();
        let memory_bytes = match self.settings.memory_bytes {
            0 => machine_memory() / 4 * 3,
            bytes => bytes,
        };
        SandboxPolicy {
            folder: folder.to_owned(),
            write,
            read_only,
            closed: self.closed.clone(),
            network: self.settings.network,
            is_open: false,
            is_lasting: false,
            limits: SandboxLimits { memory_bytes, processes: self.settings.processes, time },
        }
    }
}

impl SandboxPolicy {
    /// Says for a question whether a command would run inside, and what doesn't hold here.
    pub fn note(&self, support: &SandboxSupport) -> SandboxNote {
        if let Some(why) = support.why_not() {
            return SandboxNote { text: format!("none: {why}; it can do what you can"), leaves: false };
        }
        let network = if self.network { "with network" } else { "no network" };
        let mut text = format!("inside: writes only in the folder and temp, {network}");
        let open = self.left_open(support);
        if !open.is_empty() {
            let named: Vec<String> = open.iter().take(MAX_NAMED).map(|path| path.display().to_string()).collect();
            let more = if open.len() > MAX_NAMED { " and more" } else { "" };
            let named = named.join(", ");
            // Writing to a string doesn't fail.
            let _ = write!(text, "; this kernel can't close {named}{more}");
        }
        SandboxNote { text, leaves: false }
    }

    /// What of a question says that a command would run outside.
    pub fn note_outside(reason: Option<&str>) -> SandboxNote {
        let why = reason.map(|reason| format!(", because: {reason}")).unwrap_or_default();
        SandboxNote { text: format!("OUTSIDE, as it asks: it can do what you can{why}"), leaves: true }
    }

    /// Returns what is there and can't be closed because it is in a folder that is written.
    pub fn left_open(&self, support: &SandboxSupport) -> Vec<PathBuf> {
        if support.has_namespaces() {
            return Vec::new();
        }
        let is_written = |path: &Path| self.write.iter().any(|folder| path.starts_with(folder));
        let both = self.read_only.iter().chain(&self.closed);
        let mut open: Vec<PathBuf> = both.filter(|path| is_written(path) && path.exists()).cloned().collect();
        open.dedup();
        open
    }
}

/// Returns the memory of this machine, `MemTotal` of proc_meminfo(5); 0 if nobody knows.
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|total| total.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(home: &Path) -> SandboxRules {
        let own = home.join(".local/state/jarvis-tui");
        SandboxRules::new(SandboxSettings::default(), [own], Some(home.to_owned()), PathBuf::from("absent"))
    }

    #[test]
    fn a_command_writes_in_its_folder_and_what_is_believed_later_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("work");
        std::fs::create_dir_all(folder.join(".git")).unwrap();
        let policy = rules(home.path()).policy(&folder, &[], Duration::ZERO);
        assert_eq!(policy.write[0], folder);
        assert!(policy.write.contains(&PathBuf::from("/tmp")) && !policy.network);
        assert!(policy.read_only.contains(&folder.join(".git")) && policy.read_only.contains(&folder.join(".jarvis")));
        assert!(policy.closed.contains(&home.path().join(".ssh")));
        assert!(!policy.read_only.contains(&home.path().join(".bashrc")));
        let at_home = rules(home.path()).policy(home.path(), &[], Duration::ZERO);
        assert!(at_home.read_only.contains(&home.path().join(".bashrc")));
    }

    #[test]
    fn a_question_says_what_does_not_hold() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("work/.git")).unwrap();
        let policy = rules(home.path()).policy(&home.path().join("work"), &[], Duration::ZERO);
        let all = SandboxSupport { landlock: 7, ..SandboxSupport::default() };
        assert_eq!(policy.note(&all).text, "inside: writes only in the folder and temp, no network");
        let some = SandboxSupport { namespace_problem: Some("no".into()), ..all };
        assert!(
            policy.note(&some).text.contains("this kernel can't close") == std::env::temp_dir().starts_with("/tmp")
        );
        let none = policy.note(&SandboxSupport::default());
        assert!(none.text.starts_with("none: ") && !none.leaves);
        assert!(SandboxPolicy::note_outside(Some("x")).leaves);
    }
}
