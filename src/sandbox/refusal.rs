//! PURE. Tells from what a failed command printed whether the sandbox was in its way. The kernel tells nobody, so this
//! goes by the words in which programs say it.

/// A line that is longer is no message.
const MAX_LINE_BYTES: usize = 400;
/// How much of the end is looked at.
const MAX_LINES: usize = 200;

const NO_WRITE: &[&str] = &[
    "permission denied",
    "operation not permitted",
    "read-only file system",
    "cross-device link",
    "eacces",
    "eperm",
    "erofs",
    "exdev",
];
const NO_NETWORK: &[&str] = &[
    "network is unreachable",
    "could not resolve",
    "couldn't resolve",
    "unable to resolve",
    "failure in name resolution",
    "name or service not known",
    "no address associated",
    "no such host",
    "failed to lookup address",
    "dns error",
    "getaddrinfo",
    "enetunreach",
    "eai_again",
    "enotfound",
    "address family not supported",
    "failed to establish a new connection",
];
const NO_MEMORY: &[&str] =
    &["cannot allocate memory", "out of memory", "memory allocation of", "memoryerror", "std::bad_alloc"];
const NO_PROCESSES: &[&str] = &["resource temporarily unavailable", "cannot fork", "fork: retry"];

/// What a sandbox refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Write,
    Network,
    Memory,
    Processes,
}

/// Says what the sandbox refused, by the output of a command that failed; `has_network` if it has one.
pub fn explain_refusal(output: &str, has_network: bool) -> Option<String> {
    let (what, line) = output.lines().rev().take(MAX_LINES).find_map(|line| {
        let line = line.trim();
        if line.len() > MAX_LINE_BYTES {
            return None;
        }
        let lower = line.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
        let what = if !has_network && says(NO_NETWORK) {
            Refusal::Network
        } else if says(NO_WRITE) {
            Refusal::Write
        } else if says(NO_PROCESSES) {
            Refusal::Processes
        } else if says(NO_MEMORY) {
            Refusal::Memory
        } else {
            return None;
        };
        Some((what, line))
    })?;
    let what = match what {
        Refusal::Write => "a file or a call outside of what it allows",
        Refusal::Network => "the network",
        Refusal::Memory => "more memory",
        Refusal::Processes => "more processes",
    };
    Some(format!("the sandbox refused {what}, it seems: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say_when_they_are_refused_is_recognized() {
        for (line, what) in [
            ("touch: cannot touch '/etc/x': Permission denied", Some("a file or a call")),
            ("fatal: Unable to create '/w/.git/index.lock': Read-only file system", Some("a file or a call")),
            ("Error: EACCES: permission denied, open '/home/me/x'", Some("a file or a call")),
            ("curl: (6) Could not resolve host: example.org", Some("the network")),
            ("ping: connect: Network is unreachable", Some("the network")),
            ("socket.gaierror: [Errno -3] Temporary failure in name resolution", Some("the network")),
            ("bash: fork: retry: Resource temporarily unavailable", Some("more processes")),
            ("memory allocation of 9 bytes failed", Some("more memory")),
            ("assertion failed: left == right", None),
        ] {
            let said = explain_refusal(&format!("some output\n{line}\nmake: *** [all] Error 1\n"), false);
            assert_eq!(said.is_some(), what.is_some(), "{line}");
            assert!(said.is_none_or(|said| said.contains(what.unwrap()) && said.contains(line)));
        }
        assert_eq!(explain_refusal("curl: (6) Could not resolve host: example.org", true), None);
        assert_eq!(explain_refusal("", false), None);
    }
}
