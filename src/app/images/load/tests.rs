use std::os::unix::fs::symlink;

use image::{GrayImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

/// An image whose left half is red.
fn sample(width: u32, height: u32) -> DynamicImage {
    let pixel = |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) };
    RgbImage::from_fn(width, height, pixel).into()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn few(pixels: ImagePixels) -> (u32, u32, Vec<u8>) {
    match pixels {
        ImagePixels::HalfBlocks { width, height, rgba } => (width, height, rgba),
        ImagePixels::Png(_) => panic!("not asked for"),
    }
}

#[test]
fn each_kind_is_read_by_its_first_bytes() {
    for (format, kind) in
        [(ImageFormat::Png, "PNG"), (ImageFormat::Jpeg, "JPEG"), (ImageFormat::Gif, "GIF"), (ImageFormat::WebP, "WebP")]
    {
        let bytes = encoded(&sample(80, 60), format);
        let info = measure(&bytes).unwrap();
        assert_eq!((info.format, info.width, info.height, info.bytes), (kind, 80, 60, bytes.len() as u64));
        let (width, height, rgba) = few(decode(&bytes, info, GraphicsMode::HalfBlocks).unwrap());
        assert_eq!((width, height), (43, 32), "{kind}");
        let [r, g, b, a] = rgba[..4] else { panic!() };
        assert!(r > 200 && g < 60 && b < 60 && a == 255, "{kind}: {:?}", &rgba[..4]);
        let Ok(ImagePixels::Png(png)) = decode(&bytes, info, GraphicsMode::Kitty(1)) else { panic!("{kind}") };
        assert_eq!(measure(&png).map(|info| (info.format, info.width, info.height)), Ok(("PNG", 80, 60)));
    }
}

#[test]
fn a_large_image_is_made_small_and_a_small_one_is_left() {
    let bytes = encoded(&sample(3000, 2000), ImageFormat::Png);
    let info = measure(&bytes).unwrap();
    let (width, height, rgba) = few(decode(&bytes, info, GraphicsMode::HalfBlocks).unwrap());
    assert_eq!((width, height, rgba.len()), (48, 32, 48 * 32 * 4));
    let Ok(ImagePixels::Png(png)) = decode(&bytes, info, GraphicsMode::Kitty(1)) else { panic!() };
    assert_eq!(measure(&png).map(|info| (info.width, info.height)), Ok((480, 320)));
    let mut tiny = RgbaImage::new(2, 1);
    tiny.put_pixel(1, 0, Rgba([9, 8, 7, 6]));
    let bytes = encoded(&tiny.into(), ImageFormat::Png);
    let (width, height, rgba) = few(decode(&bytes, measure(&bytes).unwrap(), GraphicsMode::HalfBlocks).unwrap());
    assert_eq!((width, height, rgba), (2, 1, vec![0, 0, 0, 0, 9, 8, 7, 6]));
}

#[test]
fn a_photo_stands_as_the_camera_says() {
    let mut bytes = encoded(&sample(80, 40), ImageFormat::Jpeg);
    // Turned by 90 degrees, in the shortest Exif there is.
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    bytes.splice(2..2, exif.iter().copied());
    let info = measure(&bytes).unwrap();
    assert_eq!((info.width, info.height), (40, 80));
    let (width, height, rgba) = few(decode(&bytes, info, GraphicsMode::HalfBlocks).unwrap());
    assert_eq!((width, height), (16, 32));
    assert!(rgba[0] > 200 && rgba[rgba.len() - 2] > 200, "red above, blue below");
}

/// The chunks of a PNG whose head says that size.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&GrayImage::new(1, 1).into(), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = !0_u32;
    for byte in &bytes[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

#[test]
fn sizes_that_nobody_could_hold_are_refused_before_they_are_held() {
    assert!(measure(&bomb(100, 100)).is_ok(), "the head is a good one");
    for (width, height) in [(50_000, 1), (1, 50_000), (16_000, 16_000), (u32::MAX, u32::MAX), (0, 1)] {
        measure(&bomb(width, height)).unwrap_err();
    }
    let mut gif = b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec();
    gif.extend(b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0;");
    measure(&gif).unwrap_err();
}

#[test]
fn no_cut_and_no_flipped_bit_does_more_than_fail() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let whole = encoded(&sample(24, 24), format);
        let info = measure(&whole).unwrap();
        for at in 0..whole.len() {
            let cut = &whole[..at];
            if let Ok(found) = measure(cut) {
                assert_eq!((found.width, found.height), (24, 24));
            }
            let _ = decode(cut, info, GraphicsMode::HalfBlocks);
            let mut bent = whole.clone();
            bent[at] ^= 1 << (at % 8);
            if let Ok(info) = measure(&bent) {
                let _ = decode(&bent, info, GraphicsMode::Kitty(1));
            }
        }
        decode(&whole[..whole.len() / 2], info, GraphicsMode::HalfBlocks).err();
    }
    for other in [&b""[..], b"x", b"<svg/>", b"%PDF-1.7", b"BM\0\0\0\0\0\0\0\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
    {
        measure(other).unwrap_err();
    }
}

#[test]
fn data_are_found_in_the_text_that_holds_them() {
    let bytes = encoded(&sample(9, 9), ImageFormat::Png);
    for letters in [
        base64::engine::general_purpose::STANDARD.encode(&bytes),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
        base64::engine::general_purpose::STANDARD.encode(&bytes).replace('+', "%2B").replace('=', "%3D"),
    ] {
        let key = DataKey::hash_of(&letters);
        let text = format!("x ![](data:image/png;base64,{letters})");
        assert_eq!(decode_data(&text, key.chars, key.hash).as_ref(), Ok(&bytes));
        decode_data("another", key.chars, key.hash).unwrap_err();
    }
    let key = DataKey::hash_of("!");
    decode_data("x ![](data:image/png;base64,!)", key.chars, key.hash).unwrap_err();
    assert_eq!(decode_data("", 64 << 20, 0), Err("larger than 16.0 MB".into()));
}

#[test]
fn only_files_of_the_folder_are_read() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (folder, other) = (inside.path(), outside.path());
    std::fs::create_dir(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/a b.png"), "ab").unwrap();
    std::fs::write(folder.join("q?.png"), "q").unwrap();
    std::fs::write(other.join("x.png"), "x").unwrap();
    symlink(other.join("x.png"), folder.join("link.png")).unwrap();
    symlink(other, folder.join("way")).unwrap();
    nix::unistd::mkfifo(&folder.join("pipe.png"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let large = File::create(folder.join("large.png")).unwrap();
    large.set_len(MAX_FILE_BYTES + 1).unwrap();
    let absolute = folder.join("sub/a b.png").display().to_string();
    for (path, expected) in [
        ("sub/a b.png", "ab"),
        ("./sub/a%20b.png?raw=1#top", "ab"),
        ("sub/../sub/a b.png", "ab"),
        ("q?.png", "q"),
        (&absolute, "ab"),
    ] {
        assert_eq!(read_file(folder, path), Ok(expected.into()), "{path}");
    }
    let there = other.join("x.png").display().to_string();
    for (path, why) in [
        ("link.png", "outside"),
        ("way/x.png", "outside"),
        ("../../../../../../../etc/passwd", "outside"),
        ("%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "outside"),
        (&there, "outside"),
        ("/dev/zero", "outside"),
        ("none.png", "no such file"),
        ("sub", "not a file"),
        ("pipe.png", "not a file"),
        ("large.png", "larger"),
        ("a\0b", "no such file"),
    ] {
        let error = read_file(folder, path).unwrap_err();
        assert!(error.contains(why), "{path}: {error}");
    }
}
