"""ATI-Net on NYUv2, small: 64 x 96 pixels, an eighth of the paper's filters.

    python examples/train_nyuv2.py nyuv2

Time: 13 minutes on two CPU cores beside much other work, 9 of CPU time, TensorFlow.
Score on the test images after 10 epochs: mean IoU 8.1 %, depth 0.86 m off, normals 40 degrees off.
`--image-size 288 384 --width 1` is the paper's size; for its recipe, see `keras-atinet reproduce`.
"""

import argparse

import keras

import keras_atinet
from keras_atinet.data import pipeline, random_mirror, splits

parser = argparse.ArgumentParser()
parser.add_argument("data", help="a folder of NYUv2 in any form that docs/data.md lists")
parser.add_argument("--image-size", nargs=2, type=int, default=(64, 96))
parser.add_argument("--width", type=float, default=0.125, help="filters over the paper's")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--batch-size", type=int, default=8)
arguments = parser.parse_args()

keras.utils.set_random_seed(0)
model = keras_atinet.ATINet(
    tasks=("segmentation", "depth", "normal"),
    input_shape=(*arguments.image_size, 3),
    filters=[round(arguments.width * filters) for filters in (64, 128, 256, 512, 512)],
)
options = {"image_size": arguments.image_size, "batch_size": arguments.batch_size}
options |= {"tasks": model.tasks, "cache": True}
learn, hold_out = splits(arguments.data)[:2]
train = pipeline(arguments.data, learn, shuffle=True, augment=random_mirror, **options)
test = pipeline(arguments.data, hold_out, **options)

model.compile(keras.optimizers.Adam(1e-3), balancer="dwa")
model.fit(train, validation_data=test, epochs=arguments.epochs, verbose=2)
for name, value in sorted(model.evaluate(test, verbose=0, return_dict=True).items()):
    print(f"{name:30}{value:.4f}")
model.save("atinet-nyuv2.keras")
