"""A network on labels that are partly missing: each room has one of three labels.

    python examples/partial_labels.py

Time: 68 seconds on two CPU cores, TensorFlow.
Score, losses on test rooms with all labels and with a third of them: classes 1.790 and 1.858,
depth 0.979 and 0.910 m, normals 0.314 and 0.342.
Nothing but the data says what is missing: a sample leaves a task out, or some of its pixels.
"""

import keras

import keras_atinet
from keras_atinet.data import Batches, Rooms, Source

SIZE = (64, 96)
TASKS = ("segmentation", "depth", "normal")


class OneLabelEach(Source):
    """Of three rooms one has its classes, one its depth, one its normals."""

    split, image_size = "train", SIZE

    def __init__(self, rooms):
        self.rooms, self.tasks = rooms, rooms.tasks

    def __len__(self):
        return len(self.rooms)

    def __getitem__(self, index):
        room = self.rooms[self._position(index)]
        kept = TASKS[index % len(TASKS)]
        return {"image": room["image"], kept: room[kept]}


def train(source):
    keras.utils.set_random_seed(0)
    model = keras_atinet.Split(TASKS, input_shape=(*SIZE, 3), filters=(8, 8, 16, 16, 16))
    model.compile(keras.optimizers.Adam(1e-3))
    test = Batches(Rooms(48, SIZE, "test"), batch_size=8, tasks=model.tasks)
    batches = Batches(source, batch_size=8, tasks=model.tasks, shuffle=True, cache=True)
    model.fit(batches, epochs=10, verbose=2)
    return model.evaluate(test, verbose=0, return_dict=True)


rooms = Rooms(144, SIZE)
every, some = train(rooms), train(OneLabelEach(rooms))
print(f"\n{'on test rooms, loss':24}{'all labels':>12}{'a third':>12}")
for task in TASKS:
    print(f"{task:24}{every[f'{task}_loss']:12.3f}{some[f'{task}_loss']:12.3f}")
