//! Opening a link or a file with the program that the person's system has for it.
//!
//! Not here: which links there are (`store::links`). Invariants: no shell; nothing that could run as a program is
//! opened; where the person sits at another machine nothing is opened at all.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::clipboard::TerminalEnv;
use crate::config::environment::without_keys;
use crate::store::links::LinkTarget;

/// An opener that runs longer than this is the program itself: it has opened.
const OPENER_TIMEOUT: Duration = Duration::from_secs(3);
/// Files that openers may run.
const EXECUTABLE_EXTENSIONS: [&str; 10] =
    ["desktop", "app", "exe", "bat", "cmd", "com", "msi", "lnk", "jar", "command"];

/// Returns the program and its argument, or why there is none.
pub fn open_command(
    around: &TerminalEnv,
    target: &LinkTarget,
    folder: &Path,
) -> Result<(&'static str, PathBuf), String> {
    let what = match target {
        LinkTarget::Other(text) => {
            let scheme = text.split(':').next().unwrap_or_default();
            return Err(format!("{scheme}: is never opened"));
        }
        LinkTarget::Url(url) => PathBuf::from(url),
        LinkTarget::File(path) => folder.join(path),
    };
    if around.ssh {
        return Err("links cannot be opened over SSH".into());
    }
    let program = match () {
        () if around.mac => "open",
        () if around.wsl => "wslview",
        () if around.wayland || around.x11 => "xdg-open",
        () => return Err("there is no display to open it on".into()),
    };
    if let LinkTarget::File(_) = target {
        let meta = std::fs::metadata(&what).map_err(|error| format!("{}: {error}", what.display()))?;
        let extension = what.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let runs = extension.is_some_and(|extension| EXECUTABLE_EXTENSIONS.contains(&extension.as_str()));
        if runs || (meta.is_file() && meta.permissions().mode() & 0o111 != 0) {
            return Err(format!("{} could run as a program", what.display()));
        }
    }
    Ok((program, what))
}

/// Opens it; the error says why not.
pub async fn open(program: &str, what: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    without_keys(command.as_std_mut());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    match tokio::time::timeout(OPENER_TIMEOUT, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(format!("{program} failed ({status})")),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_and_what_nobody_sees_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let here = TerminalEnv { x11: true, ..TerminalEnv::default() };
        let file = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, "x").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            LinkTarget::File(name.into())
        };
        let plan = |around: &TerminalEnv, target: &LinkTarget| open_command(around, target, folder.path());
        let text = file("a.txt", 0o644);
        assert_eq!(plan(&here, &text), Ok(("xdg-open", folder.path().join("a.txt"))));
        for (name, mode) in [("run.sh", 0o755), ("a.desktop", 0o644), ("B.EXE", 0o644)] {
            assert!(plan(&here, &file(name, mode)).is_err(), "{name}");
        }
        assert!(plan(&here, &LinkTarget::File("none".into())).is_err());
        assert!(plan(&here, &LinkTarget::Other("javascript:x".into())).is_err());
        let url = LinkTarget::Url("https://a.example".into());
        assert_eq!(plan(&here, &url), Ok(("xdg-open", "https://a.example".into())));
        assert!(plan(&TerminalEnv { ssh: true, ..here }, &url).is_err());
        assert!(plan(&TerminalEnv::default(), &url).is_err());
    }
}
