"""What keeps the site whole without a network: formulas as MathML, and no page that loads from elsewhere."""

import re
from pathlib import Path

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


def _inline(writer, node) -> None:
    writer.body.append(convert(node.astext(), display="inline"))
    raise _skip()


def _block(writer, node) -> None:
    number = f'<span class="eqno">({node["number"]})</span>' if node["number"] else ""
    formulas = [part for part in node.astext().split("\n\n") if part.strip()]
    shown = "".join(convert(formula, display="block") for formula in formulas)
    writer.body.append(f'<div class="math">{number}{shown}</div>\n')
    raise _skip()


def _skip() -> Exception:
    from docutils.nodes import SkipNode

    return SkipNode()


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
