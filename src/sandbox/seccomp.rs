//! Which system calls a command is refused, and with what: EPERM, or ENOSYS where programs then do without.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::arguments::SupervisorPlan;

/// Calls that no command needs, and by which it could undo what keeps it, or reach what the kernel has for all.
const REFUSED: &[i64] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
];

/// Calls for which there is an older one that can be looked into, or that go around a filter.
const ABSENT: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Flags of clone(2) that make namespaces.
const NAMESPACE_FLAGS: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Requests to a terminal by which it takes input that nobody typed.
const TERMINAL_REQUESTS: &[u64] = &[0x5412, 0x541c];

/// Calls of the x32 interface have this bit, and the same numbers otherwise.
#[cfg(target_arch = "x86_64")]
const X32_BIT: i64 = 0x4000_0000;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Filters the calls of this thread and of all that it starts.
pub(super) fn filter_calls(plan: &SupervisorPlan) -> Result<(), String> {
    let failed = |error: seccompiler::Error| format!("seccomp: {error}");
    for (rules, errno) in [(refused(plan)?, libc::EPERM), (absent(), libc::ENOSYS)] {
        let action = SeccompAction::Errno(errno as u32);
        let filter = SeccompFilter::new(with_x32(rules), SeccompAction::Allow, action, architecture()?)
            .map_err(|error| failed(error.into()))?;
        let program = BpfProgram::try_from(filter).map_err(|error| failed(error.into()))?;
        apply_filter(&program).map_err(failed)?;
    }
    Ok(())
}

fn architecture() -> Result<TargetArch, String> {
    let name = std::env::consts::ARCH;
    TargetArch::try_from(name).map_err(|_| format!("seccomp: nothing is known of the calls of {name}"))
}

fn refused(plan: &SupervisorPlan) -> Result<Rules, String> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let namespaces = NAMESPACE_FLAGS.iter().map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        rule(&[(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)])
    });
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    let requests = TERMINAL_REQUESTS.iter();
    let requests = requests.map(|request| rule(&[(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *request)]));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    let others: Vec<_> = families(plan)
        .iter()
        .map(|family| (0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())))
        .collect();
    rules.insert(libc::SYS_socket, vec![rule(&others)?]);
    Ok(rules)
}

/// Returns the kinds of sockets that a command may make. Without namespaces nothing keeps it from the sockets of other
/// programs but that it has none, and nothing from the network.
fn families(plan: &SupervisorPlan) -> Vec<libc::c_int> {
    let mut families = vec![libc::AF_NETLINK];
    if plan.policy.network || plan.has_namespaces {
        families.extend([libc::AF_INET, libc::AF_INET6]);
    }
    if plan.has_namespaces {
        families.push(libc::AF_UNIX);
    }
    families
}

fn absent() -> Rules {
    ABSENT.iter().map(|call| (*call, Vec::new())).collect()
}

fn rule(conditions: &[(u8, SeccompCmpArgLen, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let condition = |(index, length, operator, value): &(u8, SeccompCmpArgLen, SeccompCmpOp, u64)| {
        SeccompCondition::new(*index, length.clone(), operator.clone(), *value)
    };
    let conditions = conditions.iter().map(condition).collect::<Result<Vec<_>, _>>();
    conditions.and_then(SeccompRule::new).map_err(|error| format!("seccomp: {error}"))
}

#[cfg(target_arch = "x86_64")]
fn with_x32(mut rules: Rules) -> Rules {
    let again: Vec<_> = rules.iter().map(|(call, rules)| (call | X32_BIT, rules.clone())).collect();
    rules.extend(again);
    rules
}

#[cfg(not(target_arch = "x86_64"))]
fn with_x32(rules: Rules) -> Rules {
    rules
}
