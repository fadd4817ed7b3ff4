//! Programs that run for as long as this one, such as servers of tools: what the person lets each do, and how that is
//! told.
//!
//! Most of them are started by a program that loads packages, which needs the network and a place for what it loads;
//! where nothing else is set they have both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules::temporary;
use super::{SandboxPolicy, SandboxRules, SandboxSupport, SandboxedCommand};

/// What a person lets a program do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccess {
    /// Whether anything is taken from it at all.
    pub is_confined: bool,
    /// Whether it may connect to other hosts.
    pub network: bool,
    /// Where it writes besides temporary files. Where nothing is said: the working folder, and the packages of what
    /// starts it.
    pub write: Option<Vec<PathBuf>>,
}

/// Where programs that load packages keep them, in the person's folder.
const PACKAGES: &[(&str, &[&str])] = &[
    ("npx", &[".npm"]),
    ("npm", &[".npm"]),
    ("uvx", &[".cache/uv", ".local/share/uv"]),
    ("uv", &[".cache/uv", ".local/share/uv"]),
    ("pipx", &[".cache/pip", ".local/share/pipx"]),
    ("bunx", &[".bun/install/cache"]),
    ("bun", &[".bun/install/cache"]),
    ("deno", &[".cache/deno"]),
];

impl SandboxRules {
    /// Returns what a program may do that works in `folder`.
    pub fn service_policy(&self, folder: &Path, program: &str, access: &ServiceAccess) -> SandboxPolicy {
        let named: Vec<PathBuf> = access.write.iter().flatten().map(|path| folder.join(path)).collect();
        let mut policy = self.policy(folder, &named, Duration::ZERO);
        match &access.write {
            Some(_) => {
                policy.write.clone_from(&named);
                policy.write.extend(temporary());
                // What the person names itself is open.
                policy.read_only.retain(|kept| !named.contains(kept));
            }
            None => policy.write.extend(self.packages(program)),
        }
        policy.network = access.network;
        policy.is_open = !access.is_confined;
        policy.is_lasting = true;
        policy
    }

    /// Returns how a program is started below a supervisor: confined where the machine can, and always ended with this
    /// program. None where there is no supervisor. Blocks for some milliseconds the first time.
    pub fn service_command(
        &self,
        policy: &SandboxPolicy,
        program: &str,
        arguments: &[String],
    ) -> Option<SandboxedCommand> {
        let support = self.support();
        if support.problem.is_some() {
            return None;
        }
        let policy = SandboxPolicy { is_open: policy.is_open || !support.holds(), ..policy.clone() };
        if !policy.is_open {
            // What is not there can't be allowed.
            for path in self.packages(program).iter().filter(|path| policy.write.contains(path)) {
                let _ = std::fs::create_dir_all(path);
            }
        }
        self.command(&policy, program, arguments)
    }

    /// Says what holds for a program, in a line.
    pub fn describe_service(&self, policy: &SandboxPolicy, support: &SandboxSupport) -> String {
        if policy.is_open {
            return "outside of the sandbox: it can do what you can".to_owned();
        }
        if let Some(why) = support.why_not() {
            return format!("no sandbox ({why}): it can do what you can");
        }
        let network = if policy.network { "network" } else { "no network" };
        let named = policy.write.iter().filter(|path| !temporary().any(|place| place == **path));
        let mut places: Vec<String> = named.map(|path| self.display(path, policy)).collect();
        places.push("temp".to_owned());
        format!("sandbox: {network}, writes {}", places.join(", "))
    }

    fn display(&self, path: &Path, policy: &SandboxPolicy) -> String {
        if path == policy.folder {
            return "the folder".to_owned();
        }
        match self.home.as_ref().and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }

    fn packages(&self, program: &str) -> Vec<PathBuf> {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let paths = PACKAGES.iter().find(|(known, _)| *known == name).map_or(&[] as &[&str], |(_, paths)| paths);
        let Some(home) = &self.home else { return Vec::new() };
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|cache| cache.is_absolute());
        let place = |path: &&str| match (path.strip_prefix(".cache/"), &cache) {
            (Some(rest), Some(cache)) => cache.join(rest),
            _ => home.join(path),
        };
        paths.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::SandboxSettings;
    use super::*;

    fn rules() -> SandboxRules {
        SandboxRules::new(SandboxSettings::default(), [], Some("/home/me".into()), "absent".into())
    }

    fn access(network: bool, write: Option<&[&str]>) -> ServiceAccess {
        let write = write.map(|paths| paths.iter().map(PathBuf::from).collect());
        ServiceAccess { is_confined: true, network, write }
    }

    #[test]
    fn what_loads_packages_may_keep_them_unless_places_are_named() {
        let told = |program: &str, access: &ServiceAccess| {
            let policy = rules().service_policy(Path::new("/work"), program, access);
            rules().describe_service(&policy, &SandboxSupport { landlock: 7, ..SandboxSupport::default() })
        };
        let usual = access(true, None);
        assert_eq!(told("/usr/bin/npx", &usual), "sandbox: network, writes the folder, ~/.npm, temp");
        assert_eq!(told("my-server", &usual), "sandbox: network, writes the folder, temp");
        assert_eq!(told("npx", &access(false, Some(&[]))), "sandbox: no network, writes temp");
        assert_eq!(
            told("npx", &access(true, Some(&[".", "/home/me/notes"]))),
            "sandbox: network, writes the folder, ~/notes, temp"
        );
        let open = ServiceAccess { is_confined: false, ..usual };
        assert!(told("npx", &open).starts_with("outside"));
    }

    #[test]
    fn what_is_kept_as_it_is_stays_so_unless_it_is_named() {
        let kept = |write| rules().service_policy(Path::new("/work"), "x", &access(true, write)).read_only;
        assert!(kept(None).contains(&"/work/.git".into()));
        assert!(!kept(Some(&[".", ".git"])).contains(&"/work/.git".into()));
    }
}
