//! Puts a file back to a version of it, under the same rules as the tools that changed it.

use std::fs;
use std::path::{Path, PathBuf};

use super::checked_path::{CheckedPath, resolve_in};
use super::file::{MAX_FILE_BYTES, replace_bytes};
use super::hunks::FileDiff;

/// Where files may be put back: the working folder and the folders that the person added, canonical.
#[derive(Clone, Debug, Default)]
pub struct RestoreScope {
    pub folder: PathBuf,
    pub extra_folders: Vec<PathBuf>,
}

impl RestoreScope {
    /// Returns the bytes of a file, or `None` if there is none. The error says why it must not be touched.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let place = self.resolve(path)?;
        let metadata = match fs::symlink_metadata(&place.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(|error| error.to_string())?,
        };
        if !metadata.is_file() {
            return Err("something else than a file is there".into());
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err("the file is too large".into());
        }
        fs::read(&place.path).map(Some).map_err(|error| error.to_string())
    }

    /// Writes a file in one step, or removes it where there is no content. It is the old one or the new one at any time.
    pub fn write(&self, path: &str, content: Option<&[u8]>) -> Result<(), String> {
        let place = self.resolve(path)?;
        match content {
            Some(content) => replace_bytes(&place, content)?,
            None => match fs::symlink_metadata(&place.path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Ok(metadata) if !metadata.is_file() => return Err("something else than a file is there".into()),
                _ => fs::remove_file(&place.path).map_err(|error| error.to_string())?,
            },
        }
        // The name is on the disk once its folder is.
        if let Some(folder) = place.path.parent().filter(|folder| folder.is_dir()) {
            fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn resolve(&self, path: &str) -> Result<CheckedPath, String> {
        let place = resolve_in(path, &self.folder, &self.extra_folders)?;
        // What was changed was no link; a link that is there now would lead elsewhere.
        if place.path != Path::new(path) {
            return Err("a link is in its place".into());
        }
        Ok(place)
    }

    /// Returns the path as it is shown.
    pub fn display_path(&self, path: &str) -> String {
        self.resolve(path).map_or_else(|_| path.to_owned(), |place| place.display_path)
    }
}

/// Returns how two versions differ, as a unified diff; none where they aren't texts.
pub fn diff_of(path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Option<String> {
    let before = std::str::from_utf8(before.unwrap_or_default()).ok()?;
    let after = std::str::from_utf8(after.unwrap_or_default()).ok()?;
    Some(FileDiff::new(path, before, after).text().0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn scope() -> (tempfile::TempDir, RestoreScope) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().canonicalize().unwrap();
        (place, RestoreScope { folder, extra_folders: Vec::new() })
    }

    #[test]
    fn a_file_is_put_back_with_its_mode_or_taken_away() {
        let (_place, scope) = scope();
        let path = scope.folder.join("run.sh");
        fs::write(&path, "new").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let name = path.to_str().unwrap();
        assert_eq!(scope.read(name).unwrap().unwrap(), b"new");
        scope.write(name, Some(b"old \xff")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old \xff");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
        scope.write(name, None).unwrap();
        assert_eq!(scope.read(name).unwrap(), None);
        scope.write(name, None).unwrap();
        assert_eq!(fs::read_dir(&scope.folder).unwrap().count(), 0, "nothing is left beside it");
    }

    #[test]
    fn nothing_outside_and_no_link_is_touched() {
        let (_place, scope) = scope();
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().canonicalize().unwrap().join("target");
        fs::write(&target, "mine").unwrap();
        symlink(&target, scope.folder.join("link")).unwrap();
        symlink(outside.path(), scope.folder.join("dir")).unwrap();
        fs::create_dir(scope.folder.join("sub")).unwrap();
        let inside = |name: &str| scope.folder.join(name).to_str().unwrap().to_owned();
        for path in
            [target.to_str().unwrap().to_owned(), inside("link"), inside("dir/target"), inside("../x"), inside("sub")]
        {
            assert!(scope.read(&path).is_err(), "{path}");
            assert!(scope.write(&path, Some(b"theirs")).is_err(), "{path}");
            assert!(scope.write(&path, None).is_err(), "{path}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"mine");
    }
}
