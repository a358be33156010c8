"""How fast samples become batches, and what feeding them adds to a train step.

    KERAS_BACKEND=tensorflow python benchmarks/data.py --data nyuv2

Without `--data` it draws 64 rooms into a temporary folder of JPEG and PNG files.

Measured on NYUv2 at 288 x 384, three tasks, `augment=True`, on 2 cores; batches of 8, five repeats:

| source | | samples/s, median (best) | ms of a core per sample |
|---|---|---|---|
| folder, JPEG and PNG | `pipeline` | 151 (168) | 10.5 |
| | `Batches` | 175 (187) | 9.6 |
| prepared | `pipeline` | 263 (310) | 5.2 |
| | `Batches` | 359 (407) | 4.2 |

A train step of MTAN with a quarter of the filters, batch 2, TensorFlow, took 2.7 s on one batch
repeated, on a busy machine, and as long when `pipeline` fed it from the prepared format: -0.0 %,
the median of six turns.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np

import keras_atinet
from keras_atinet.data import Batches, Folder, Rooms, Subset, pipeline, prepare

SIZE = (288, 384)
BATCH = 8


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of images and targets, at 288 x 384")
    parser.add_argument("--samples", type=int, default=256, help="to read in a measurement")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement")
    parser.add_argument("--steps", type=int, default=6, help="in a turn; 0: no train steps")
    parser.add_argument("--turns", type=int, default=8, help="of steps on one batch and fed ones")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        folder = Folder(arguments.data or write_rooms(temporary / "rooms"))
        fast = prepare([Subset(folder, 64)], temporary / "fast")[0]
        for name, source in (("folder", folder), ("prepared", fast)):
            for make in (pipeline, Batches):
                rates = [throughput(make, source, arguments) for _ in range(arguments.repeats)]
                rates = [tuple(rate) for rate in zip(*rates, strict=True)]
                print(
                    f"{name:10}{make.__name__:10}{max(rates[0]):7.0f} samples/s, median "
                    f"{statistics.median(rates[0]):.0f}; "
                    f"{1000 / max(rates[1]):.1f} ms of a core per sample"
                )
        for make in (pipeline, Batches) if arguments.steps else ():
            print(f"train step {make.__name__:10}", train_steps(make, fast, arguments))


def write_rooms(path):
    from PIL import Image

    for index, sample in enumerate(Rooms(64, image_size=SIZE)):
        arrays = {
            "image": np.rint(255 * sample["image"]).astype("uint8"),
            "label13": sample["segmentation"].astype("uint8"),
            "depth": np.rint(1000 * sample["depth"][..., 0]).astype("uint16"),
            "normal": np.rint(127.5 * (sample["normal"] + 1)).astype("uint8"),
        }
        for name, array in arrays.items():
            file = path / "train" / name / f"{index:04d}"
            file.parent.mkdir(parents=True, exist_ok=True)
            suffix = ".jpg" if name in ("image", "normal") else ".png"
            options = {"quality": 92, "subsampling": 0} if suffix == ".jpg" else {}
            Image.fromarray(array).save(file.with_suffix(suffix), **options)
    return path


def throughput(make, source, arguments):
    """Samples per second of the clock, and per second of processor time."""
    batches = make(source, None, SIZE, BATCH, augment=True, shuffle=True, drop_remainder=True)
    for _ in batches.as_numpy_iterator():
        break
    clock, processor, count = time.perf_counter(), time.process_time(), 0
    while count < arguments.samples:
        for images, _ in batches.as_numpy_iterator():
            count += len(images)
            if count >= arguments.samples:
                break
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return count / clock, count / processor


class Clock(keras.callbacks.Callback):
    """Measures the seconds from the end of one step to the end of the next."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._last = None

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # waits for the device
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now


def train_steps(make, source, arguments):
    """Times steps on one repeated batch and on those of a pipeline, in turns."""
    options = dict(augment=True, shuffle=True, drop_remainder=True, workers=1)
    fed = make(source, None, SIZE, 2, **options)
    images, targets = next(fed.as_numpy_iterator())
    model = keras_atinet.MTAN(input_shape=(*SIZE, 3), filters=(16, 32, 64, 128, 128))
    model.compile(keras.optimizers.Adam(1e-4))
    constant = Constant(images, targets, arguments.steps)
    ratios, seconds = [], []
    for turn in range(arguments.turns + 1):
        medians = []
        for data in (constant, fed):
            clock = Clock()
            model.fit(
                data, steps_per_epoch=arguments.steps, callbacks=[clock], verbose=0, shuffle=False
            )
            medians.append(statistics.median(clock.seconds))
        if turn:  # the first compiles
            ratios.append(medians[1] / medians[0])
            seconds.append(medians[0])
    return (
        f"{1000 * statistics.median(seconds):.0f} ms on one batch; fed "
        f"{100 * (statistics.median(ratios) - 1):+.1f} %, median of {len(ratios)} turns"
    )


class Constant(keras.utils.PyDataset):
    """The same batch at every step."""

    def __init__(self, images, targets, steps):
        super().__init__()
        self.batch, self.steps = (images, targets), steps

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return self.batch


if __name__ == "__main__":
    main()
