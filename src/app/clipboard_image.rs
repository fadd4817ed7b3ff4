//! The image on the clipboard, by the programs that there are for it: terminals hand over text only.
//!
//! Not for texts (`clipboard.rs`). The invariant: what a program prints is an image by its first bytes or nothing, and
//! not more of it is read than an image may have.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::clipboard::{ClipboardTool, TerminalEnv};
use crate::config::environment::without_keys;
use crate::event::{ImageType, MAX_IMAGE_BYTES, too_large};
use crate::private;

/// A clipboard whose owner does not answer is none.
const TOOL_TIMEOUT: Duration = Duration::from_secs(5);
/// Pasted images that stay in their folder; drafts name them.
const MAX_KEPT_IMAGES: usize = 50;
/// Prints the image in base64: what a console prints is text.
const POWERSHELL_SCRIPT: &str = "Add-Type -AssemblyName System.Windows.Forms,System.Drawing; \
    $i = [Windows.Forms.Clipboard]::GetImage(); if ($i) { $m = New-Object IO.MemoryStream; \
    $i.Save($m, [Drawing.Imaging.ImageFormat]::Png); [Convert]::ToBase64String($m.ToArray()) }";
/// What `osascript` prints before the bytes in hexadecimal digits.
const APPLESCRIPT_PREFIX: &str = "\u{ab}data PNGf";

/// Returns the programs to try in turn; each prints the image.
pub(super) fn tools(around: &TerminalEnv) -> Vec<ClipboardTool> {
    let here = !around.ssh;
    let all: [(bool, &[ClipboardTool]); 4] = [
        (
            around.wayland && here,
            &[
                &["wl-paste", "--no-newline", "--type", "image/png"],
                &["wl-paste", "--no-newline", "--type", "image/jpeg"],
                &["wl-paste", "--no-newline", "--type", "image/webp"],
                &["wl-paste", "--no-newline", "--type", "image/gif"],
            ],
        ),
        (
            around.x11 && here,
            &[
                &["xclip", "-selection", "clipboard", "-target", "image/png", "-out"],
                &["xclip", "-selection", "clipboard", "-target", "image/jpeg", "-out"],
                &["xclip", "-selection", "clipboard", "-target", "image/webp", "-out"],
                &["xclip", "-selection", "clipboard", "-target", "image/gif", "-out"],
            ],
        ),
        (
            around.mac && here,
            &[&["pngpaste", "-"], &["osascript", "-e", "get the clipboard as \u{ab}class PNGf\u{bb}"]],
        ),
        (around.wsl, &[&["powershell.exe", "-NoProfile", "-NonInteractive", "-STA", "-Command", POWERSHELL_SCRIPT]]),
    ];
    all.into_iter().filter(|(is_here, _)| *is_here).flat_map(|(_, tools)| tools.iter().copied()).collect()
}

/// Returns the image that the first of these programs prints; the error says why there is none.
pub(super) async fn read(tools: &[ClipboardTool]) -> Result<Vec<u8>, String> {
    let mut has_run = false;
    for tool in tools {
        let printed = match tokio::time::timeout(TOOL_TIMEOUT, run_tool(tool)).await {
            Ok(Ok(printed)) => printed,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        has_run = true;
        if let Some(image) = decode(printed) {
            let bytes = image.len() as u64;
            return if bytes > MAX_IMAGE_BYTES {
                Err(format!("not attached: {}", too_large(bytes)))
            } else {
                Ok(image)
            };
        }
    }
    Err(if has_run {
        "no image is on the clipboard; a text is pasted by the terminal's own key".into()
    } else {
        "no program here reads clipboard images (as wl-paste or xclip do): use /image PATH".into()
    })
}

async fn run_tool(tool: &[&str]) -> std::io::Result<Vec<u8>> {
    let Some((name, arguments)) = tool.split_first() else { return Ok(Vec::new()) };
    let mut command = Command::new(name);
    without_keys(command.as_std_mut());
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // Digits and base64 take more than what they stand for.
        stdout.take(MAX_IMAGE_BYTES * 2 + 1024).read_to_end(&mut printed).await?;
    }
    Ok(printed)
}

/// Returns the image in what a program printed: as it is, in hexadecimal digits or in base64.
fn decode(printed: Vec<u8>) -> Option<Vec<u8>> {
    if ImageType::detect(&printed).is_some() {
        return Some(printed);
    }
    let text = std::str::from_utf8(&printed).ok()?.trim();
    let bytes = match text.strip_prefix(APPLESCRIPT_PREFIX) {
        Some(digits) => from_hex(digits.trim_end_matches('\u{bb}'))?,
        None => STANDARD.decode(text).ok()?,
    };
    ImageType::detect(&bytes).map(|_| bytes)
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Writes the image where only this person can read it; returns where. The oldest of earlier ones go.
pub(super) fn save(folder: &Path, name: &str, image: &[u8]) -> std::io::Result<PathBuf> {
    private::create_dir(folder)?;
    let ending = ImageType::detect(image).map_or("png", ImageType::name).to_lowercase();
    let mut path = folder.join(format!("{name}.{ending}"));
    let mut number = 2;
    let mut file = loop {
        match private::open_options().write(true).create_new(true).open(&path) {
            // Two in a second.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && number < 1000 => {
                path = folder.join(format!("{name}-{number}.{ending}"));
                number += 1;
            }
            opened => break opened?,
        }
    };
    file.write_all(image)?;
    remove_oldest(folder)?;
    Ok(path)
}

/// Their names begin with the time.
fn remove_oldest(folder: &Path) -> std::io::Result<()> {
    let mut kept: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    kept.sort();
    let excess = kept.len().saturating_sub(MAX_KEPT_IMAGES);
    kept.iter().take(excess).try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::images::PNG_2X3;

    #[test]
    fn what_programs_print_is_an_image_or_nothing() {
        let digits = PNG_2X3.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02X}"));
        let script = format!("\u{ab}data PNGf{digits}\u{bb}\n");
        let letters = format!("{}\r\n", STANDARD.encode(PNG_2X3));
        for printed in [PNG_2X3.to_vec(), script.into_bytes(), letters.into_bytes()] {
            assert_eq!(decode(printed).as_deref(), Some(PNG_2X3));
        }
        for printed in ["", "some text", "c29tZSB0ZXh0", "\u{ab}data PNGf8\u{e9}\u{bb}"] {
            assert_eq!(decode(printed.into()), None, "{printed}");
        }
    }

    #[tokio::test]
    async fn the_first_program_with_an_image_counts_and_the_reason_is_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        fs::write(&path, PNG_2X3).unwrap();
        let path: &'static str = path.to_str().unwrap().to_owned().leak();
        let cat: ClipboardTool = vec!["cat", path].leak();
        assert_eq!(read(&[&["no-such-tool-here"], &["echo", "text"], cat]).await.as_deref(), Ok(PNG_2X3));
        assert!(read(&[&["echo", "text"]]).await.unwrap_err().starts_with("no image is on the clipboard"));
        assert!(read(&[&["no-such-tool-here"]]).await.unwrap_err().starts_with("no program here reads"));
    }

    #[test]
    fn a_clipboard_of_another_machine_is_not_asked() {
        let plain = TerminalEnv { term: "xterm".into(), ..TerminalEnv::default() };
        let desktop = TerminalEnv { x11: true, ..plain.clone() };
        assert_eq!(tools(&desktop)[0][0], "xclip");
        assert!(tools(&TerminalEnv { ssh: true, ..desktop }).is_empty() && tools(&plain).is_empty());
    }

    #[test]
    fn pasted_images_are_for_this_person_only_and_the_newest_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("pasted-images");
        let first = save(&folder, "pasted-20260101-000000", PNG_2X3).unwrap();
        let second = save(&folder, "pasted-20260101-000000", PNG_2X3).unwrap();
        assert_eq!(first.file_name().unwrap(), "pasted-20260101-000000.png");
        assert_eq!(fs::read(&second).unwrap(), PNG_2X3);
        assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        for nth in 0..MAX_KEPT_IMAGES {
            save(&folder, &format!("pasted-20270101-{nth:06}"), PNG_2X3).unwrap();
        }
        assert!(!first.exists() && !second.exists());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), MAX_KEPT_IMAGES);
    }
}
