//! What of a sandbox holds on this machine: asked of a supervisor once, because some of it can only be found out by a
//! process that gives its rights away.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::arguments;

static SUPPORT: OnceLock<SandboxSupport> = OnceLock::new();

/// Which layers there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxSupport {
    /// The version of Landlock's interface; 0 without Landlock.
    pub landlock: u32,
    /// Why calls can't be filtered; none if they can.
    pub seccomp_problem: Option<String>,
    /// Why there are no namespaces; none if there are.
    pub namespace_problem: Option<String>,
    /// Why nothing of it is known.
    pub problem: Option<String>,
}

impl SandboxSupport {
    /// Returns what holds here. The first call starts a program and waits for it, some milliseconds.
    pub fn here(supervisor: &Path) -> &'static Self {
        SUPPORT.get_or_init(|| {
            Self::probe(supervisor).unwrap_or_else(|why| Self { problem: Some(why), ..Self::default() })
        })
    }

    /// Returns what holds here if that is known already.
    pub fn known() -> Option<&'static Self> {
        SUPPORT.get()
    }

    fn probe(supervisor: &Path) -> Result<Self, String> {
        let mut command = Command::new(supervisor);
        command.args(arguments::probing()).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().map_err(|error| format!("the supervisor can't be started: {error}"))?;
        Self::read(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| "the supervisor said nothing".to_owned())
    }

    /// Returns whether commands are confined at all.
    pub fn holds(&self) -> bool {
        self.landlock > 0 && self.seccomp_problem.is_none() && self.problem.is_none()
    }

    /// Returns whether parts of writable folders can be closed.
    pub fn has_namespaces(&self) -> bool {
        self.namespace_problem.is_none()
    }

    /// Returns whether signals to other programs and their abstract sockets are kept from commands.
    pub fn has_scopes(&self) -> bool {
        self.landlock >= 6
    }

    /// Says why there is no sandbox, if there is none.
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self { problem: Some(why), .. } => Some(why.clone()),
            Self { landlock: 0, .. } => Some("this kernel has no Landlock".to_owned()),
            Self { seccomp_problem: Some(why), .. } => Some(format!("calls can't be filtered: {why}")),
            _ => None,
        }
    }

    pub(super) fn write(&self) -> String {
        let written = |problem: &Option<String>| problem.clone().unwrap_or_default().replace('\n', " ");
        let (seccomp, namespaces) = (written(&self.seccomp_problem), written(&self.namespace_problem));
        format!("landlock={}\nseccomp={seccomp}\nnamespaces={namespaces}\n", self.landlock)
    }

    fn read(text: &str) -> Option<Self> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let problem = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(Self {
            landlock: value("landlock")?.parse().ok()?,
            seccomp_problem: problem(value("seccomp")?),
            namespace_problem: problem(value("namespaces")?),
            problem: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_reads_back() {
        let all = SandboxSupport { landlock: 7, ..SandboxSupport::default() };
        let little = SandboxSupport {
            landlock: 1,
            namespace_problem: Some("no = user\nnamespaces".into()),
            ..SandboxSupport::default()
        };
        assert_eq!(SandboxSupport::read(&all.write()), Some(all.clone()));
        let read = SandboxSupport::read(&little.write()).unwrap();
        assert_eq!(read.namespace_problem.as_deref(), Some("no = user namespaces"));
        assert!(all.holds() && all.has_scopes() && all.has_namespaces() && all.why_not().is_none());
        assert!(read.holds() && !read.has_scopes() && !read.has_namespaces());
        assert_eq!(SandboxSupport::read("landlock=\n"), None);
        let none = SandboxSupport::default();
        assert!(!none.holds() && none.why_not().unwrap().contains("no Landlock"));
    }
}
