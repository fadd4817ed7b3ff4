//! What a supervisor is told, as the arguments of its program: paths need not be text.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SandboxPolicy;

pub(super) const SUPERVISOR_ARGUMENT: &str = "__sandbox";

const PROBE: &str = "probe";

/// What a process that is a supervisor is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SupervisorTask {
    /// Tell what the kernel has.
    Probe,
    Run(SupervisorPlan),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SupervisorPlan {
    /// The process whose end is the end.
    pub(super) parent: i32,
    pub(super) policy: SandboxPolicy,
    pub(super) has_namespaces: bool,
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
}

pub(super) fn probing() -> [OsString; 2] {
    [SUPERVISOR_ARGUMENT.into(), PROBE.into()]
}

/// Returns the arguments before those of the command.
pub(super) fn written(policy: &SandboxPolicy, has_namespaces: bool) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec![SUPERVISOR_ARGUMENT.into()];
    let mut add = |key: &str, value: &OsStr| {
        let mut argument = OsString::from(key);
        argument.push(value);
        all.push(argument);
    };
    let limits = policy.limits;
    for (key, number) in [
        ("parent=", u64::from(std::process::id())),
        ("memory=", limits.memory_bytes),
        ("processes=", limits.processes),
        ("time=", limits.time.as_millis() as u64),
        ("network=", u64::from(policy.network)),
        ("namespaces=", u64::from(has_namespaces)),
        ("open=", u64::from(policy.is_open)),
        ("lasting=", u64::from(policy.is_lasting)),
    ] {
        add(key, OsStr::new(&number.to_string()));
    }
    add("folder=", policy.folder.as_os_str());
    for (key, paths) in [("write=", &policy.write), ("read_only=", &policy.read_only), ("closed=", &policy.closed)] {
        for path in paths {
            add(key, path.as_os_str());
        }
    }
    all.push("--".into());
    all
}

impl SupervisorTask {
    /// Reads what follows the first argument.
    pub(super) fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut plan = SupervisorPlan::default();
        loop {
            let argument = arguments.next().ok_or("no command")?;
            if argument == PROBE {
                return Ok(Self::Probe);
            }
            if argument == "--" {
                break;
            }
            plan.add(&argument).ok_or_else(|| format!("unknown: {}", argument.display()))?;
        }
        plan.program = arguments.next().ok_or("no command")?;
        plan.arguments = arguments.collect();
        Ok(Self::Run(plan))
    }
}

impl SupervisorPlan {
    fn add(&mut self, argument: &OsStr) -> Option<()> {
        let bytes = argument.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&bytes[..at], &bytes[at + 1..]);
        let path = || PathBuf::from(OsString::from_vec(value.to_vec()));
        let number = || -> Option<u64> { std::str::from_utf8(value).ok()?.parse().ok() };
        match key {
            b"parent" => self.parent = i32::try_from(number()?).ok()?,
            b"memory" => self.policy.limits.memory_bytes = number()?,
            b"processes" => self.policy.limits.processes = number()?,
            b"time" => self.policy.limits.time = Duration::from_millis(number()?),
            b"network" => self.policy.network = number()? != 0,
            b"namespaces" => self.has_namespaces = number()? != 0,
            b"open" => self.policy.is_open = number()? != 0,
            b"lasting" => self.policy.is_lasting = number()? != 0,
            b"folder" => self.policy.folder = path(),
            b"write" => self.policy.write.push(path()),
            b"read_only" => self.policy.read_only.push(path()),
            b"closed" => self.policy.closed.push(path()),
            _ => return None,
        }
        Some(())
    }

    /// Returns the folder that the command works in.
    pub(super) fn folder(&self) -> &Path {
        if self.policy.folder.as_os_str().is_empty() { Path::new("/") } else { &self.policy.folder }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SandboxLimits;
    use super::*;

    #[test]
    fn a_plan_reads_back_whatever_a_path_is_made_of() {
        let odd = PathBuf::from(OsString::from_vec(b"/a=b/\xff --".to_vec()));
        let policy = SandboxPolicy {
            folder: "/work".into(),
            write: vec!["/work".into(), odd.clone()],
            read_only: vec![odd.join(".git")],
            closed: vec!["/home/me/.ssh".into()],
            network: true,
            is_open: true,
            is_lasting: true,
            limits: SandboxLimits { memory_bytes: 1 << 30, processes: 99, time: Duration::from_secs(5) },
        };
        let all = written(&policy, true).into_iter().skip(1).chain(["sh".into(), "--".into(), "x=y".into()]);
        let SupervisorTask::Run(plan) = SupervisorTask::read(all).unwrap() else { panic!() };
        assert_eq!((plan.policy, plan.has_namespaces, plan.parent), (policy, true, std::process::id().cast_signed()));
        assert_eq!((plan.program, plan.arguments), ("sh".into(), vec![OsString::from("--"), "x=y".into()]));
        let probe = SupervisorTask::read(probing().into_iter().skip(1));
        assert_eq!(probe, Ok(SupervisorTask::Probe));
    }

    #[test]
    fn what_is_no_plan_is_an_error() {
        for wrong in [&["write=/a"] as &[&str], &["--"], &["what=1", "--", "sh"], &["time=soon", "--", "sh"], &[]] {
            let wrong = wrong.iter().map(OsString::from);
            assert!(SupervisorTask::read(wrong).is_err());
        }
    }
}
