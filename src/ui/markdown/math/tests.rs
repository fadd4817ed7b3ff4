use super::*;
use proptest::prelude::*;

#[test]
fn formulas_read_like_typed_ones() {
    let cases = [
        ("x^2 + y^2 = z^2", "x² + y² = z²"),
        (r"\frac{a}{b}", "a/b"),
        (r"\frac{a+b}{2a}", "(a+b)/(2a)"),
        (r"\frac{1}{n^2}", "1/n²"),
        (r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x = (−b ± √(b² − 4ac))/(2a)"),
        (r"\sum_{i=1}^{n} i = \frac{n(n+1)}{2}", "∑ᵢ₌₁ⁿ i = n(n+1)/2"),
        (r"\int_0^\infty e^{-x^2}\,dx", "∫₀^∞ e^(−x²) dx"),
        (r"\alpha\le\beta \to \infty", "α ≤ β → ∞"),
        (r"\forall x \in \mathbb{R}: x \neq \emptyset", "∀ x ∈ ℝ: x ≠ ∅"),
        (r"\lim_{x\to0} \sin x", "lim_(x → 0) sin x"),
        (r"\sqrt[3]{x} \sqrt{2}", "³√x √2"),
        (r"\hat{x} \vec v \overline{AB}", "x\u{302} v\u{20d7} A\u{305}B\u{305}"),
        (r"\left( \frac{a}{b} \right)^2", "(a/b)²"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a b; c d)"),
        (r"f(x) = \begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}", "f(x) = { 1 x > 0; 0 otherwise"),
        ("\\begin{aligned} a &= b \\\\ &= c \\end{aligned}", "a = b\n= c"),
        (r"\text{if } x \text{ then}", "if x then"),
        (r"P(A \mid B) \cdot 2", "P(A ∣ B) · 2"),
        (r"O(n \log n)", "O(n log n)"),
        (r"x_{ij} + x_{max}", "xᵢⱼ + xₘₐₓ"),
        (r"x_{Q}", "x_Q"),
        (r"\{1, 2\} \unknown{y}", r"{1, 2} \unknowny"),
        (r"a \not= b", "a =\u{338} b"),
        ("f'(x)", "f′(x)"),
        (r"10\%", "10%"),
        ("{", "{"),
        ("}", "}"),
        (r"\", r"\"),
        (r"\frac", "/"),
        ("", ""),
    ];
    for (tex, expected) in cases {
        assert_eq!(to_unicode(tex), expected, "{tex}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    to_unicode(&"{".repeat(10_000));
    to_unicode(&r"\frac{".repeat(2_000));
    to_unicode(&r"\left(".repeat(2_000));
    to_unicode(&r"\begin{matrix}".repeat(1_000));
    to_unicode(&"x_".repeat(8_000));
    assert_eq!(to_unicode(&"x".repeat(100_000)).len(), 100_000);
}

proptest! {
    #[test]
    fn any_text_is_read(tex in r"(\\[a-z]{1,6}|[{}\[\]()^_&~'$%]|\\\\|[a-zA-Z0-9 =+-]|\\begin\{cases\}|\\end\{cases\}|\\left|\\right|é){0,60}") {
        let out = to_unicode(&tex);
        prop_assert!(out.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
