import keras

from keras_atinet.layers import AffinityAttention, Conv2D, JointAffinity
from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.layers.conv_block import BATCH_NORM
from keras_atinet.models.affinity import affinities, standardize_affinity_size
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.auxiliary import standardize_auxiliary
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.feature_pyramid import at_finest_size, feature_pyramid
from keras_atinet.models.initial_predictions import final_predictions, initial_predictions
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE


@keras.saving.register_keras_serializable(package="keras_atinet")
class CTAL(MultiTaskModel):
    """CTAL, cross-task affinity learning: one matrix of which pixels are alike, out of all tasks'.

    Features `F_k` and an initial prediction of each task are those of `PADNet(supervised=True)`. A
    1x1 convolution halves their channels and they are resized to `affinity_size`,
    `f_k = resize(conv1x1(F_k))`. A matrix `A_k` has the cosine of the features of any two pixels
    (`Affinity`). A convolution that each pixel has for itself makes one matrix J out of all tasks'
    (`JointAffinity`), and each task adds what J gathers,
    `g_k = gamma J^T conv3x3(f_k) + (1 - gamma) f_k` (`AffinityAttention`). A transposed convolution
    of stride 2, BatchNorm, ReLU and a 3x3 convolution double its size; two `BottleneckBlock`s and a
    1x1 convolution give the prediction, resized to the image.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"ctal"`.
        encoder, **encoder_options: as for `ATINet`.
        affinity_size: optional `(height, width)`, at which pixels are compared, for images of any
            size. A matrix has `(height * width) ** 2` numbers, and J's convolution
            `9 * tasks * height * width` weights. Defaults to an eighth of `input_shape`, rounded
            up.
        gamma: float in `[0, 1]`, how much of a pixel's features comes from others. Defaults to
            0.05.
        distillation_stride, auxiliary_tasks, auxiliary_weight: as for `PADNet`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet` and `PADNet`; if `gamma` is out of range; if the matrices of
            `affinity_size` take more than 2 GiB for each image in training.

    Example:
        >>> model = keras_atinet.CTAL(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.CTAL(encoder="efficientnet_lite0", affinity_size=(18, 24))

    Reference: Sinodinos and Armanfard, "Cross-Task Affinity Learning for Multitask Dense Scene
    Predictions", WACV 2025.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="ctal",
        encoder=None,
        affinity_size=None,
        gamma=0.05,
        distillation_stride=None,
        auxiliary_tasks=(),
        auxiliary_weight=1.0,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "CTAL", encoder
        )
        auxiliary_tasks = standardize_auxiliary(tasks, auxiliary_tasks, auxiliary_weight, "CTAL")
        all_tasks = [*tasks, *auxiliary_tasks]
        affinity_size = standardize_affinity_size(
            affinity_size, input_shape, len(all_tasks) + 1, dtype, "CTAL"
        )
        width = 2 * filters[0]

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        levels = feature_pyramid(inputs, encoder, filters, distillation_stride, dtype, "CTAL")
        initial, auxiliary = initial_predictions(
            at_finest_size(levels, dtype), all_tasks, filters, inputs, dtype
        )
        features, matrices = affinities(initial, filters, affinity_size, dtype=dtype)
        joint = JointAffinity(affinity_size, dtype=dtype, name="joint_affinity")(matrices)
        refined = {}
        for task in tasks:
            x = features[task.name]
            values = Conv2D(width, 3, dtype=dtype, name=f"{task.name}_values")(x)
            attend = AffinityAttention(gamma, dtype=dtype, name=f"{task.name}_attended")
            refined[task.name] = _doubled(attend(joint, values, x), task.name, dtype)
        outputs = final_predictions(refined, tasks, width, inputs, dtype)

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "affinity_size": affinity_size,
            "gamma": gamma,
            "distillation_stride": distillation_stride,
        }
        super().__init__(
            inputs,
            outputs,
            tasks,
            config,
            [level.last for level in levels],
            dtype=dtype,
            name=name,
            auxiliary=auxiliary,
            auxiliary_weight=auxiliary_weight,
            auxiliary_tasks=auxiliary_tasks,
        )


def _doubled(x, task, dtype):
    """At twice the size, by convolutions."""
    width = x.shape[-1]
    x = keras.layers.Conv2DTranspose(
        width,
        2,
        strides=2,
        use_bias=False,  # the BatchNorm has one
        kernel_initializer="glorot_normal",
        data_format="channels_last",
        dtype=dtype,
        name=f"{task}_doubling",
    )(x)
    x = BatchNormalization(**BATCH_NORM, dtype=dtype, name=f"{task}_doubling_norm")(x)
    x = keras.layers.ReLU(dtype=dtype, name=f"{task}_doubling_relu")(x)
    return Conv2D(width, 3, dtype=dtype, name=f"{task}_doubled")(x)
