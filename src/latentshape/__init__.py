"""latentshape: see the shape of a latent space, and sample from it."""

__version__ = "0.1.0"
