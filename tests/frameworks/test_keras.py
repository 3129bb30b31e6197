"""Keras 3 models under the backend of KERAS_BACKEND: `make test-frameworks` runs this for torch and JAX."""

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="no Keras: pip install 'latentshape[keras]'")

from keras import layers  # noqa: E402
from whole_pipeline import carry  # noqa: E402

from latentshape.adapters.choosing import adapt  # noqa: E402
from latentshape.adapters.keras_models import split_at  # noqa: E402
from latentshape.adopting import adopt  # noqa: E402
from latentshape.codes import load_codes  # noqa: E402
from latentshape.errors import InputError  # noqa: E402
from latentshape.images import to_images  # noqa: E402

SIDE, DIM = 32, 16


def experiments_network(side=SIDE, dim=DIM, maps=(8, 16, 16, 16)):
    """The experiments' CAE as Keras has it: four convolutions, mirrored; LeakyReLU, no batch norm."""
    keras.utils.set_random_seed(0)
    image = layers.Input((side, side, 3))
    x = image
    for filters in maps:
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 3, strides=2, padding="same")(x))
    inner = x.shape[1:]
    x = layers.Flatten()(x)
    code = layers.Dense(dim, name="code")(x)
    x = layers.Dense(int(np.prod(inner)))(code)
    x = layers.Reshape(inner)(x)
    for filters in maps[-2::-1]:
        x = layers.LeakyReLU(0.2)(layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x))
    picture = layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="sigmoid")(x)
    return keras.Model(image, picture, name="cae")


@pytest.fixture(scope="module")
def trained(pixels):
    model = experiments_network()
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="mse")
    x = pixels.astype("float32") / 255
    model.fit(x, x, batch_size=32, epochs=8, verbose=0)
    return model


def test_the_experiments_network_in_keras_end_to_end(trained, pixels, tmp_path):
    run = carry(trained, pixels, tmp_path, split="code")
    assert run.config().model.latent_dim == DIM


def test_split_models_are_the_whole(trained, pixels):
    encoder, decoder = split_at(trained, "code")
    x = pixels[:4].astype("float32") / 255
    whole = np.asarray(keras.ops.convert_to_numpy(trained(x, training=False)))
    parts = keras.ops.convert_to_numpy(decoder(encoder(x, training=False), training=False))
    assert np.allclose(whole, parts, atol=1e-5)
    model = adapt((encoder, decoder), SIDE)
    z = model.encode(to_images(pixels[:4]))
    assert np.allclose(z, keras.ops.convert_to_numpy(encoder(x)), atol=1e-5)
    assert np.allclose(model.decode(z).permute(0, 2, 3, 1), whole, atol=1e-5)


def test_a_file_of_keras_is_found_again_by_every_command(trained, pixels, tmp_path):
    from latentshape.adapters.held import _HELD
    from latentshape.models import load_model

    path = tmp_path / "cae.keras"
    trained.save(path)
    run = adopt(path, pixels, tmp_path / "run", split="code", stages=["encode"])
    _HELD.clear()  # as a new process begins
    assert load_model(run).latent_dim == DIM
    assert len(load_codes(run, "train").z) > 100
    path.write_bytes(path.read_bytes() + b"x")
    _HELD.clear()
    with pytest.raises(InputError, match="another"):
        load_model(run)


def test_a_variational_encoder_gives_its_mean(pixels):
    keras.utils.set_random_seed(1)
    image = layers.Input((SIDE, SIDE, 3))
    flat = layers.Flatten()(image)
    mean, spread = layers.Dense(4, name="mean")(flat), layers.Dense(4)(flat)
    encoder = keras.Model(image, [mean, spread])
    code = layers.Input((4,))
    decoder = keras.Model(code, layers.Reshape((SIDE, SIDE, 3))(
        layers.Dense(SIDE * SIDE * 3, activation="sigmoid")(code)))  # fmt: skip
    model = adapt((encoder, decoder), SIDE)
    x = pixels[:3].astype("float32") / 255
    wanted = keras.ops.convert_to_numpy(encoder(x)[0])
    assert np.allclose(model.encode(to_images(pixels[:3])), wanted, atol=1e-4)
    assert not model.stochastic


def test_what_cannot_be_split_is_said(trained):
    with pytest.raises(InputError, match="code"):
        adapt(trained, split="cod")
    with pytest.raises(InputError, match="split="):
        adapt(trained)
    image = layers.Input((SIDE, SIDE, 3))
    code = layers.Dense(3, name="code")(layers.Flatten()(image))
    around = layers.Concatenate()([code, layers.Flatten()(image)])  # a way round the code
    out = layers.Reshape((SIDE, SIDE, 3))(layers.Dense(SIDE * SIDE * 3)(around))
    with pytest.raises(InputError, match="cannot be split"):
        adapt(keras.Model(image, out, name="leaky"), split="code")
