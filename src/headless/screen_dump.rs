//! Draws one screen of a saved session with the same code as the live one: for bug reports, images and tests.

use std::fmt::Write as _;
use std::path::Path;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::bridge::HubItem;
use crate::cli::FrameFormat;
use crate::config::keys::Keymap;
use crate::config::themes::ThemeFolder;
use crate::config::{Config, ThemeChoice};
use crate::event::{Envelope, Millis, Seq};
use crate::runtime::Runtime;
use crate::store::limits::SpendLimits;
use crate::store::msg::Msg;
use crate::store::{Store, StoreOptions};
use crate::text::width::str_width;
use crate::ui::theme::{self, ColorDepth, Theme, ThemeKind, ThemePair};
use crate::ui::{self, Ui};

/// The screen of a saved session, as large as one wants, at any event.
pub struct SavedScreen {
    store: Store,
    view: Ui,
    buffer: Buffer,
    theme: Theme,
}

impl SavedScreen {
    /// Creates an empty screen of so many columns and rows.
    pub fn new(config: &Config, themes: &ThemeFolder, (width, height): (u16, u16)) -> Self {
        let options = StoreOptions {
            limits: SpendLimits::default(),
            fold_thinking: config.ui.fold_thinking,
            fold_outputs: config.ui.fold_output,
            timestamps: config.ui.timestamps,
            reduced_motion: config.ui.reduced_motion,
            panel_side: config.ui.panel_side,
            status_parts: config.ui.statusline,
        };
        let mut store = Store::new(options);
        store.set_output_views(config.ui.output_views());
        // The terminal's own colours where the theme has none of its own: no tints.
        let depth = match config.ui.theme {
            ThemeChoice::Named(_) | ThemeChoice::Pair { .. } => ColorDepth::TrueColor,
            _ => ColorDepth::Sixteen,
        };
        let named = |name: &str| themes.read(name).map(|found| found.colors);
        let theme = ThemePair::new(&config.ui.theme, depth, &named).on(false);
        let (keymap, _) = Keymap::new(&config.keys);
        let view = Ui::new(&config.ui, theme, &keymap);
        Self { store, view, buffer: Buffer::empty(Rect::new(0, 0, width, height)), theme }
    }

    /// Shows what an event says.
    pub fn fold(&mut self, envelope: &Envelope) {
        self.store.update(Msg::Event(envelope.clone()), &mut Vec::new());
    }

    /// Opens what waits for a decision: nobody is writing.
    pub fn offer_approval(&mut self) {
        self.store.update(Msg::OfferApproval, &mut Vec::new());
    }

    /// Moves what moves with the clock; returns whether anything does.
    pub fn tick(&mut self, now: Millis) -> bool {
        let moves = self.store.wants_ticks();
        if moves {
            self.store.update(Msg::Tick(now), &mut Vec::new());
        }
        moves
    }

    pub fn is_light(&self) -> bool {
        self.theme.kind() == ThemeKind::Light
    }

    /// Draws it anew.
    pub fn draw(&mut self) -> &Buffer {
        self.buffer.reset();
        ui::draw(&self.store, &mut self.view, self.buffer.area, &mut self.buffer);
        &self.buffer
    }

    /// Returns the colours of what has none of its own: the ground, and the text on it.
    pub fn ground(&self) -> ((u8, u8, u8), (u8, u8, u8)) {
        match self.theme.ground() {
            Some(colors) => (colors.back, colors.ink),
            None if self.is_light() => ((0xff, 0xff, 0xff), (0x24, 0x29, 0x2f)),
            None => ((0x16, 0x18, 0x1d), (0xd7, 0xda, 0xe0)),
        }
    }

    /// Draws it and returns it in a format.
    pub fn to_text(&mut self, format: FrameFormat) -> String {
        self.draw();
        match format {
            FrameFormat::Text => text(&self.buffer),
            FrameFormat::Ansi => ansi(&self.buffer),
            FrameFormat::Svg => svg(&self.buffer, self.ground(), self.is_light()),
        }
    }
}

/// Returns one screen of the log at `path` as it was after event `seq`, or at its end.
pub async fn dump_screen(
    runtime: &Runtime,
    path: &Path,
    seq: Option<Seq>,
    size: (u16, u16),
    format: FrameFormat,
) -> anyhow::Result<String> {
    let live = runtime.open_whole_log(path)?;
    let mut screen = SavedScreen::new(runtime.config(), &ThemeFolder(runtime.paths.themes_dir()), size);
    let starts = live.hub.branch_starts();
    // A screen of the past shows the branch that was on it.
    let then = seq.map(|seq| starts.path_to(seq));
    screen.store.expect_branches(starts, then.or_else(|| live.hub.chosen_path()));
    let mut subscription = live.hub.subscribe(Seq(0));
    let mut batch = Vec::new();
    'log: while subscription.next_batch(512, &mut batch).await || !batch.is_empty() {
        for item in batch.drain(..) {
            let HubItem::Event(event) = item else { continue };
            if seq.is_some_and(|last| event.envelope.seq > last) {
                break 'log;
            }
            screen.fold(&event.envelope);
        }
    }
    screen.offer_approval();
    Ok(screen.to_text(format))
}

/// Returns the rows of cells, each with its column; a wide character's second cell is skipped.
pub fn rows(buffer: &Buffer) -> impl Iterator<Item = Vec<(u16, &Cell)>> {
    let area = buffer.area;
    (area.top()..area.bottom()).map(move |y| {
        let mut skip = 0;
        (area.left()..area.right())
            .filter_map(|x| {
                if skip > 0 {
                    skip -= 1;
                    return None;
                }
                let cell = buffer.cell((x, y))?;
                skip = str_width(cell.symbol()).saturating_sub(1);
                Some((x, cell))
            })
            .collect()
    })
}

fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in rows(buffer) {
        let line: String = row.iter().map(|(_, cell)| cell.symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn ansi(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in rows(buffer) {
        let mut last = Style::default();
        for (_, cell) in row {
            if cell.style() != last {
                last = cell.style();
                let _ = write!(out, "\x1b[0{}m", theme::escape_codes(last));
            }
            out.push_str(cell.symbol());
        }
        out.push_str("\x1b[0m\n");
    }
    out
}

/// Cell size in the image.
const CELL_SIZE: (f32, f32) = (8.4, 18.0);

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn svg(buffer: &Buffer, (back, ink): ((u8, u8, u8), (u8, u8, u8)), light: bool) -> String {
    let (ground, ink) = (hex(back), hex(ink));
    let width = f32::from(buffer.area.width) * CELL_SIZE.0 + 24.0;
    let height = f32::from(buffer.area.height) * CELL_SIZE.1 + 24.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{ground}\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" \
         fill=\"{ink}\" xml:space=\"preserve\">\n"
    );
    for (y, row) in rows(buffer).enumerate() {
        let mut start = 0;
        while start < row.len() {
            let style = row[start].1.style();
            let end = row[start..].iter().position(|(_, cell)| cell.style() != style).map_or(row.len(), |n| start + n);
            svg_run(&mut out, &row[start..end], y, style, (&ground, &ink), light);
            start = end;
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn svg_run(out: &mut String, cells: &[(u16, &Cell)], y: usize, style: Style, (ground, ink): (&str, &str), light: bool) {
    let text: String = cells.iter().map(|(_, cell)| cell.symbol()).collect();
    let Some((x, _)) = cells.first() else { return };
    let (x, top) = (12.0 + f32::from(*x) * CELL_SIZE.0, 12.0 + y as f32 * CELL_SIZE.1);
    let columns = str_width(&text) as f32;
    let has = |modifier| style.add_modifier.contains(modifier);
    let front = style.fg.and_then(|colour| theme::rgb(colour, light)).map(hex);
    let back = style.bg.and_then(|colour| theme::rgb(colour, light)).map(hex);
    let (front, back) = if has(Modifier::REVERSED) {
        (Some(back.unwrap_or_else(|| ground.to_owned())), Some(front.unwrap_or_else(|| ink.to_owned())))
    } else {
        (front, back)
    };
    if let Some(back) = back {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{back}\"/>",
            columns * CELL_SIZE.0,
            CELL_SIZE.1
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let mut attributes = String::new();
    if let Some(front) = front {
        let _ = write!(attributes, " fill=\"{front}\"");
    }
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::ITALIC, " font-style=\"italic\""),
        (Modifier::DIM, " opacity=\"0.65\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::CROSSED_OUT, " text-decoration=\"line-through\""),
    ] {
        if has(modifier) {
            attributes.push_str(attribute);
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{:.1}\"{attributes}>{}</text>",
        top + CELL_SIZE.1 - 4.5,
        columns * CELL_SIZE.0,
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    );
}
