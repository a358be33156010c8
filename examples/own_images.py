"""Your own images and tasks: two kinds of labels, any number of classes, pictures of predictions.

    python examples/own_images.py

Time: 1 minute on two CPU cores beside other work, TensorFlow.
Score on the 64 test pictures: mean IoU 35.0 %, pixel accuracy 60.7 %, depth 0.88 m.
It writes a folder `my-images` to learn from. Put your own files there instead:

    my-images/{train,test}/image/NAME.jpg        8-bit RGB of any size
    my-images/{train,test}/parts/NAME.png        class numbers; 255 = ignored
    my-images/{train,test}/depth/NAME.png        16 bits, millimetres; 0 = unknown
    my-images/dataset.json                       what the files mean
"""

import json
import pathlib

import keras
from PIL import Image

import keras_atinet
from keras_atinet import visualization
from keras_atinet.data import Folder, Rooms, pipeline

FOLDER = pathlib.Path("my-images")
DESCRIPTION = {
    "image_size": [64, 96],
    "tasks": {"parts": {"kind": "segmentation", "num_classes": 3}, "depth": {}},
}


def make_images():
    for split in ("train", "test"):
        for index, room in enumerate(Rooms(64, DESCRIPTION["image_size"], split)):
            parts = (room["segmentation"] == 4) + 2 * (room["segmentation"] == 11)  # floor, wall
            for key, array in (
                ("image", (room["image"] * 255).astype("uint8")),
                ("parts", parts.astype("uint8")),
                ("depth", (room["depth"][..., 0] * 1000).astype("uint16")),
            ):
                (FOLDER / split / key).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(FOLDER / split / key / f"{index:04}.png")
    (FOLDER / "dataset.json").write_text(json.dumps(DESCRIPTION))


if not FOLDER.exists():
    make_images()
names = ["other", "floor", "wall"]
tasks = [
    keras_atinet.SemanticSegmentation(3, class_names=names, name="parts"),
    keras_atinet.DepthEstimation(),
]
options = {"image_size": (64, 96), "batch_size": 8, "tasks": tasks, "cache": True}
train = pipeline(Folder(FOLDER, "train", tasks=["parts", "depth"]), shuffle=True, **options)
test = pipeline(Folder(FOLDER, "test", tasks=["parts", "depth"]), **options)

keras.utils.set_random_seed(0)
model = keras_atinet.Split(tasks, input_shape=(64, 96, 3), filters=(8, 8, 16, 16, 16))
model.compile(keras.optimizers.Adam(1e-3), balancer="uncertainty")
model.fit(train, validation_data=test, epochs=40, verbose=2)

images, targets = next(test.as_numpy_iterator())
predictions = model.predict(images, verbose=0)
visualization.prediction_grid(images[:3], targets, predictions, tasks).savefig("my-images.png")
