//! Takes rights away from the thread that calls it, for good; what it starts has them no more. Files by Landlock, calls
//! by seccomp.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, LandlockStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetStatus, Scope, path_beneath_rules,
};

use super::arguments::SupervisorPlan;
use super::carve::paths_around;
use super::seccomp;

/// The rights that are taken; of those a kernel doesn't know it takes what it can.
const RIGHTS: ABI = ABI::V5;
/// What programs write to that is no file.
const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];

/// Confines this thread.
///
/// # Errors
///
/// Fails if a layer doesn't hold; nothing may be started then.
pub(super) fn confine_thread(plan: &SupervisorPlan) -> Result<(), String> {
    restrict_files(plan)?;
    seccomp::filter_calls(plan)
}

/// Returns the version of Landlock, and why calls can't be filtered. The thread is confined afterwards.
pub(super) fn probe() -> (u32, Option<String>) {
    let plan = SupervisorPlan::default();
    let landlock = restrict_files(&plan).unwrap_or(0);
    (landlock, seccomp::filter_calls(&plan).err())
}

fn restrict_files(plan: &SupervisorPlan) -> Result<u32, String> {
    let failed = |error: landlock::RulesetError| format!("Landlock: {error}");
    let policy = &plan.policy;
    // Where a namespace hides what is closed, everything that is left may be read.
    let readable =
        if plan.has_namespaces { vec![PathBuf::from("/")] } else { paths_around(&policy.closed, &policy.write) };
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let written: BitFlags<AccessFs> =
        AccessFs::from_all(RIGHTS) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))
        .and_then(|rules| rules.scope(Scope::AbstractUnixSocket | Scope::Signal))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/"], AccessFs::ReadDir)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&readable, AccessFs::from_read(RIGHTS))))
        .and_then(|rules| rules.add_rules(path_beneath_rules(DEVICES, device)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&policy.write, written)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(failed)?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => Err("Landlock: this kernel has none".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as u32),
        _ => Err("Landlock: it is not enabled".to_owned()),
    }
}
