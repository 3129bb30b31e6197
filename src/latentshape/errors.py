"""The two exceptions that are no defects: a mistake you can mend, and a stop you asked for."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["InputError", "Interrupted", "first_line", "suggestion"]


class InputError(ValueError):
    """A mistake in what was given to latentshape: what was expected, what came, what to do.

    The command line prints the message alone and exits with code 2; anything else that is raised is
    a defect of latentshape and keeps its traceback.
    """


class Interrupted(Exception):
    """Work was stopped by Ctrl-C or SIGTERM after it was saved; the same call goes on from there."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the nearest known one, and all there are.

    Example:
        >>> suggestion("cub", ["cube", "gaussian"])
        "; did you mean 'cube'? There are: cube, gaussian."
    """
    names = list(known)
    close = get_close_matches(str(word), names, n=1)
    meant = f"; did you mean {close[0]!r}? " if close else ". "
    return f"{meant}There are: {', '.join(names)}."


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, in a line without its full stop; its kind where it says nothing.

    Example:
        >>> first_line(ValueError("too wide.")), first_line(AssertionError())
        ('too wide', 'AssertionError')
    """
    said = str(error).strip().splitlines()
    return said[0].rstrip(".") if said else type(error).__name__
