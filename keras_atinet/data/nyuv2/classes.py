"""What is known about the tasks of NYUv2 with 13 classes."""

from keras_atinet.tasks import NYU13_CLASSES

NYU13_FACTS = {
    "kind": "segmentation",
    "num_classes": len(NYU13_CLASSES),
    "class_names": list(NYU13_CLASSES),
    "class_colors": [list(color) for color in NYU13_CLASSES.values()],
}
FACTS = {"segmentation": NYU13_FACTS, "depth": {"kind": "depth"}, "normal": {"kind": "normal"}}
