use ratatui::layout::Rect;
use ratatui::style::Color;

use super::*;
use crate::store::Store;
use crate::store::images::DecodeResult;
use crate::store::msg::{Msg, Report};
use crate::ui::markdown::{BlockKind, RenderContext, lay_with_images};
use crate::ui::text_layout::LaidOut;
use crate::ui::theme::Theme;

const ITEM: ItemId = ItemId(3);

fn info(width: u32, height: u32) -> ImageInfo {
    ImageInfo { format: "PNG", width, height, bytes: 2048 }
}

fn file(path: &str) -> ImageSource {
    ImageSource { item: ITEM, location: ImageLocation::File(path.into()) }
}

fn tell(store: &mut Store, report: Report) {
    store.update(Msg::Report(report), &mut Vec::new());
}

/// A store that knows `a.png`.
fn store(mode: GraphicsMode, size: (u32, u32), pixels: Option<ImagePixels>) -> Store {
    let mut store = Store::default();
    tell(&mut store, Report::GraphicsMode(mode));
    store.update(Msg::RequestImages(vec![file("a.png"), file("bad.png")]), &mut Vec::new());
    tell(&mut store, Report::Image(file("a.png"), DecodeResult::Measured(info(size.0, size.1))));
    if let Some(pixels) = pixels {
        tell(&mut store, Report::Image(file("a.png"), DecodeResult::Ready(pixels)));
    }
    tell(&mut store, Report::Image(file("bad.png"), DecodeResult::Failed("no such file\x1b[31m".into())));
    store
}

/// Columns of colour, the right half transparent.
fn stripes(width: u32, height: u32) -> ImagePixels {
    let pixel = |at: u32| {
        let x = at % width;
        [(x * 10 % 256) as u8, 100, 200, if x < width / 2 { 255 } else { 0 }]
    };
    ImagePixels::HalfBlocks { width, height, rgba: (0..width * height).flat_map(pixel).collect() }
}

fn lay(store: &Store, source: &str, width: u16) -> LaidOut {
    let images = Some(ItemImages { images: &store.images, item: ITEM });
    lay_with_images(source, BlockKind::Paragraphs, RenderContext { width, ..RenderContext::default() }, images)
}

fn draw(laid: &LaidOut, width: u16) -> Buffer {
    let area = Rect::new(0, 0, width, laid.rows() as u16);
    let mut buf = Buffer::empty(area);
    for row in 0..laid.rows() {
        laid.draw_row(row, 0, row as u16, width, Theme::default(), &mut buf);
    }
    buf
}

fn row(buf: &Buffer, y: u16) -> String {
    (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned()
}

#[test]
fn an_image_keeps_its_shape_and_its_bounds() {
    for width in [1_u32, 2, 3, 16, 31, 100, 640, 4000, 16_384] {
        for height in [1_u32, 2, 3, 16, 33, 480, 3000, 16_384] {
            for room in [1, 2, 5, 20, 40, 80, 140, 9999] {
                for (mode, cell) in [(GraphicsMode::HalfBlocks, (1.0, 2.0)), (GraphicsMode::Kitty(1), (10.0, 20.0))] {
                    let (columns, rows) = fit(info(width, height), mode, room);
                    assert!((1..=MAX_IMAGE_ROWS).contains(&rows) && (1..=MAX_IMAGE_COLUMNS).contains(&columns));
                    assert!(usize::from(columns) <= room);
                    let (wide, high) = useful_pixels(info(width, height), mode);
                    assert!(wide <= width && high <= height && wide * high <= 1200 * 320);
                    // No more than a cell off, unless it is a line.
                    let (across, down) = (f64::from(columns) * cell.0, f64::from(rows) * cell.1);
                    let should = across * f64::from(height) / f64::from(width);
                    let off = f64::from(height) / f64::from(width) * cell.0;
                    assert!(
                        (should - down).abs() <= down.min(cell.1) + off,
                        "{width}×{height} in {room}: {columns}×{rows}"
                    );
                }
            }
        }
    }
    assert_eq!(fit(info(640, 480), GraphicsMode::HalfBlocks, 80), (43, 16));
    assert_eq!(fit(info(640, 480), GraphicsMode::Kitty(1), 80), (43, 16));
    assert_eq!(fit(info(16, 16), GraphicsMode::HalfBlocks, 80), (16, 8));
    assert_eq!(fit(info(16, 16), GraphicsMode::Kitty(1), 80), (2, 1));
    assert_eq!(fit(info(640, 480), GraphicsMode::HalfBlocks, 20), (20, 8));
}

#[test]
fn only_what_is_here_has_a_place() {
    for (target, expected) in [
        ("a.png", Some("a.png")),
        ("./b c/é.png", Some("./b c/é.png")),
        ("/abs/a.png", Some("/abs/a.png")),
        ("file:///abs/a.png", Some("/abs/a.png")),
        ("https://x.y/a.png", None),
        ("HTTP://x", None),
        ("//x.y/a.png", None),
        ("#up", None),
        ("", None),
        ("file://https://x", None),
    ] {
        assert_eq!(locate(target), expected.map(|path| ImageLocation::File(path.into())), "{target}");
    }
    assert!(matches!(locate("data:image/png;base64,AAAA"), Some(ImageLocation::Data { base64_chars: 4, .. })));
    assert_eq!(locate("data:image/svg+xml,<svg>"), None);
}

#[test]
fn an_image_alone_is_drawn_below_its_name() {
    let store = store(GraphicsMode::HalfBlocks, (8, 6), Some(stripes(8, 6)));
    let laid = lay(&store, "![plot](a.png)", 60);
    let buf = draw(&laid, 60);
    assert_eq!(laid.to_strings(), ["[image: plot] (a.png) · PNG 8×6, 2 KB", "", "", ""]);
    assert_eq!((row(&buf, 1), row(&buf, 3)), ("▀▀▀▀".into(), "▀▀▀▀".into()));
    assert_eq!((buf[(2, 1)].fg, buf[(2, 1)].bg), (Color::Rgb(20, 100, 200), Color::Rgb(20, 100, 200)));
    assert_eq!((buf[(5, 1)].fg, buf[(5, 1)].bg), (Color::Reset, Color::Reset));
}

#[test]
fn an_odd_height_ends_in_half_a_cell() {
    let store = store(GraphicsMode::HalfBlocks, (4, 3), Some(stripes(4, 3)));
    let buf = draw(&lay(&store, "![](a.png)", 60), 60);
    assert_eq!((row(&buf, 1), row(&buf, 2)), ("▀▀".into(), "▀▀".into()));
    assert_eq!((buf[(1, 2)].fg, buf[(1, 2)].bg), (Color::Rgb(10, 100, 200), Color::Reset));
}

#[test]
fn images_in_lists_quotes_and_tags_are_drawn_where_they_stand() {
    let store = store(GraphicsMode::HalfBlocks, (8, 2), Some(stripes(8, 2)));
    for (source, expected) in [
        ("> ![](a.png)", "▎ ▀▀▀▀"),
        ("- ![](a.png)", "  ▀▀▀▀"),
        ("> - ![](a.png)", "▎   ▀▀▀▀"),
        ("<p align=center>\n<img src=\"a.png\">\n</p>", "▀▀▀▀"),
        ("[![](a.png)](https://x.y)", "▀▀▀▀"),
        ("text ![](a.png)", ""),
        ("![](a.png) text", ""),
        ("`![](a.png)`", ""),
        ("| ![](a.png) |\n|--|\n| x |", "────────────────"),
        ("![](https://x.y/a.png)", ""),
    ] {
        let laid = lay(&store, source, 50);
        let buf = draw(&laid, 50);
        let second = if laid.rows() > 1 { row(&buf, 1) } else { String::new() };
        assert!(second.starts_with(expected), "{source}: {second:?}");
        assert_eq!(second.contains('▀'), expected.contains('▀'), "{source}: {second:?}");
    }
    let laid = lay(&store, "![](a.png)\n![](a.png)", 50);
    assert_eq!(laid.to_strings(), ["[image: ] (a.png) [image: ] (a.png)", "", ""]);
}

#[test]
fn room_is_kept_once_the_size_is_known_and_the_image_takes_just_that() {
    let source = "![a](a.png)\n\nnext";
    for width in [1, 2, 20, 40, 80, 140] {
        for mode in [GraphicsMode::HalfBlocks, GraphicsMode::Kitty(7)] {
            let waiting = lay(&store(mode, (640, 480), None), source, width);
            let pixels = if mode == GraphicsMode::HalfBlocks { stripes(43, 32) } else { ImagePixels::Png(vec![1]) };
            let store = store(mode, (640, 480), Some(pixels));
            let ready = lay(&store, source, width);
            assert_eq!(waiting.to_strings(), ready.to_strings(), "{width}");
            let buf = draw(&ready, width);
            let drawn = (0..buf.area.height).filter(|y| row(&buf, *y).contains(['▀', '\u{10eeee}'])).count();
            assert_eq!(drawn > 0, width > 3, "{width}");
            assert!(ready.images().iter().all(|shown| shown.bytes() > 0));
        }
    }
}

#[test]
fn a_piece_says_row_column_and_picture() {
    let store = store(GraphicsMode::Kitty(5), (40, 40), Some(ImagePixels::Png(vec![1, 2])));
    let laid = lay(&store, "> ![](a.png)", 40);
    let buf = draw(&laid, 40);
    assert_eq!(laid.rows(), 3);
    let piece = &buf[(3, 2)];
    assert_eq!((piece.symbol(), piece.fg), (placeholder::symbol(1, 1, 5).as_str(), Color::Indexed(16)));
    let mut seen = VisibleImages::default();
    laid.images().iter().for_each(|shown| seen.collect(shown, &store.images));
    assert_eq!(seen.wanted, []);
    assert_eq!((seen.placed.len(), seen.placed[0].columns, seen.placed[0].rows), (1, 4, 2));
}

#[test]
fn what_is_not_known_is_wanted_once_and_what_fails_is_named_with_the_reason() {
    let store = store(GraphicsMode::HalfBlocks, (8, 2), None);
    let laid = lay(&store, "![](new.png)\n![](new.png)", 50);
    let mut seen = VisibleImages::default();
    laid.images().iter().for_each(|shown| seen.collect(shown, &store.images));
    assert_eq!(seen.wanted, [file("new.png")]);
    let laid = lay(&store, "![x](bad.png)", 60);
    assert_eq!(laid.to_strings(), ["[image: x] (bad.png) · not drawn: no such file"]);
    let laid = lay(&Store::default(), "![x](bad.png)", 60);
    assert_eq!((laid.to_strings().len(), laid.images().len()), (1, 0));
}

#[test]
fn pixels_that_fall_together_are_mixed() {
    let white_and_black = [[255, 255, 255, 255], [0, 0, 0, 255]].concat().repeat(4);
    assert_eq!(half_blocks((2, 4, &white_and_black), (1, 2, 1)), [(Some([127; 3]), Some([127; 3]))]);
    // A transparent pixel has no colour to give.
    let half = [[200, 0, 0, 255], [0, 255, 0, 0]].concat();
    assert_eq!(half_blocks((2, 1, &half), (1, 1, 1)), [(None, None)]);
    let most = [[200, 0, 0, 255], [200, 0, 0, 255], [0, 255, 0, 0]].concat();
    assert_eq!(half_blocks((3, 1, &most), (1, 1, 1)), [(Some([200, 0, 0]), None)]);
    assert_eq!(half_blocks((4, 4, &[]), (2, 2, 1)), [(None, None), (None, None)]);
}
