"""Work side by side on this machine: joblib's processes, which need no guarded ``__main__``, or threads."""

import warnings
from collections.abc import Generator, Iterable
from typing import Any

#: What joblib's process pool warns of when a worker has grown by some 300 MB and ends, where psutil is
#: installed. The memory was a finished training's; another worker takes its place. The warning is given in
#: the thread that tends the pool: were it an error, as in tests, that thread would end, and all wait for it.
REPLACED = "A worker stopped while some jobs were given to the executor"


def side_by_side(calls: Iterable[Any], **options: Any) -> Generator[Any, None, None]:
    """Results of delayed calls, as they come.

    Args:
        calls: Made by `joblib.delayed`; taken from as room comes.
        options: Of `joblib.Parallel`, such as ``n_jobs``, ``backend`` and ``return_as="generator"``.

    Yields:
        What each call returned.

    Example:
        >>> from joblib import delayed
        >>> squares = side_by_side(
        ...     (delayed(pow)(x, 2) for x in range(3)), n_jobs=2, backend="threading", return_as="generator"
        ... )
        >>> list(squares)
        [0, 1, 4]
    """
    from joblib import Parallel

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", REPLACED, UserWarning)
        yield from Parallel(**options)(calls)
