import keras

from keras_atinet.layers import AffinityDiffusion
from keras_atinet.models.affinity import affinities, standardize_affinity_size
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.auxiliary import standardize_auxiliary
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.feature_pyramid import at_finest_size, feature_pyramid
from keras_atinet.models.initial_predictions import final_predictions, initial_predictions
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE


@keras.saving.register_keras_serializable(package="keras_atinet")
class PAPNet(MultiTaskModel):
    """PAP-Net: which pixels are alike to all tasks, and features spread among these.

    Features `F_k` and an initial prediction of each task are those of `PADNet(supervised=True)`. A
    1x1 convolution halves their channels and they are resized to `affinity_size`,
    `f_k = resize(conv1x1(F_k))`. A matrix `M_k` says how alike any two pixels are to task k, its
    rows are shares (`Affinity`). Each task i mixes them, `M^_i = sum over k of w_ik M_k`, and
    spreads its features, `h <- beta M^_i h + (1 - beta) f_i`, `steps` times (`AffinityDiffusion`).
    Two `BottleneckBlock`s and a 1x1 convolution on h give the prediction, resized to the image.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"papnet"`.
        encoder, **encoder_options: as for `ATINet`.
        affinity_size: optional `(height, width)`, at which pixels are compared, for images of any
            size. A matrix has `(height * width) ** 2` numbers. Defaults to an eighth of
            `input_shape`, rounded up.
        beta: float in `[0, 1]`, how much of a pixel's features comes from others in a step.
            Defaults to 0.05.
        steps: int, how often features are spread; 1 to 3 in the paper. Defaults to 1.
        distillation_stride, auxiliary_tasks, auxiliary_weight: as for `PADNet`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet` and `PADNet`; if `beta` or `steps` is out of range; if the
            matrices of `affinity_size` take more than 2 GiB for each image in training.

    Example:
        >>> model = keras_atinet.PAPNet(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.PAPNet(affinity_size=(24, 32), steps=3)

    Reference: Zhang et al., "Pattern-Affinitive Propagation across Depth, Surface Normal and
    Semantic Segmentation", CVPR 2019; as in the comparison of CTAL, without the pairwise loss.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="papnet",
        encoder=None,
        affinity_size=None,
        beta=0.05,
        steps=1,
        distillation_stride=None,
        auxiliary_tasks=(),
        auxiliary_weight=1.0,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "PAPNet", encoder
        )
        auxiliary_tasks = standardize_auxiliary(tasks, auxiliary_tasks, auxiliary_weight, "PAPNet")
        all_tasks = [*tasks, *auxiliary_tasks]
        # Of each task before and after the rows are normalized, and the mixed ones.
        num_matrices = 2 * len(all_tasks) + len(tasks)
        affinity_size = standardize_affinity_size(
            affinity_size, input_shape, num_matrices, dtype, "PAPNet"
        )
        diffuse = AffinityDiffusion(beta, steps, dtype=dtype, name="diffusion")

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        levels = feature_pyramid(inputs, encoder, filters, distillation_stride, dtype, "PAPNet")
        initial, auxiliary = initial_predictions(
            at_finest_size(levels, dtype), all_tasks, filters, inputs, dtype
        )
        features, matrices = affinities(
            initial, filters, affinity_size, normalize_rows=True, dtype=dtype
        )
        names = [task.name for task in tasks]
        spread = diffuse(matrices, [features[key] for key in names])
        outputs = final_predictions(
            dict(zip(names, spread, strict=True)), tasks, 2 * filters[0], inputs, dtype
        )

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "affinity_size": affinity_size,
            "beta": beta,
            "steps": steps,
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
