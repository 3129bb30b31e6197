"""What every adapter has to carry: the whole of the pipeline, with the model's own codes and pictures."""

import json

import numpy as np

from latentshape.adopting import adopt
from latentshape.cli import main
from latentshape.codes import load_codes
from latentshape.decoding import decode_pixels
from latentshape.explorer.session import Session
from latentshape.models import load_model


def learnt(pixels, rebuilt):
    """Mean squared error of reconstructions over that of the mean image: below 1 something was learnt."""
    x, y = (np.asarray(a, np.float64) / 255 for a in (pixels, rebuilt))
    return np.mean((x - y) ** 2) / np.mean((x - x.mean(0)) ** 2)


def carry(model, pixels, folder, worst=0.7, **options):
    """Adopt, analyze, sample, walk, evaluate, report, explore; the run."""
    run = adopt(model, pixels, folder / "run", n=24, draws=2, **options)
    z = load_codes(run, "train").z
    assert np.isfinite(z).all()
    assert z.std(0).min() > 0 or z.shape[1] > 64
    card = json.loads(run.scorecard_path.read_text())
    assert card["rows"]["gaussian"]["gap"]["random-conv"]["value"] is not None
    assert run.shape_path.exists()
    assert run.report_path.exists()
    out = str(folder / "out")
    assert main(["sample", str(run.path), "--sampler", "gaussian", "-n", "2", "--out", out]) == 0
    assert main(["walk", str(run.path), "--kind", "origin", "--film", "none", "--out", out]) == 0
    session = Session.of_run(run)
    session.warm()
    place = session.lift("pca:0", "pca:1")[6]
    assert session.decode(place[None]).shape == (1, *pixels.shape[1:])
    found, held = session.encode(_png(session.image("test:0")), "square")
    assert np.allclose(found, session.code("test:0"), atol=1e-3 * (1 + np.abs(found).max()))
    assert held.shape == pixels.shape[1:]
    rebuilt = decode_pixels(load_model(run), load_codes(run, "test").z)
    originals = np.stack([session.image(f"test:{i}") for i in range(len(rebuilt))])
    assert learnt(originals, rebuilt) < worst
    return run


def _png(pixels):
    from latentshape.images import encode_image

    return encode_image(pixels)
