"""Your own task, in a class of 30 lines: edges between things, beside classes and depth.

    python examples/own_task.py

Time: 90 seconds on two CPU cores beside other work, TensorFlow.
Score: cross-entropy of edges on held-out rooms 0.244; the best constant has 0.275.
"""

import keras
import numpy as np
from keras import ops

import keras_atinet
from keras_atinet.data import Batches, Rooms, Source

SIZE = (64, 96)


@keras.saving.register_keras_serializable(package="examples")
class Edges(keras_atinet.Task):
    """The probability of an edge. Targets: 2 on an edge, 1 elsewhere, 0 where nobody knows."""

    def __init__(self, name="edge", channels=1, averaging="pixel"):
        super().__init__(name, channels, averaging)

    def activation(self, x):
        return ops.sigmoid(x)

    def prepare(self, y_true):
        mask = y_true > 0
        return ops.where(mask, y_true - 1, ops.zeros_like(y_true)), mask[..., 0]

    def loss(self):
        return keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")

    def metrics(self):
        return [keras.metrics.MeanAbsoluteError(name="error")]

    def constant(self, targets):
        return np.mean(targets, axis=0).astype("float32")

    def colorize(self, target, limits=None):
        return np.repeat(np.round(255 * np.clip(target, 0, 1)).astype("uint8"), 3, axis=-1)


class RoomsWithEdges(Source):
    def __init__(self, size, split):
        self.rooms, self.split, self.image_size = Rooms(size, SIZE, split), split, SIZE
        self.tasks = {**self.rooms.tasks, "edge": {"kind": "quantity", "channels": 1}}

    def __len__(self):
        return len(self.rooms)

    def __getitem__(self, index):
        room = self.rooms[index]
        classes = np.pad(room["segmentation"], ((0, 1), (0, 1)), mode="edge")
        here = classes[:-1, :-1]
        edge = (here != classes[1:, :-1]) | (here != classes[:-1, 1:])
        return {**room, "edge": (1 + edge[..., None]).astype("float32")}


keras.utils.set_random_seed(0)
tasks = ["segmentation", "depth", Edges()]
model = keras_atinet.Split(tasks, input_shape=(*SIZE, 3), filters=(16, 16, 32, 32, 32))
model.compile(keras.optimizers.Adam(1e-3), balancer="dwa")
options = {"batch_size": 8, "tasks": model.tasks, "cache": True}
train = Batches(RoomsWithEdges(96, "train"), shuffle=True, **options)
test = Batches(RoomsWithEdges(24, "test"), **options)
model.fit(train, epochs=30, verbose=2)
loss = model.evaluate(test, verbose=0, return_dict=True)["edge_loss"]
edges = np.concatenate([targets["edge"].ravel() for _, targets in test.as_numpy_iterator()]) - 1
share = edges.mean()
constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
print(f"cross-entropy of edges {loss:.3f}, of the best constant {constant:.3f}")
