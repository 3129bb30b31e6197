"""Codes as tables: what stands in them is what the run folder holds, in Parquet and in CSV alike."""

import csv
import dataclasses

import numpy as np
import pytest

from latentshape import code_tables
from latentshape.code_tables import write_code_table
from latentshape.codes import load_codes
from latentshape.data import SPLITS
from latentshape.errors import InputError
from latentshape.facts import Facts
from latentshape.shape import Moments
from tiny_run import finished  # noqa: F401


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def everything(run):
    parts = [load_codes(run, split) for split in SPLITS]
    return parts, np.concatenate([np.asarray(part.z) for part in parts])


def test_the_csv_gives_back_every_code_bit_by_bit_and_what_is_known(finished, tmp_path):  # noqa: F811
    rows = rows_of(write_code_table(finished, tmp_path / "codes.csv"))
    parts, z = everything(finished)
    d = z.shape[1]
    told = np.array([[row[f"z_{j}"] for j in range(d)] for row in rows]).astype(np.float32)
    assert np.array_equal(told, z)
    assert [row["id"] for row in rows] == [name for part in parts for name in part.ids.tolist()]
    assert [row["split"] for row in rows] == [p.split for p in parts for _ in range(len(p.z))]
    facts = Facts.of(parts[0])
    for name in facts.names:
        for row, value in zip(rows, facts[name]):
            assert (row[name] == "") == bool(np.isnan(value))
            assert row[name] == "" or float(row[name]) == pytest.approx(value, rel=1e-6)
    moments = Moments.of(parts[0].z)
    apart = z.astype(np.float64) - moments.mean
    radii = np.sqrt(np.einsum("nd,de,ne->n", apart, np.linalg.inv(moments.cov), apart))
    np.testing.assert_allclose([float(r["mahalanobis_radius"]) for r in rows], radii, rtol=1e-4)
    values, axes = np.linalg.eigh(moments.cov)
    scores = np.abs(apart @ axes[:, ::-1])  # an axis has no sign
    own = np.array([[abs(float(row[f"pca_{k + 1}"])) for k in range(d)] for row in rows])
    np.testing.assert_allclose(own, scores, atol=1e-3 * np.sqrt(values[-1]))


def test_parquet_says_the_same_as_csv(finished, tmp_path, monkeypatch):  # noqa: F811
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: extra 'parquet'")
    monkeypatch.setattr(code_tables, "BLOCK_ROWS", 64)  # several blocks a split
    table = pq.read_table(write_code_table(finished, tmp_path / "codes.parquet"))
    rows = rows_of(write_code_table(finished, tmp_path / "codes.csv"))
    _, z = everything(finished)
    assert np.array_equal(np.stack(table["code"].to_numpy()), z)
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["Smiling"] == "bool"
    for name in set(table.column_names) - {"id", "split", "code"}:
        own = [np.nan if v is None else float(v) for v in table[name].to_pylist()]
        other = [float(row[name]) if row[name] else np.nan for row in rows]
        np.testing.assert_allclose(own, other, rtol=1e-6, err_msg=name)


def test_bare_codes_and_those_without_an_inverse_covariance(tmp_path):
    z = np.random.default_rng(0).standard_normal((5, 9)).astype(np.float32)
    np.save(tmp_path / "few.npy", z)
    rows = rows_of(write_code_table(tmp_path / "few.npy", tmp_path / "few.csv"))
    assert [row["id"] for row in rows] == list("01234")
    assert {row["split"] for row in rows} == {"codes"}
    assert "mahalanobis_radius" not in rows[0]
    assert [np.float32(rows[2][f"z_{j}"]) for j in range(9)] == z[2].tolist()


def test_a_fact_called_like_one_of_ours_is_renamed(finished, tmp_path, monkeypatch):  # noqa: F811
    def renamed(run, split):
        codes = load_codes(run, split)
        return dataclasses.replace(codes, columns={"code": np.arange(len(codes.z), dtype=float)})

    monkeypatch.setattr(code_tables, "load_codes", renamed)
    rows = rows_of(write_code_table(finished, tmp_path / "codes.csv"))
    assert [float(row["known_code"]) for row in rows[:3]] == [0, 1, 2]


def test_what_cannot_be_written_is_said(finished, tmp_path):  # noqa: F811
    for name, words in (("codes.xlsx", "ends in .parquet or .csv"), ("codes", "ends in")):
        with pytest.raises(InputError, match=words):
            write_code_table(finished, tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write_code_table(finished, tmp_path / "folder.csv")
    with pytest.raises(InputError, match="nothing at"):
        write_code_table(tmp_path / "absent.npy", tmp_path / "codes.csv")
    assert not list(tmp_path.glob("*.csv*"))[1:]  # nothing half-written stays
