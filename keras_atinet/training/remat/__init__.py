"""Segments of a network whose activations are computed twice instead of kept.

Why by ourselves: `keras.RematScope` over the same layers saves nothing. Peak memory of training
MTAN at 160 x 192, batch 4, net of imports, on a CPU, Keras 3.15
(`benchmarks/memory.py --model mtan --image-size 160 192 --batch-size 4 --remat attention`
`--alternative keras_remat jax_checkpoint`):

| GB | plain | here | `keras.RematScope` | `jax.checkpoint` with `optimization_barrier` |
|---|---|---|---|---|
| TensorFlow | 4.98 | 2.98 | 4.95 | |
| JAX | 5.89 | 4.14 | 6.03 | 6.32 |
| PyTorch | 5.49 | 3.17 | 5.42 | |
"""

from keras_atinet.training.remat.model import RematerializedModel
