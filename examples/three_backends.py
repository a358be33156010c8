"""The same script on three backends: trains on each that is installed, and compares.

    python examples/three_backends.py

Time: 106 seconds on two CPU cores beside other work.
Score: the first loss is the same to 1e-6 (6.46904); after three epochs it is 4.44 to 4.48, because
rounding grows from step to step.
Seeds give other initial weights on each backend, so all start from one file here.
"""

import importlib.util
import os
import subprocess
import sys

WEIGHTS = "three-backends.weights.h5"


def train():
    import keras

    import keras_atinet
    from keras_atinet.data import Batches, Rooms

    size = (32, 64)
    keras.utils.set_random_seed(0)
    model = keras_atinet.Split(input_shape=(*size, 3), filters=(8, 16, 16, 16, 16))
    if os.path.exists(WEIGHTS):
        model.load_weights(WEIGHTS)
    else:
        model.save_weights(WEIGHTS)
    model.compile(keras.optimizers.SGD(0.01), metrics={})
    rooms = Batches(Rooms(32, size), batch_size=8, tasks=model.tasks, shuffle=True)
    losses = [model.evaluate(rooms, verbose=0, return_dict=True)["loss"]]
    losses += model.fit(rooms, epochs=3, verbose=0).history["loss"]
    print(f"{keras.backend.backend():12}", *(f"{loss:.6f}" for loss in losses), flush=True)


def main():
    if os.path.exists(WEIGHTS):
        os.remove(WEIGHTS)
    for backend in ("tensorflow", "jax", "torch"):
        if importlib.util.find_spec(backend):
            environment = {**os.environ, "KERAS_BACKEND": backend}
            subprocess.run([sys.executable, __file__, "train"], env=environment, check=True)


train() if sys.argv[1:] == ["train"] else main()
