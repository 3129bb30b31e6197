"""What every test gets: a cache of its own, so that no test sees another's, or the user's."""

import os
from pathlib import Path

import pytest

from latentshape.data.cache import NULLS
from latentshape.shape import battery, nulls


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """The cache folder of this test, in its `tmp_path`."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def session_cache(tmp_path_factory):
    """The cache of fixtures that outlive a test: they must not write into the user's either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTSHAPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def shared_nulls(tmp_path_factory):
    """Null laws, a third of all that tests would reckon, are simulated once for all processes that test.

    Their key says all that they depend on. Tests of how they are kept ask `nulls.simulated_null` itself.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared" / "nulls"

    def simulated_null(*args, folder: Path | None = None, **options):
        kept = shared if folder is None or folder.name == NULLS else folder
        return nulls.simulated_null(*args, folder=kept, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(battery, "simulated_null", simulated_null)
        yield
