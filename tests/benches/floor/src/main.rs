//! The least that a chat client in ratatui can do, to measure others against (`tests/benches/peers.py`): one request at a
//! time over a plain socket, wrapped lines without Markdown, at most 60 frames a second. `floor PORT` asks the model
//! server on that port of this machine.

use std::borrow::Cow;
use std::io::{BufWriter, Read, Stdout, Write, stdout};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyModifiers, read};
use crossterm::execute;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};
use serde::Deserialize;

const FRAME: Duration = Duration::from_millis(16);
const COLUMNS: usize = 118;
const BUFFER_BYTES: usize = 1 << 16;

#[derive(Deserialize)]
struct AnswerChunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
}

enum Message {
    Terminal(Event),
    Text(String),
    End,
}

/// Asks, and sends the text of each read on.
fn ask(port: u16, body: &str, messages: &mpsc::Sender<Message>) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    let length = body.len();
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )?;
    let (mut unread, mut piece) = (Vec::with_capacity(BUFFER_BYTES), vec![0; BUFFER_BYTES]);
    let mut ended = false;
    while !ended {
        let count = socket.read(&mut piece)?;
        if count == 0 {
            break;
        }
        unread.extend_from_slice(&piece[..count]);
        let (mut text, mut start) = (String::new(), 0);
        while let Some(end) = memchr::memchr(b'\n', &unread[start..]) {
            if let Some(data) = unread[start..start + end].strip_prefix(b"data: ") {
                ended |= data.starts_with(b"[DONE]");
                let chunk = serde_json::from_slice::<AnswerChunk<'_>>(data).ok();
                text += chunk.as_ref().and_then(|chunk| chunk.choices.first()?.delta.content.as_deref()).unwrap_or("");
            }
            start += end + 1;
        }
        unread.drain(..start);
        if !text.is_empty() && messages.send(Message::Text(text)).is_err() {
            break;
        }
    }
    let _ = messages.send(Message::End);
    Ok(())
}

#[derive(Default)]
struct Wrapped {
    lines: Vec<Line<'static>>,
    last: String,
}

impl Wrapped {
    fn push(&mut self, text: &str) {
        for char in text.chars() {
            if char == '\n' {
                self.end_line();
                continue;
            }
            self.last.push(char);
            if self.last.len() >= COLUMNS {
                let cut = self.last.rfind(' ').filter(|cut| *cut > 0).unwrap_or(self.last.len());
                let rest = self.last.split_off(cut);
                self.end_line();
                rest.trim_start().clone_into(&mut self.last);
            }
        }
    }

    fn end_line(&mut self) {
        self.lines.push(Line::raw(std::mem::take(&mut self.last)));
    }
}

fn draw(
    terminal: &mut Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    shown: &Wrapped,
    input: &str,
) -> std::io::Result<()> {
    execute!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
    terminal.draw(|frame| {
        let area = frame.area();
        let rows = area.height.saturating_sub(3);
        let top = (shown.lines.len() + 1).saturating_sub(rows.into());
        let lines = shown.lines.iter().skip(top);
        for (row, line) in (0..rows).zip(lines) {
            frame.render_widget(line, Rect::new(0, row, area.width, 1));
        }
        let last = (shown.lines.len() - top) as u16;
        frame.render_widget(shown.last.as_str(), Rect::new(0, last, area.width, 1));
        let composer = Paragraph::new(format!("› {input}")).block(Block::new().borders(Borders::ALL));
        frame.render_widget(composer, Rect::new(0, rows, area.width, 3));
    })?;
    execute!(terminal.backend_mut(), EndSynchronizedUpdate)
}

fn main() -> std::io::Result<()> {
    let Some(port) = std::env::args().nth(1).and_then(|port| port.parse().ok()) else {
        return Err(std::io::Error::other("give the port of a model server on this machine"));
    };
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen)?;
    let mut terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER_BYTES, stdout())))?;
    let (sender, receiver) = mpsc::channel();
    let events = sender.clone();
    std::thread::spawn(move || while read().is_ok_and(|event| events.send(Message::Terminal(event)).is_ok()) {});

    let (mut shown, mut input, mut answer) = (Wrapped::default(), String::new(), String::new());
    let mut history: Vec<serde_json::Value> = Vec::new();
    let (mut drawn_at, mut changed) = (None::<Instant>, true);
    loop {
        let wait = drawn_at.map_or(Duration::ZERO, |at| FRAME.saturating_sub(at.elapsed()));
        if changed && wait.is_zero() {
            (drawn_at, changed) = (Some(Instant::now()), false);
            draw(&mut terminal, &shown, &input)?;
        }
        let first = if changed { receiver.recv_timeout(wait).ok() } else { receiver.recv().ok() };
        for message in first.into_iter().chain(receiver.try_iter()) {
            changed = true;
            match message {
                Message::Text(text) => {
                    shown.push(&text);
                    answer += &text;
                }
                Message::End => {
                    shown.end_line();
                    history.push(serde_json::json!({"role": "assistant", "content": std::mem::take(&mut answer)}));
                }
                Message::Terminal(Event::Key(key)) => match key.code {
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        execute!(stdout(), LeaveAlternateScreen)?;
                        return disable_raw_mode();
                    }
                    KeyCode::Char(char) => {
                        input.push(char);
                        drawn_at = None;
                    }
                    KeyCode::Enter => {
                        let prompt = std::mem::take(&mut input);
                        shown.push(&format!("\n> {prompt}\n\n"));
                        history.push(serde_json::json!({"role": "user", "content": prompt}));
                        let body = serde_json::json!({"model": "mock", "stream": true, "messages": history});
                        let (body, sender) = (body.to_string(), sender.clone());
                        std::thread::spawn(move || ask(port, &body, &sender));
                    }
                    _ => {}
                },
                Message::Terminal(_) => {}
            }
        }
    }
}
