"""Train, export to ONNX, and run the file without Keras.

    KERAS_BACKEND=tensorflow python examples/export_and_run.py
    pip install keras-atinet[export]                     # what it needs beside TensorFlow

Time: 52 seconds of CPU time, TensorFlow.
Score: the largest difference from Keras is 1e-6 (normals).
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
names = [output.name for output in session.get_outputs()]
np.savez("outputs.npz", **dict(zip(names, session.run(names, {"image": np.load("image.npy")}))))
assert "keras" not in sys.modules
"""

keras.utils.set_random_seed(0)
model = keras_atinet.ATINet(input_shape=(*SIZE, 3), filters=(8, 16, 16, 32, 32))
model.compile(keras.optimizers.Adam(1e-3))
train = Batches(Rooms(32, SIZE), batch_size=8, tasks=model.tasks, shuffle=True, cache=True)
model.fit(train, epochs=2, verbose=2)
keras_atinet.export_model(model, "atinet.onnx", format="onnx")

image = Rooms(1, SIZE, "test")[0]["image"][None]
np.save("image.npy", image)
expected = model.predict(image, verbose=0)
subprocess.run([sys.executable, "-c", RUN], check=True)
outputs = np.load("outputs.npz")
for name, prediction in expected.items():
    print(name, prediction.shape, np.abs(outputs[name] - prediction).max())
