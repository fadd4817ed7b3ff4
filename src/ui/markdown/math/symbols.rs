//! What TeX calls by name and Unicode has a character for.

/// How a symbol stands among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolKind {
    Plain,
    /// With a blank on either side.
    Relation,
    /// A name such as `sin`.
    Word,
}

/// The names and characters, in sections by their kind.
const SYMBOLS: &str = include_str!("../../../../assets/symbols.txt");

pub(super) fn symbol(name: &str) -> Option<(&'static str, SymbolKind)> {
    let mut kind = SymbolKind::Plain;
    for line in SYMBOLS.lines() {
        match line {
            "[plain]" => kind = SymbolKind::Plain,
            "[relation]" => kind = SymbolKind::Relation,
            "[function]" => kind = SymbolKind::Word,
            line => match line.split_once(' ') {
                Some((known, symbol)) if known == name => return Some((symbol, kind)),
                None if line == name && kind == SymbolKind::Word => return Some((line, kind)),
                _ => {}
            },
        }
    }
    None
}

/// Returns the mark that goes over each character.
pub(super) fn accent(name: &str) -> Option<char> {
    Some(match name {
        "hat" | "widehat" => '\u{302}',
        "bar" | "overline" => '\u{305}',
        "vec" | "overrightarrow" => '\u{20d7}',
        "tilde" | "widetilde" => '\u{303}',
        "dot" => '\u{307}',
        "ddot" => '\u{308}',
        "acute" => '\u{301}',
        "grave" => '\u{300}',
        "check" => '\u{30c}',
        "breve" => '\u{306}',
        "mathring" => '\u{30a}',
        _ => return None,
    })
}

/// Returns a letter of an alphabet for special things, where there is one.
pub(super) fn letter(alphabet: &str, c: char) -> char {
    let pairs = match alphabet {
        "mathbb" => "CℂHℍNℕPℙQℚRℝZℤE𝔼F𝔽K𝕂1𝟙",
        "mathfrak" => "CℭHℌIℑRℜZℨgℊ",
        _ => "BℬEℰFℱHℋIℐLℒMℳRℛeℯgℊoℴ",
    };
    let mut chars = pairs.chars();
    while let (Some(plain), Some(special)) = (chars.next(), chars.next()) {
        if plain == c {
            return special;
        }
    }
    c
}

/// Returns a character as it is written small above or below the line.
pub(super) fn script(c: char, up: bool) -> Option<char> {
    let pairs = if up {
        "0⁰1¹2²3³4⁴5⁵6⁶7⁷8⁸9⁹+⁺−⁻-⁻=⁼(⁽)⁾aᵃbᵇcᶜdᵈeᵉfᶠgᵍhʰiⁱjʲkᵏlˡmᵐnⁿoᵒpᵖrʳsˢtᵗuᵘvᵛwʷxˣyʸzᶻ\
         AᴬBᴮDᴰEᴱGᴳHᴴIᴵJᴶKᴷLᴸMᴹNᴺOᴼPᴾRᴿTᵀUᵁVⱽWᵂβᵝγᵞδᵟθᶿφᵠχᵡ′′∘°"
    } else {
        "0₀1₁2₂3₃4₄5₅6₆7₇8₈9₉+₊−₋-₋=₌(₍)₎aₐeₑhₕiᵢjⱼkₖlₗmₘnₙoₒpₚrᵣsₛtₜuᵤvᵥxₓβᵦγᵧρᵨφᵩχᵪ"
    };
    let mut chars = pairs.chars();
    while let (Some(plain), Some(small)) = (chars.next(), chars.next()) {
        if plain == c {
            return Some(small);
        }
    }
    None
}
