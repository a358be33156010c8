"""Multi-task dense prediction in Keras 3: ATI-Net, its peers, and their training."""

from keras_atinet import deferral as _deferral
from keras_atinet.version import __version__

# The command line comes back to this when it has read its arguments.
if not _deferral.deferred:
    try:
        import keras as _keras
    except ModuleNotFoundError as error:
        if error.name not in ("tensorflow", "jax", "torch"):
            raise
        raise ImportError(
            f"`keras_atinet` needs a backend of Keras. The one chosen, '{error.name}', is not "
            f"installed: `pip install keras-atinet[{error.name}]`. Or choose another by the "
            "environment variable KERAS_BACKEND: 'tensorflow', 'jax' or 'torch'."
        ) from error

    from keras_atinet.settings import BACKENDS as _BACKENDS

    if _keras.backend.backend() not in _BACKENDS:
        raise ImportError(
            f"`keras_atinet` needs one of the backends {_BACKENDS}. "
            f"Received: {_keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND."
        )

    from keras_atinet import balancing, data, layers, losses, metrics, ops
    from keras_atinet.balancing import DynamicWeightAverage, Equal
    from keras_atinet.exporting import ExportedModel, export_model
    from keras_atinet.models import (
        CTAL,
        JTRL,
        MTAN,
        NDDRCNN,
        ATINet,
        CrossStitch,
        MTINet,
        MultiTaskModel,
        PADNet,
        PAPNet,
        SingleTask,
        Split,
    )
    from keras_atinet.models.encoders import build_encoder, encoder_levels
    from keras_atinet.models.presets.loading import from_preset
    from keras_atinet.models.presets.locating import presets
    from keras_atinet.models.torch_checkpoint import load_torch_checkpoint
    from keras_atinet.prediction import Predictor
    from keras_atinet.tasks import DepthEstimation, SemanticSegmentation, SurfaceNormals, Task
    from keras_atinet.training import PhaseSwitch
