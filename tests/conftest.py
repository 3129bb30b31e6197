"""What every test gets: a cache of its own, so that no test sees another's, or the user's."""

import pytest


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
