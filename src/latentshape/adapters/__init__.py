"""Anyone's autoencoder.

`borders` is the one place where a foreign model's pictures and codes become ours: channel order, range,
shape, dtype, framework. `adapted` is an autoencoder of ours made of a foreign pair; one file for each
framework finds that pair: `torch_modules`, `keras_models`, `diffusers_models`, `onnx_models`. `adopting`
gives a foreign model a run folder, in which the whole of the pipeline works.
"""
