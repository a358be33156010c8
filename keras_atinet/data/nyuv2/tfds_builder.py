"""The tensorflow-datasets builder `nyuv2_multi_task`, which registers itself when imported."""

import functools

import numpy as np
import tensorflow_datasets as tfds

from keras_atinet.data.nyuv2.mat_file import NYUv2Mat
from keras_atinet.data.nyuv2.tfds_encoding import encode
from keras_atinet.data.sources.folder import Folder
from keras_atinet.data.sources.mtan_arrays import MTANArrays
from keras_atinet.data.sources.parquet import Parquet

_DESCRIPTION = """\
The 1449 labelled pictures of NYU Depth v2 (795 to train, 654 to test), 288 x 384, with 13 or 40
semantic classes, depth and surface normals (x right, y down, z forward; a wall that faces the
camera has (0, 0, -1)).

- `image`: uint8 RGB.
- `segmentation`: uint8 class, 255 = missing.
- `depth`: uint16 millimetres along the optical axis, 0 = missing.
- `normal`: uint8 RGB, `round((n + 1) * 127.5)`; a decoded vector shorter than 0.5 is missing;
  normalise the others.

The data are for research; their makers state no licence.
"""
_CITATION = """\
@inproceedings{silberman2012indoor,
  title = {Indoor Segmentation and Support Inference from {RGBD} Images},
  author = {Silberman, Nathan and Hoiem, Derek and Kohli, Pushmeet and Fergus, Rob},
  booktitle = {European Conference on Computer Vision},
  year = {2012}
}
"""
_INSTRUCTIONS = """\
NYUv2 cannot be downloaded by a program. Put the files of one form of it into the folder
`manual_dir`, or into its subfolder named in brackets:

- config `mat_13`, `mat_40` [mat]: nyu_depth_v2_labeled.mat (2.8 GB) from
  http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat;
- config `parquet` [parquet]: train-*.parquet and val-*.parquet from the folder `data` of
  https://huggingface.co/datasets/tanganke/nyuv2;
- config `mtan_arrays` [mtan_arrays]: the folders train and val of the pre-processed NYUv2 that
  https://github.com/lorenmt/mtan links to;
- config `folder` [folder]: folders train and test with image/NAME.jpg, label13/NAME.png,
  depth/NAME.png and normal/NAME.jpg, as keras_atinet.data.Folder describes them.

Then say where: tfds.load("nyuv2_multi_task/mat_13", download_and_prepare_kwargs={
"download_config": tfds.download.DownloadConfig(manual_dir=...)}).
"""
_CONFIGS = {
    "folder": "a folder of aligned pictures; JPEG files are kept byte by byte",
    "mtan_arrays": "the arrays of MTAN: 13 classes, raw depth",
    "parquet": "the parquet files of tanganke/nyuv2: 13 classes, raw depth",
    "mat_13": "the original MATLAB file: 13 classes, raw depth, normals computed from it",
    "mat_40": "the original MATLAB file: 40 classes, raw depth, normals computed from it",
}


class ExactImage(tfds.features.Image):
    """RGB picture whose JPEG is decoded as precisely as by other programs.

    TensorFlow's faster transform, the default, is off by up to 11 grey levels.
    """

    def decode_example(self, example):
        import tensorflow as tf

        # Decodes PNG as well.
        pixels = tf.io.decode_jpeg(example, channels=3, dct_method="INTEGER_ACCURATE")
        pixels.set_shape(self.shape)
        return pixels


class Nyuv2MultiTask(tfds.core.GeneratorBasedBuilder):
    """NYUv2 with segmentation, depth and normals; see `keras_atinet.data.nyuv2.tfds_encoding`."""

    name = "nyuv2_multi_task"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
    code_path = None  # Where checksums of downloads would lie; there are no downloads.
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name, description=f"From {text}.")
        for name, text in _CONFIGS.items()
    ]

    def _info(self):
        lossless = functools.partial(
            tfds.features.Image, shape=(None, None, 1), encoding_format="png"
        )
        features = {
            "image": ExactImage(shape=(None, None, 3), encoding_format="jpeg"),
            "segmentation": lossless(use_colormap=True),
            "depth": lossless(dtype=np.uint16),
            "normal": ExactImage(shape=(None, None, 3), encoding_format="jpeg"),
        }
        return self.dataset_info_from_configs(
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
            license="For research. The makers of NYU Depth v2 state no licence.",
        )

    def _split_generators(self, dl_manager):
        root = dl_manager.manual_dir
        own = root / self.builder_config.name.removesuffix("_13").removesuffix("_40")
        sources, errors = {}, []
        for split in ("train", "test"):
            try:
                sources[split] = self._open(own if own.is_dir() else root, split)
            except FileNotFoundError as error:
                errors.append(error)
        if not sources:
            raise FileNotFoundError(f"{errors[0]}\n{_INSTRUCTIONS}") from errors[0]
        for source in sources.values():
            self.info.metadata.update(source.tasks)
        return {split: self._generate_examples(source) for split, source in sources.items()}

    def _open(self, root, split):
        name = self.builder_config.name
        if name.startswith("mat_"):
            return NYUv2Mat(root, split, num_classes=int(name.removeprefix("mat_")))
        if name == "folder":
            return _Pictures(root, split)
        return {"mtan_arrays": MTANArrays, "parquet": Parquet}[name](root, split)

    def _generate_examples(self, source):
        for index in range(len(source)):
            paths = source.paths(index) if isinstance(source, _Pictures) else {}
            yield index, encode(source[index], **paths)


class _Pictures(Folder):
    def paths(self, index):
        # The pictures to be kept as they are.
        name = self._names[index]
        paths = {"image": self._images[name], "normal": self._targets.get("normal", {}).get(name)}
        return {key: path for key, path in paths.items() if path and path.suffix != ".npy"}
