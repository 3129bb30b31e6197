"""The contact sheet of innermost maps: each map's pattern beside the training images that excite it most.

A card is a map: at the left its pattern, then its pattern before training, then the training images from the
strongest on, line by line. All are brought to the sheet's own sizes, whatever theirs was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentshape.images import grid, resize
from latentshape.plots import LAW, OTHER, STYLE, figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MapCard", "contact_sheet", "save_contact_sheet"]

#: Side of an image and of a gap in pixels; a pattern takes two of each.
TILE, GAP = 64, 2
PATTERN = 2 * TILE + GAP
#: Images in a line of a card, two lines; cards side by side.
ACROSS, COLUMNS = 4, 3
#: Room around a card, and above it for its words, in pixels.
MARGIN, WORDS = 24, 54
#: Place of a card's figures beside its title, in pixels.
BESIDE = 92
#: Where there is no picture.
EMPTY = 237
CARD = 2 * (PATTERN + 4 * GAP) + ACROSS * (TILE + GAP) - GAP


@dataclass(frozen=True, eq=False)
class MapCard:
    """What is shown of one map.

    Attributes:
        title: In bold letters above it; short.
        figures: Beside the title.
        words: Below the title.
        pattern: Pixels (size, size, c) uint8, or None where there is none to show.
        untrained: The same of the untrained network.
        images: Training images (j, size, size, c), at most eight.
    """

    title: str
    figures: str
    words: str
    pattern: np.ndarray | None
    untrained: np.ndarray | None
    images: np.ndarray


@styled
def contact_sheet(ax: Axes, cards: Sequence[MapCard]) -> Axes:
    """Cards in lines of three, under the names of their parts.

    Args:
        ax: Where to draw; its data coordinates become pixels of the sheet.
        cards: At least one.
    """
    height, width = _size(len(cards))
    sheet = np.full((height, width, 3), 255, np.uint8)
    parts = ("pattern", "untrained", "training images that excite it most")
    for i, card in enumerate(cards):
        top, left = _corner(i)
        sheet[top : top + PATTERN, left : left + CARD] = _card(card)
        ax.text(left, top - 27, card.title, fontsize=7.5, weight="bold", color=LAW)
        ax.text(left + BESIDE, top - 27, card.figures, fontsize=7, color=LAW)
        ax.text(left, top - 8, card.words, fontsize=6.5, color="#4a5568")
        if i < COLUMNS:
            for part, place in zip(parts, _places()):
                ax.text(left + place, 18, part, fontsize=6.5, color=OTHER, style="italic")
    ax.imshow(sheet, interpolation="nearest", extent=(0, width, height, 0))
    ax.axis("off")
    return ax


def save_contact_sheet(cards: Sequence[MapCard], path: Path) -> Path:
    """`contact_sheet` as a PNG in which a pixel of a picture is a pixel."""
    height, width = _size(len(cards))
    made, axes = figure(1, 1, width / STYLE["figure.dpi"], height / STYLE["figure.dpi"])
    made.set_layout_engine("none")
    contact_sheet(axes[0, 0], cards).set_position((0, 0, 1, 1))
    save(made, path)
    return path


def _size(cards: int) -> tuple[int, int]:
    """Height and width of a sheet in pixels."""
    columns, lines = min(cards, COLUMNS), -(-cards // COLUMNS)
    return 2 * MARGIN - 8 + lines * (WORDS + PATTERN + GAP), MARGIN + columns * (CARD + MARGIN)


def _corner(i: int) -> tuple[int, int]:
    """Top and left of card i's pictures."""
    line, column = divmod(i, COLUMNS)
    top = MARGIN + WORDS - 8 + line * (WORDS + PATTERN + GAP)
    return top, MARGIN + column * (CARD + MARGIN)


def _places() -> tuple[int, int, int]:
    """Left edges of a card's three parts."""
    return 0, PATTERN + 4 * GAP, 2 * (PATTERN + 4 * GAP)


def _card(card: MapCard) -> np.ndarray:
    """The pictures of a card: (PATTERN, CARD, 3)."""
    made = np.full((PATTERN, CARD, 3), 255, np.uint8)
    first, second, third = _places()
    for pixels, left in ((card.pattern, first), (card.untrained, second)):
        made[:, left : left + PATTERN] = EMPTY if pixels is None else resize(pixels, PATTERN)
    tiles = np.full((2 * ACROSS, TILE, TILE, 3), EMPTY, np.uint8)
    for tile, pixels in zip(tiles, card.images):
        tile[:] = resize(pixels, TILE)
    made[:, third:] = grid(tiles, columns=ACROSS, gap=GAP)
    return made
