//! Images for a terminal with kitty's graphics: sent once, in pieces, and taken away again.
//!
//! ```text
//! ESC _ G a=t,f=100,i=ID,m=1 ; base64 ESC \   …   ESC _ G m=0 ; base64 ESC \     the file
//! ESC _ G a=p,U=1,i=ID,p=1,c=COLUMNS,r=ROWS ESC \                                how large it is where pieces stand
//! ESC _ G a=d,d=I,i=ID ESC \                                                     gone
//! ```
//!
//! Not for the cells it is drawn in (`ui::image`). Invariants: all that is sent was made here; between two frames no more
//! than a slice goes out; the terminal holds a bounded number of images.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::store::images::{ImagePixels, ReadyImage};
use crate::ui::image::{PlacedImage, placeholder};

/// Letters of a sequence, as the protocol wants it.
const MAX_CHUNK_CHARS: usize = 4096;
/// Bytes between two frames.
const MAX_BYTES_PER_FRAME: usize = 64 << 10;
/// Images, and bytes of them, that the terminal holds.
const MAX_IMAGES: usize = 64;
const MAX_IMAGE_BYTES: usize = 16 << 20;

struct SentImage {
    id: u32,
    image: Arc<ReadyImage>,
    size: (u16, u16),
    /// The frame that had it last.
    last_frame: u64,
}

/// What the terminal has, and what it is yet to get.
pub struct KittySender {
    tmux: bool,
    sent: Vec<SentImage>,
    pending: VecDeque<Vec<u8>>,
    frame: u64,
}

impl KittySender {
    /// Takes whether tmux stands between us and the terminal.
    pub fn new(tmux: bool) -> Self {
        Self { tmux, sent: Vec::new(), pending: VecDeque::new(), frame: 0 }
    }

    /// Sees to it that the terminal gets what a frame shows.
    pub fn show(&mut self, placed: &[PlacedImage]) {
        if placed.is_empty() {
            return;
        }
        self.frame += 1;
        for one in placed {
            let id = placeholder::image_id(one.image.number, one.id_high_byte);
            let size = (one.columns, one.rows);
            match self.sent.iter_mut().find(|sent| sent.id == id) {
                Some(sent) if Arc::ptr_eq(&sent.image, &one.image) => {
                    // Twice in a frame in two sizes: the first counts.
                    let first = std::mem::replace(&mut sent.last_frame, self.frame) != self.frame;
                    if first && sent.size != size {
                        sent.size = size;
                        self.pending.push_back(wrap_for_tmux(&place_image(id, size), self.tmux));
                    }
                }
                _ => self.send(id, one, size),
            }
        }
        self.evict();
    }

    pub fn is_sending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns what goes out before the next frame.
    pub fn next_bytes(&mut self) -> Vec<u8> {
        let mut slice = Vec::new();
        while let Some(next) = self.pending.front()
            && (slice.is_empty() || slice.len() + next.len() <= MAX_BYTES_PER_FRAME)
        {
            slice.extend(self.pending.pop_front().unwrap_or_default());
        }
        slice
    }

    /// The terminal may have lost everything: what is shown is sent again.
    pub fn forget(&mut self) {
        let tmux = self.tmux;
        self.pending.extend(self.sent.drain(..).map(|sent| wrap_for_tmux(&delete(sent.id), tmux)));
    }

    /// Returns what takes all images away.
    pub fn delete_all(&mut self) -> Vec<u8> {
        self.pending.clear();
        self.sent.drain(..).flat_map(|sent| wrap_for_tmux(&delete(sent.id), self.tmux)).collect()
    }

    fn send(&mut self, id: u32, one: &PlacedImage, size: (u16, u16)) {
        let ImagePixels::Png(png) = &one.image.pixels else { return };
        self.sent.retain(|sent| sent.id != id);
        let mut sequences = transmit(id, png);
        sequences.push(place_image(id, size));
        self.pending.extend(sequences.iter().map(|sequence| wrap_for_tmux(sequence, self.tmux)));
        self.sent.push(SentImage { id, image: Arc::clone(&one.image), size, last_frame: self.frame });
    }

    /// The longest unused go, but none that is on the screen.
    fn evict(&mut self) {
        let bytes = |sent: &SentImage| if let ImagePixels::Png(png) = &sent.image.pixels { png.len() } else { 0 };
        while self.sent.len() > MAX_IMAGES || self.sent.iter().map(bytes).sum::<usize>() > MAX_IMAGE_BYTES {
            let oldest = self.sent.iter().enumerate().min_by_key(|(_, sent)| sent.last_frame);
            let Some(at) = oldest.filter(|(_, sent)| sent.last_frame < self.frame).map(|(at, _)| at) else { return };
            let gone = self.sent.remove(at);
            self.pending.push_back(wrap_for_tmux(&delete(gone.id), self.tmux));
        }
    }
}

/// Returns the sequences that give a file to the terminal. Nothing is answered (`q=2`).
fn transmit(id: u32, png: &[u8]) -> Vec<String> {
    let letters = STANDARD.encode(png);
    let pieces = letters.as_bytes().chunks(MAX_CHUNK_CHARS);
    let last = pieces.len().saturating_sub(1);
    let sequence = |(at, piece): (usize, &[u8])| {
        let head = if at == 0 { format!("a=t,f=100,t=d,i={id},") } else { String::new() };
        let piece = String::from_utf8_lossy(piece);
        format!("\x1b_G{head}q=2,m={};{piece}\x1b\\", u8::from(at < last))
    };
    pieces.enumerate().map(sequence).collect()
}

/// Says in how many cells an image is shown wherever its pieces stand.
fn place_image(id: u32, (columns, rows): (u16, u16)) -> String {
    format!("\x1b_Ga=p,U=1,q=2,i={id},p=1,c={columns},r={rows}\x1b\\")
}

fn delete(id: u32) -> String {
    format!("\x1b_Ga=d,d=I,q=2,i={id}\x1b\\")
}

/// Lets tmux hand on a sequence to the terminal around it.
fn wrap_for_tmux(sequence: &str, tmux: bool) -> Vec<u8> {
    if tmux {
        format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")).into_bytes()
    } else {
        sequence.as_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A terminal as far as graphics go.
    #[derive(Default)]
    struct Terminal {
        files: HashMap<u32, Vec<u8>>,
        places: HashMap<u32, (u16, u16)>,
        open: Option<(u32, String)>,
    }

    impl Terminal {
        fn take(&mut self, bytes: &[u8], tmux: bool) {
            let mut text = String::from_utf8(bytes.to_vec()).unwrap();
            if tmux {
                let parts: Vec<&str> = text.split("\x1bPtmux;").skip(1).collect();
                text =
                    parts.iter().map(|part| part.strip_suffix("\x1b\\").unwrap().replace("\x1b\x1b", "\x1b")).collect();
            }
            for command in text.split("\x1b_G").enumerate().filter_map(|(at, command)| {
                assert!(at > 0 || command.is_empty(), "nothing but commands: {command:?}");
                (at > 0).then(|| command.strip_suffix("\x1b\\").unwrap())
            }) {
                assert!(command.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{command:?}");
                let (keys, payload) = command.split_once(';').unwrap_or((command, ""));
                assert!(payload.len() <= 4096 && payload.len() % 4 == 0);
                let keys: HashMap<&str, &str> = keys.split(',').map(|key| key.split_once('=').unwrap()).collect();
                assert_eq!(keys["q"], "2", "nothing may come back as keys");
                let number = |key: &str| keys.get(key).map(|value| value.parse::<u32>().unwrap());
                match keys.get("a") {
                    Some(&"t") => {
                        assert!(self.open.is_none() && keys["f"] == "100");
                        self.open = Some((number("i").unwrap(), String::new()));
                    }
                    None => assert!(keys.keys().all(|key| ["m", "q"].contains(key))),
                    Some(&"p") => {
                        assert!(self.open.is_none() && keys["U"] == "1");
                        let size = (number("c").unwrap() as u16, number("r").unwrap() as u16);
                        assert!(self.files.contains_key(&number("i").unwrap()));
                        self.places.insert(number("i").unwrap(), size);
                    }
                    Some(&"d") => {
                        assert!(self.open.is_none() && keys["d"] == "I");
                        assert!(self.files.remove(&number("i").unwrap()).is_some());
                        self.places.remove(&number("i").unwrap());
                    }
                    other => panic!("{other:?}"),
                }
                if let Some((id, letters)) = &mut self.open {
                    letters.push_str(payload);
                    if keys["m"] == "0" {
                        self.files.insert(*id, STANDARD.decode(letters).unwrap());
                        self.open = None;
                    }
                }
            }
        }
    }

    fn placed(number: u8, bytes: usize, columns: u16) -> PlacedImage {
        let pixels = ImagePixels::Png(vec![number; bytes]);
        PlacedImage { image: Arc::new(ReadyImage { number, pixels }), id_high_byte: 1, columns, rows: 4 }
    }

    fn all(sender: &mut KittySender) -> (Vec<u8>, usize) {
        let (mut bytes, mut slices) = (Vec::new(), 0);
        while sender.is_sending() {
            let slice = sender.next_bytes();
            assert!(!slice.is_empty() && slice.len() <= MAX_BYTES_PER_FRAME);
            bytes.extend(slice);
            slices += 1;
        }
        (bytes, slices)
    }

    #[test]
    fn an_image_is_sent_once_in_pieces_and_placed_anew_where_its_size_changes() {
        for tmux in [false, true] {
            let (mut sender, mut terminal) = (KittySender::new(tmux), Terminal::default());
            let first = placed(20, 300_001, 9);
            sender.show(std::slice::from_ref(&first));
            let (bytes, slices) = all(&mut sender);
            assert!(slices > 5 && slices < 12, "{slices}");
            terminal.take(&bytes, tmux);
            let id = placeholder::image_id(20, 1);
            assert_eq!((terminal.files[&id].len(), terminal.places[&id]), (300_001, (9, 4)));
            sender.show(std::slice::from_ref(&first));
            assert!(!sender.is_sending());
            sender.show(&[PlacedImage { columns: 5, ..first.clone() }, first.clone()]);
            let (bytes, _) = all(&mut sender);
            terminal.take(&bytes, tmux);
            assert_eq!(terminal.places[&id], (5, 4));
            assert!(bytes.len() < 100);
            // Another image that has the number now.
            sender.show(&[placed(20, 10, 2)]);
            terminal.take(&all(&mut sender).0, tmux);
            assert_eq!((terminal.files[&id].len(), terminal.places[&id]), (10, (2, 4)));
            sender.forget();
            sender.show(&[first]);
            terminal.take(&all(&mut sender).0, tmux);
            assert_eq!(terminal.files[&id].len(), 300_001);
            terminal.take(&sender.delete_all(), tmux);
            assert!(terminal.files.is_empty() && sender.delete_all().is_empty());
        }
    }

    #[test]
    fn the_terminal_holds_a_bounded_number_and_always_what_is_shown() {
        let (mut sender, mut terminal) = (KittySender::new(false), Terminal::default());
        for number in 16..216 {
            let shown = [placed(number, 10, 1), placed(number + 1, 10, 1)];
            sender.show(&shown);
            terminal.take(&all(&mut sender).0, false);
            assert!(terminal.files.len() <= MAX_IMAGES);
            assert!(shown.iter().all(|one| terminal.files.contains_key(&placeholder::image_id(one.image.number, 1))));
        }
        let large: Vec<PlacedImage> = (16..19).map(|number| placed(number, MAX_IMAGE_BYTES / 2, 1)).collect();
        sender.show(&large);
        terminal.take(&all(&mut sender).0, false);
        assert_eq!(terminal.files.len(), 3, "all of them are on the screen");
        sender.show(&large[..1]);
        terminal.take(&all(&mut sender).0, false);
        assert_eq!(terminal.files.len(), 2);
    }

    #[test]
    fn an_empty_file_is_no_sequence() {
        assert!(transmit(1, b"").is_empty());
    }
}
