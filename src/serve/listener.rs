//! Where clients connect: a port, or a socket in the file system that only its owner can open.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::bridge::new_uuid;
use crate::private;

/// What a server listens on.
pub enum ServerListener {
    Port(TcpListener),
    Socket(SocketFile),
}

/// A client that has connected.
pub(super) enum ClientStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpListener> for ServerListener {
    fn from(listener: TcpListener) -> Self {
        Self::Port(listener)
    }
}

impl ServerListener {
    /// Waits for a client; one by a socket counts as of this machine. Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<(ClientStream, IpAddr)> {
        match self {
            Self::Port(listener) => {
                let (socket, peer) = listener.accept().await?;
                let _ = socket.set_nodelay(true);
                Ok((ClientStream::Tcp(socket), peer.ip()))
            }
            Self::Socket(file) => {
                let (socket, _) = file.listener.accept().await?;
                Ok((ClientStream::Unix(socket), IpAddr::V4(Ipv4Addr::LOCALHOST)))
            }
        }
    }
}

/// A socket at a path. It is removed with this.
pub struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// Listens at a path. A socket there that nobody listens on any more is replaced; anything else stays.
    ///
    /// Nobody but the owner can connect at any moment: it is made in a folder of the owner's own, and moved to its place
    /// once it is closed to others.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file is there that is no socket"));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"));
            }
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let [.., a, b, c, d] = *new_uuid().as_bytes();
        let folder = parent.join(format!(".{a:02x}{b:02x}{c:02x}{d:02x}"));
        private::create_dir(&folder)?;
        let made = folder.join("s");
        let bound = UnixListener::bind(&made).and_then(|listener| {
            fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
            let inode = fs::symlink_metadata(&made)?.ino();
            fs::rename(&made, path)?;
            Ok(Self { listener, path: path.to_owned(), inode })
        });
        let _ = fs::remove_file(&made);
        let _ = fs::remove_dir(&folder);
        bound
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A later server may have one there.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_owner_can_connect_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jarvis.sock");
        let socket = SocketFile::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let listener = ServerListener::Socket(socket);
        let (accepted, connected) = tokio::join!(listener.accept(), UnixStream::connect(&path));
        assert!(matches!(accepted, Ok((ClientStream::Unix(_), ip)) if ip.is_loopback()) && connected.is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(listener);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_killed_server_left_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = SocketFile::bind(&path).unwrap();
        assert_eq!(SocketFile::bind(&path).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        fs::remove_file(&path).unwrap();
        let second = SocketFile::bind(&path).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second's");
        drop(second);
        fs::write(&path, "text").unwrap();
        assert_eq!(SocketFile::bind(&path).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
