"""What keeps the site whole without a network: formulas as MathML, and no page that loads from elsewhere."""

import re
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

#: What a browser fetches by itself. Links that a reader may follow are none of these.
FETCHED = re.compile(
    r"""<(?:script|img|source|iframe|embed|video|audio)\b[^>]*?\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|modulepreload|preconnect|icon|shortcut icon))"""
    r"""[^>]*?\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?((?:https?:)?//[^"'\s)]+)"""
    r"""|url\(["']?((?:https?:)?//[^"'\s)]+)""",
    re.IGNORECASE,
)


def foreign(text: str) -> list[str]:
    """Addresses elsewhere that a page or style sheet would fetch.

    Example:
        >>> foreign('<a href="https://a.org">a</a> <img src="b.png"> <script src="//c.org/d.js">')
        ['//c.org/d.js']
    """
    return [next(filter(None, found)) for found in FETCHED.findall(text)]


#: Alphabets that browsers take from Unicode alone: the attribute, the first of its capital letters, and the
#: letters that were in Unicode before it.
ALPHABETS = {
    "double-struck": (0x1D538, dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ"))),
    "script": (0x1D49C, dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ"))),
}
_LETTER = re.compile(r'<mi mathvariant="(double-struck|script)">([A-Z])</mi>')
_BAR = re.compile(r"<mo[^>]*>(&#x0007C;|&#x02016;|&#x02225;)</mo>")
_LEADING_MINUS = re.compile(
    r"((?:<mo[^>]*>(?:[(\[=]|&#x0002C;|&#x0003D;)</mo>|<mrow>))<mo>&#x02212;</mo>"
)


def mathml(formula: str, display: str = "inline") -> str:
    """A LaTeX formula as MathML that browsers set as it was meant."""

    def letter(found: re.Match[str]) -> str:
        first, older = ALPHABETS[found[1]]
        return f"<mi>{older.get(found[2], chr(first + ord(found[2]) - ord('A')))}</mi>"

    text = _LETTER.sub(letter, convert(formula, display=display))
    # Bars are fences here, never relations, and a minus that nothing stands before is a sign.
    text = _BAR.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', text)
    return _LEADING_MINUS.sub(r'\1<mo form="prefix">&#x02212;</mo>', text)


def _inline(writer, node) -> None:
    writer.body.append(mathml(node.astext()))
    raise SkipNode


def _block(writer, node) -> None:
    formulas = [part for part in node.astext().split("\n\n") if part.strip()]
    shown = "".join(mathml(_aligned(formula), "block") for formula in formulas)
    writer.body.append(f'<div class="math">{shown}</div>\n')
    raise SkipNode


def _aligned(formula: str) -> str:
    """Several lines, as Sphinx understands them, in the environment that they leave out."""
    if r"\\" in formula and r"\begin" not in formula:
        return rf"\begin{{aligned}}{formula}\end{{aligned}}"
    return formula


def _refuse_foreign(app, exception) -> None:
    if exception is not None:
        return
    found = {
        f"{path.relative_to(app.outdir)}: {address}"
        for path in Path(app.outdir).rglob("*")
        if path.suffix in (".html", ".css") and "_sources" not in path.parts
        for address in foreign(path.read_text(encoding="utf-8"))
    }
    if found:
        raise ExtensionError(
            "Pages of the site load from elsewhere: " + "; ".join(sorted(found)[:10])
        )


def setup(app) -> None:
    """Sphinx's own way to show formulas loads a script from a foreign host; browsers know MathML."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    app.connect("build-finished", _refuse_foreign)
