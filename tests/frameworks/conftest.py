"""Faces to train on, and a cache of its own for each test."""

import numpy as np
import pytest

from latentshape.data.faces import faces

SIDE = 32


@pytest.fixture(scope="session")
def pixels():
    return faces(np.arange(320), seed=3, size=SIDE)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path / "cache"))


def pytest_collection_modifyitems(items):
    """Warnings of frameworks are theirs: they fail no test of ours."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))
