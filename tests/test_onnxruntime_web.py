"""Where ONNX Runtime Web comes from, and what is refused; nothing is fetched here."""

import base64
import hashlib
import io
import tarfile

import pytest

import latentshape.explorer.onnxruntime_web as web
from latentshape.errors import InputError

CONTENT = {place: name.encode() for name, place in web.FILES.items()}


def package(folder):
    for place, content in CONTENT.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def archive(members):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return held.getvalue()


def npm(folder, script, monkeypatch):
    """A program called npm, and no other on the path."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return program


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")


def read(found):
    assert set(found) == set(web.FILES)
    return {name: path.read_bytes() for name, path in found.items()}


def test_the_named_folder_comes_first_then_those_above_then_the_cache(tmp_path, own_cache):
    named = package(tmp_path / "named")
    above = package(tmp_path / "here" / "node_modules" / "onnxruntime-web")
    kept = package(own_cache / "onnxruntime-web" / web.VERSION)
    assert web.find_runtime(named)["ort.js"].is_relative_to(named)
    assert web.find_runtime()["ort.js"].is_relative_to(above)
    assert web.find_runtime(tmp_path / "here")["ort.js"].is_relative_to(above)  # a project with it
    (above / web.FILES["ort.wasm"]).unlink()  # half of it is none
    assert web.find_runtime()["ort.js"].is_relative_to(kept)
    with pytest.raises(InputError, match=r"no folder of onnxruntime-web.*ort\.wasm"):
        web.find_runtime(above)


def test_npm_fetches_it_once_and_what_it_fetched_is_compared(
    tmp_path, own_cache, monkeypatch, capsys
):
    good = archive(
        {f"package/{place}": content for place, content in CONTENT.items()} | {"../../evil": b"x"}
    )
    (tmp_path / "good.tgz").write_bytes(good)
    program = npm(
        tmp_path / "bin",
        f'cp {tmp_path / "good.tgz"} ./it.tgz; echo "$@" > {tmp_path / "words"}',
        monkeypatch,
    )
    with pytest.raises(InputError, match="another SHA-512"):
        web.find_runtime()
    assert not list(own_cache.rglob("*.wasm"))
    digest = base64.b64encode(hashlib.sha512(good).digest()).decode()
    monkeypatch.setattr(web, "INTEGRITY", f"sha512-{digest}")
    assert read(web.find_runtime()) == {name: name.encode() for name in web.FILES}
    assert f"Fetching onnxruntime-web {web.VERSION}" in capsys.readouterr().err
    assert (tmp_path / "words").read_text().split()[:2] == [
        "pack",
        f"onnxruntime-web@{web.VERSION}",
    ]
    assert not list(tmp_path.rglob("evil"))
    program.unlink()
    read(web.find_runtime())  # from the cache


def test_without_npm_or_where_it_fails_it_is_said_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="npm, which could fetch it, is not on the path"):
        web.find_runtime()
    npm(tmp_path / "bin", "echo no network >&2; exit 1", monkeypatch)
    with pytest.raises(
        InputError, match=r"could not fetch onnxruntime-web: no network.*--onnxruntime-web"
    ):
        web.find_runtime()


def test_it_is_cleared_with_the_cache(own_cache):
    from latentshape.data.cache import clear_cache

    package(own_cache / "onnxruntime-web" / web.VERSION)
    assert clear_cache() >= sum(map(len, CONTENT.values()))
    assert not (own_cache / "onnxruntime-web").exists()
