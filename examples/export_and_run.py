"""Train, export to ONNX, and run the file without Keras.

    KERAS_BACKEND=torch python examples/export_and_run.py
    pip install onnx onnxscript onnxruntime              # what it needs beside PyTorch

Time: 21 seconds on two CPU cores beside other work, PyTorch.
Score: the largest difference to Keras is 6e-6 (normals).
"""

import subprocess
import sys

import keras
import numpy as np

import keras_atinet
from keras_atinet.data import Batches, Rooms

SIZE = (64, 96)
RUN = """
import sys
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("atinet.onnx")
(given,) = session.get_inputs()
outputs = session.run(None, {given.name: np.load("image.npy")})
np.savez("outputs.npz", **dict(zip(sys.argv[1:], outputs)))
assert "keras" not in sys.modules
"""

keras.utils.set_random_seed(0)
model = keras_atinet.ATINet(input_shape=(*SIZE, 3), filters=(8, 16, 16, 32, 32))
model.compile(keras.optimizers.Adam(1e-3))
train = Batches(Rooms(32, SIZE), batch_size=8, tasks=model.tasks, shuffle=True, cache=True)
model.fit(train, epochs=2, verbose=2)
model.export("atinet.onnx", format="onnx", verbose=False)

image = Rooms(1, SIZE, "test")[0]["image"][None]
np.save("image.npy", image)
expected = model.predict(image, verbose=0)
subprocess.run([sys.executable, "-c", RUN, *expected], check=True)
outputs = np.load("outputs.npz")
for name, prediction in expected.items():
    print(name, prediction.shape, np.abs(outputs[name] - prediction).max())
