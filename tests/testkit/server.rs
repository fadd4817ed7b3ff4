//! A scripted server that responds connection by connection and keeps the requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// One action of the server on a connection.
#[derive(Clone, Debug)]
pub(crate) enum ServerAct {
    /// Sends these bytes at once.
    Send(Vec<u8>),
    /// Accepts a WebSocket.
    Consent,
    /// Waits for so many bytes of the client; they count as a request, a character a byte.
    Read(usize),
    /// Waits until [`ScriptedServer::go`] is called.
    Hold,
    /// Sends nothing more and waits for the client to disconnect.
    Hang,
    /// Resets the connection as a crash would.
    Reset,
}

/// Sends a response head without a length: the body ends with the connection.
pub(crate) fn head(status: &str, headers: &str) -> ServerAct {
    ServerAct::Send(format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").into_bytes())
}

/// Sends a whole JSON response.
pub(crate) fn json(status: &str, body: &str) -> ServerAct {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}");
    ServerAct::Send(format!("{head}\r\n\r\n{body}").into_bytes())
}

/// Sends the head of an event stream with HTTP chunks, so that truncation is detected.
pub(crate) fn stream() -> ServerAct {
    head("200 OK", "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")
}

/// Sends one HTTP chunk.
pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> ServerAct {
    let bytes = bytes.as_ref();
    let mut whole = format!("{:x}\r\n", bytes.len()).into_bytes();
    whole.extend_from_slice(bytes);
    whole.extend_from_slice(b"\r\n");
    ServerAct::Send(whole)
}

/// Sends the last, empty chunk.
pub(crate) fn end() -> ServerAct {
    ServerAct::Send(b"0\r\n\r\n".to_vec())
}

/// Runs until dropped. The n-th connection gets the n-th script, later ones the last.
pub(crate) struct ScriptedServer {
    pub(crate) address: SocketAddr,
    shared: Arc<ServerShared>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct ServerShared {
    asked: Mutex<Vec<String>>,
    heard: Notify,
    go: Notify,
    hung_up: Notify,
}

impl ServerShared {
    fn hear(&self, request: &str) {
        self.asked.lock().unwrap().push(request.to_owned());
        self.heard.notify_one();
    }
}

impl ScriptedServer {
    pub(crate) async fn start(scripts: Vec<Vec<ServerAct>>) -> Self {
        let choose = move |number: usize, _: &str| scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
        Self::serve("127.0.0.1:0", choose).await
    }

    /// Chooses the script by the request's path instead of the connection's number; 404 for others. A path with several
    /// scripts uses them in turn, the last one forever.
    pub(crate) async fn routed(routes: Vec<(&'static str, Vec<Vec<ServerAct>>)>) -> Self {
        let mut counts = vec![0; routes.len()];
        Self::answering(move |request| match routes.iter().position(|(known, _)| *known == path(request)) {
            Some(at) => {
                counts[at] += 1;
                let scripts = &routes[at].1;
                scripts.get(counts[at] - 1).or(scripts.last()).cloned().unwrap_or_default()
            }
            None => vec![json("404 Not Found", r#"{"detail":"Not Found"}"#)],
        })
        .await
    }

    /// Has the test choose the script of each request, given with head and body as they came.
    pub(crate) async fn answering(choose: impl FnMut(&str) -> Vec<ServerAct> + Send + 'static) -> Self {
        Self::answering_at("127.0.0.1:0", choose).await
    }

    /// The same at an address that was in use before.
    pub(crate) async fn answering_at(
        place: &str,
        mut choose: impl FnMut(&str) -> Vec<ServerAct> + Send + 'static,
    ) -> Self {
        Self::serve(place, move |_, request| choose(request)).await
    }

    async fn serve(place: &str, choose: impl FnMut(usize, &str) -> Vec<ServerAct> + Send + 'static) -> Self {
        let listener = TcpListener::bind(place).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(ServerShared::default());
        let (serve, choose) = (Arc::clone(&shared), Arc::new(Mutex::new(choose)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let Ok((mut socket, _)) = listener.accept().await else { return };
                let (serve, choose) = (Arc::clone(&serve), Arc::clone(&choose));
                connections.spawn(async move {
                    let Some(request) = request(&mut socket).await else { return };
                    let script = (choose.lock().unwrap())(number, &request);
                    serve.hear(&request);
                    act(socket, script, serve, &request).await;
                });
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests so far: head and body as they came.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Waits for a request with this text.
    pub(crate) async fn asked_for(&self, text: &str) {
        let asked = async {
            while !self.asked().iter().any(|request| request.contains(text)) {
                self.shared.heard.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("nobody asked for it");
    }

    /// Lets one [`ServerAct::Hold`] continue.
    pub(crate) fn go(&self) {
        self.shared.go.notify_one();
    }

    /// Waits until a client has disconnected on a [`ServerAct::Hang`].
    pub(crate) async fn hung_up(&self) {
        tokio::time::timeout(Duration::from_secs(10), self.shared.hung_up.notified()).await.expect("nobody hung up");
    }
}

/// Returns the path of a request, without its query.
pub(crate) fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default()
}

async fn request(socket: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        match socket.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

/// Sends a text message over a WebSocket.
pub(crate) fn message(text: &str) -> ServerAct {
    let mut bytes = vec![0x81];
    if let Ok(length @ 0..126) = u8::try_from(text.len()) {
        bytes.push(length);
    } else {
        bytes.push(126);
        bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    }
    bytes.extend_from_slice(text.as_bytes());
    ServerAct::Send(bytes)
}

fn consent(request: &str) -> ServerAct {
    let lower = request.to_lowercase();
    let at = lower.find("sec-websocket-key: ").expect("a WebSocket is asked for") + "sec-websocket-key: ".len();
    let key = request[at..].lines().next().unwrap().trim();
    let proof = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    ServerAct::Send(
        format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {proof}\r\n\r\n")
            .into_bytes(),
    )
}

async fn act(mut socket: TcpStream, script: Vec<ServerAct>, shared: Arc<ServerShared>, request: &str) {
    for act in script {
        let act = if matches!(act, ServerAct::Consent) { consent(request) } else { act };
        match act {
            ServerAct::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
                let _ = socket.flush().await;
            }
            ServerAct::Consent => {}
            ServerAct::Read(count) => {
                let mut bytes = vec![0; count];
                if socket.read_exact(&mut bytes).await.is_err() {
                    return;
                }
                shared.hear(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
            }
            ServerAct::Hold => shared.go.notified().await,
            ServerAct::Reset => {
                let _ = socket.set_zero_linger();
                return;
            }
            ServerAct::Hang => {
                while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
                shared.hung_up.notify_one();
            }
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}
