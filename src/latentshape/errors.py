"""The two exceptions that are no defects: a mistake you can mend, and a stop you asked for."""

__all__ = ["InputError", "Interrupted"]


class InputError(ValueError):
    """A mistake in what was given to latentshape: what was expected, what came, what to do.

    The command line prints the message alone and exits with code 2; anything else that is raised is
    a defect of latentshape and keeps its traceback.
    """


class Interrupted(Exception):
    """Work was stopped by Ctrl-C or SIGTERM after it was saved; the same call goes on from there."""
