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

pub(super) fn symbol(name: &str) -> Option<(&'static str, SymbolKind)> {
    for (list, kind) in [(PLAIN_SYMBOLS, SymbolKind::Plain), (RELATION_SYMBOLS, SymbolKind::Relation)] {
        if let Some((_, text)) = list.iter().find(|(known, _)| *known == name) {
            return Some((text, kind));
        }
    }
    FUNCTION_NAMES.split(' ').find(|word| *word == name).map(|word| (word, SymbolKind::Word))
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

const FUNCTION_NAMES: &str = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim limsup liminf \
                     max min sup inf det dim ker deg gcd arg hom Pr mod argmax argmin tr rank sgn softmax";

const PLAIN_SYMBOLS: &[(&str, &str)] = &[
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ϵ"),
    ("varepsilon", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("vartheta", "ϑ"),
    ("iota", "ι"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("omicron", "ο"),
    ("pi", "π"),
    ("varpi", "ϖ"),
    ("rho", "ρ"),
    ("varrho", "ϱ"),
    ("sigma", "σ"),
    ("varsigma", "ς"),
    ("tau", "τ"),
    ("upsilon", "υ"),
    ("phi", "φ"),
    ("varphi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Upsilon", "Υ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
    ("infty", "∞"),
    ("partial", "∂"),
    ("nabla", "∇"),
    ("sum", "∑"),
    ("prod", "∏"),
    ("coprod", "∐"),
    ("int", "∫"),
    ("iint", "∬"),
    ("iiint", "∭"),
    ("oint", "∮"),
    ("bigcup", "⋃"),
    ("bigcap", "⋂"),
    ("bigoplus", "⨁"),
    ("bigotimes", "⨂"),
    ("bigvee", "⋁"),
    ("bigwedge", "⋀"),
    ("forall", "∀"),
    ("exists", "∃"),
    ("nexists", "∄"),
    ("neg", "¬"),
    ("lnot", "¬"),
    ("emptyset", "∅"),
    ("varnothing", "∅"),
    ("aleph", "ℵ"),
    ("hbar", "ℏ"),
    ("ell", "ℓ"),
    ("Re", "ℜ"),
    ("Im", "ℑ"),
    ("wp", "℘"),
    ("angle", "∠"),
    ("triangle", "△"),
    ("square", "□"),
    ("blacksquare", "■"),
    ("qed", "∎"),
    ("top", "⊤"),
    ("bot", "⊥"),
    ("prime", "′"),
    ("degree", "°"),
    ("dagger", "†"),
    ("ddagger", "‡"),
    ("star", "⋆"),
    ("ast", "∗"),
    ("circ", "∘"),
    ("bullet", "•"),
    ("dots", "…"),
    ("ldots", "…"),
    ("cdots", "⋯"),
    ("vdots", "⋮"),
    ("ddots", "⋱"),
    ("langle", "⟨"),
    ("rangle", "⟩"),
    ("lfloor", "⌊"),
    ("rfloor", "⌋"),
    ("lceil", "⌈"),
    ("rceil", "⌉"),
    ("lvert", "|"),
    ("rvert", "|"),
    ("vert", "|"),
    ("lVert", "‖"),
    ("rVert", "‖"),
    ("Vert", "‖"),
    ("lbrace", "{"),
    ("rbrace", "}"),
    ("lbrack", "["),
    ("rbrack", "]"),
    ("backslash", "\\"),
    ("checkmark", "✓"),
    ("surd", "√"),
    ("imath", "ı"),
    ("jmath", "ȷ"),
    ("S", "§"),
    ("colon", ":"),
];

const RELATION_SYMBOLS: &[(&str, &str)] = &[
    ("le", "≤"),
    ("leq", "≤"),
    ("leqslant", "≤"),
    ("ge", "≥"),
    ("geq", "≥"),
    ("geqslant", "≥"),
    ("lt", "<"),
    ("gt", ">"),
    ("ll", "≪"),
    ("gg", "≫"),
    ("ne", "≠"),
    ("neq", "≠"),
    ("approx", "≈"),
    ("equiv", "≡"),
    ("cong", "≅"),
    ("sim", "∼"),
    ("simeq", "≃"),
    ("propto", "∝"),
    ("doteq", "≐"),
    ("triangleq", "≜"),
    ("coloneqq", "≔"),
    ("in", "∈"),
    ("notin", "∉"),
    ("ni", "∋"),
    ("subset", "⊂"),
    ("subseteq", "⊆"),
    ("subsetneq", "⊊"),
    ("supset", "⊃"),
    ("supseteq", "⊇"),
    ("cup", "∪"),
    ("cap", "∩"),
    ("setminus", "∖"),
    ("land", "∧"),
    ("wedge", "∧"),
    ("lor", "∨"),
    ("vee", "∨"),
    ("oplus", "⊕"),
    ("ominus", "⊖"),
    ("otimes", "⊗"),
    ("odot", "⊙"),
    ("times", "×"),
    ("div", "÷"),
    ("cdot", "·"),
    ("pm", "±"),
    ("mp", "∓"),
    ("to", "→"),
    ("rightarrow", "→"),
    ("longrightarrow", "⟶"),
    ("leftarrow", "←"),
    ("gets", "←"),
    ("leftrightarrow", "↔"),
    ("Rightarrow", "⇒"),
    ("Longrightarrow", "⟹"),
    ("implies", "⟹"),
    ("Leftarrow", "⇐"),
    ("impliedby", "⟸"),
    ("Leftrightarrow", "⇔"),
    ("iff", "⟺"),
    ("mapsto", "↦"),
    ("hookrightarrow", "↪"),
    ("uparrow", "↑"),
    ("downarrow", "↓"),
    ("rightharpoonup", "⇀"),
    ("rightleftharpoons", "⇌"),
    ("leadsto", "⇝"),
    ("mid", "∣"),
    ("nmid", "∤"),
    ("parallel", "∥"),
    ("perp", "⊥"),
    ("models", "⊨"),
    ("vDash", "⊨"),
    ("vdash", "⊢"),
    ("dashv", "⊣"),
    ("therefore", "∴"),
    ("because", "∵"),
    ("bmod", "mod"),
    ("prec", "≺"),
    ("succ", "≻"),
    ("preceq", "≼"),
    ("succeq", "≽"),
    ("bowtie", "⋈"),
];
