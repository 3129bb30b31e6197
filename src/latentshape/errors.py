"""The one exception that means "you can mend this": it names what was expected, found, and to do."""

__all__ = ["InputError"]


class InputError(ValueError):
    """A mistake in what was given to latentshape, with the cure in its message.

    The command line prints the message alone and exits with code 2; anything else that is raised is
    a defect of latentshape and keeps its traceback.
    """
