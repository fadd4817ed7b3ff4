use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::app::chat::ChatController;
use crate::app::effects::{EffectResult, Effects};
use crate::config::Config;
use crate::config::keys::Keymap;
use crate::event::{Envelope, Millis, Seq};
use crate::store::effect::Effect;
use crate::store::msg::Msg;
use crate::testkit::events::text_delta;
use crate::ui::theme::Theme;
use crate::ui::{self, Ui};

fn guessed(images: ImageChoice, theme: ThemeChoice, vars: &[(&str, &str)]) -> GraphicsGuess {
    let ui = UiConfig { theme, images, ..Config::default().ui };
    let find = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    guess_mode(&ui, 9, &find)
}

#[test]
fn the_way_is_what_the_terminal_is_known_to_draw() {
    use GraphicsGuess::{AskTmux, Sure};
    let kitty = GraphicsMode::Kitty(9);
    for (vars, expected) in [
        (&[][..], Sure(GraphicsMode::NameOnly)),
        (&[("TERM", "xterm-256color")], Sure(GraphicsMode::NameOnly)),
        (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Sure(GraphicsMode::HalfBlocks)),
        (&[("TERM", "xterm-kitty")], Sure(kitty)),
        (&[("TERM", "xterm-ghostty")], Sure(kitty)),
        (&[("TERM_PROGRAM", "ghostty")], Sure(kitty)),
        (&[("KITTY_WINDOW_ID", "1")], Sure(kitty)),
        // Another terminal that was started in kitty.
        (
            &[("KITTY_WINDOW_ID", "1"), ("TERM_PROGRAM", "WezTerm"), ("COLORTERM", "24bit")],
            Sure(GraphicsMode::HalfBlocks),
        ),
        (&[("TERM", "xterm-kitty"), ("ZELLIJ", "0"), ("COLORTERM", "truecolor")], Sure(GraphicsMode::HalfBlocks)),
        (&[("KITTY_WINDOW_ID", "1"), ("TMUX", "x"), ("COLORTERM", "truecolor")], AskTmux(GraphicsMode::HalfBlocks)),
        (&[("TMUX", "x")], AskTmux(GraphicsMode::NameOnly)),
    ] {
        assert_eq!(guessed(ImageChoice::Auto, ThemeChoice::Auto, vars), expected, "{vars:?}");
    }
    let vars = [("COLORTERM", "truecolor"), ("TMUX", "x")];
    assert_eq!(guessed(ImageChoice::Auto, ThemeChoice::Mono, &vars), AskTmux(GraphicsMode::NameOnly));
    assert_eq!(guessed(ImageChoice::Off, ThemeChoice::Auto, &vars), Sure(GraphicsMode::NameOnly));
    assert_eq!(guessed(ImageChoice::Blocks, ThemeChoice::Mono, &[]), Sure(GraphicsMode::HalfBlocks));
    assert_eq!(guessed(ImageChoice::Kitty, ThemeChoice::Auto, &vars), Sure(kitty));
}

#[test]
fn tmux_has_to_hand_on_what_is_for_the_terminal() {
    assert!(tmux_passes_graphics("xterm-kitty on\n") && tmux_passes_graphics("xterm-ghostty all"));
    for told in ["xterm-kitty off", "xterm-kitty", "xterm-256color on", ""] {
        assert!(!tmux_passes_graphics(told), "{told}");
    }
}

/// A session in a folder with an image, without a terminal.
struct ImagesRig {
    chat: ChatController,
    effects: Effects<'static>,
    images: ImageLoader,
    seq: u64,
}

impl ImagesRig {
    fn new(folder: &std::path::Path, mode: GraphicsMode) -> Self {
        let ui = Config::default().ui;
        let mut chat = ChatController::new(
            Store::default(),
            Ui::new(&ui, Theme::default(), &Keymap::default()),
            Keymap::default(),
        );
        chat.update(Msg::Report(Report::GraphicsMode(mode)));
        let effects = Effects::new(Box::new(|| Box::pin(async { Vec::new() })), None);
        Self { chat, effects, images: ImageLoader::new(&ui, folder.to_owned()), seq: 0 }
    }

    fn answer(&mut self, text: &str) {
        self.seq += 1;
        let event = text_delta("m", text);
        self.chat.update(Msg::Event(Envelope { seq: Seq(self.seq), at: Millis(0), event }));
    }

    /// Draws a frame and starts what it asks for.
    fn frame(&mut self) -> Buffer {
        let area = Rect::new(0, 0, 60, 40);
        let mut buf = Buffer::empty(area);
        ui::draw(&self.chat.store, &mut self.chat.ui, area, &mut buf);
        self.images.sender.show(&self.chat.ui.panes.transcript.images.placed);
        self.chat.after_draw();
        buf
    }

    /// Does all that is asked for.
    async fn run_effects(&mut self) {
        loop {
            for effect in std::mem::take(&mut self.chat.effects) {
                match effect {
                    Effect::MeasureImage(source) => {
                        self.effects.report(self.images.measure(source, &self.chat.store));
                    }
                    Effect::DecodeImage(source, info) => {
                        self.effects.report(self.images.decode(source, info, &self.chat.store));
                    }
                    _ => {}
                }
            }
            match self.effects.next().await {
                Some((_, EffectResult::Report(report))) => self.chat.update(Msg::Report(report)),
                _ => return,
            }
        }
    }
}

fn text(buf: &Buffer) -> String {
    let row = |y| (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..buf.area.height).map(row).collect()
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(width, height, image::Rgb([1, 2, 3])).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[tokio::test]
async fn what_an_answer_shows_is_read_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), png(6, 4)).unwrap();
    let mut rig = ImagesRig::new(folder.path(), GraphicsMode::HalfBlocks);
    let data = STANDARD.encode(png(300, 4));
    rig.answer(&format!("One\n\n![a](a.png)\n\n![b](data:image/png;base64,{data})\n\n![c](none.png)\n\n"));
    rig.answer("![d](https://x.y/a.png)\n\nand ![e](a.png)\n");
    let before = text(&rig.frame());
    assert!(before.contains("[image: a] (a.png)\n") && !before.contains('▀'), "{before}");
    assert_eq!(rig.chat.effects.len(), 3, "nothing from elsewhere, nothing in a line");
    rig.frame();
    assert_eq!(rig.chat.effects.len(), 3, "each once");
    rig.run_effects().await;
    let after = text(&rig.frame());
    assert!(after.contains("[image: a] (a.png) · PNG 6×4, "), "{after}");
    assert!(after.contains("\n  ▀▀▀▀▀▀\n") || after.contains("▀▀▀▀▀▀\n"), "{after}");
    assert!(after.contains(&"▀".repeat(50)) && after.contains(" · 300×4"), "{after}");
    assert!(after.contains("[image: c] (none.png) · not drawn: no such file"), "{after}");
    assert!(after.contains("and [image: e] (a.png)\n"), "{after}");
    // Nothing is left to do, and forgetting what was laid out changes no cell.
    assert!(rig.chat.effects.is_empty() && !rig.images.sender.is_sending());
    rig.chat.ui.panes.transcript.forget();
    assert_eq!(text(&rig.frame()), after);
}

#[tokio::test]
async fn a_terminal_that_draws_gets_the_image_when_it_is_on_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), png(40, 40)).unwrap();
    let mut rig = ImagesRig::new(folder.path(), GraphicsMode::Kitty(3));
    rig.answer("![a](a.png)\n\n");
    rig.frame();
    rig.run_effects().await;
    assert!(!rig.images.sender.is_sending());
    let shown = text(&rig.frame());
    assert!(shown.contains(&(0..4).map(|column| kitty_cell(1, column)).collect::<String>()), "{shown}");
    let sent = String::from_utf8(rig.images.sender.next_bytes()).unwrap();
    assert!(
        sent.starts_with("\x1b_Ga=t,f=100,") && sent.ends_with("a=p,U=1,q=2,i=50331664,p=1,c=4,r=2\x1b\\"),
        "{sent}"
    );
    rig.frame();
    assert!(!rig.images.sender.is_sending());
}

fn kitty_cell(row: u8, column: u8) -> String {
    ui::image::placeholder::symbol(row, column, 3)
}
