"""The layers that the networks are built from."""

from keras_atinet.layers.affinity import (
    Affinity,
    AffinityAttention,
    AffinityDiffusion,
    JointAffinity,
)
from keras_atinet.layers.attention import AttentionMask
from keras_atinet.layers.conv_block import ConvBlock
from keras_atinet.layers.convolution import Conv2D
from keras_atinet.layers.distillation import (
    DeconvHead,
    MultiModalDistillation,
    SelfAttention,
    TaskDistillation,
)
from keras_atinet.layers.folding import fold
from keras_atinet.layers.heads import PredictionHead
from keras_atinet.layers.inference import (
    InferenceBilinearResizing,
    InferenceBilinearUpSampling2D,
    InferenceConv2D,
    InferenceMaxPooling2D,
    InferenceMaxPooling2DWithArgmax,
    InferenceMaxUnpooling2D,
    TaskActivation,
)
from keras_atinet.layers.mixing import CrossStitchUnit, NDDRUnit
from keras_atinet.layers.pooling import MaxPooling2D, MaxPooling2DWithArgmax, MaxUnpooling2D
from keras_atinet.layers.propagation import FeaturePropagation, SqueezeExcitation
from keras_atinet.layers.residual import BottleneckBlock, ResidualBlock
from keras_atinet.layers.resizing import BilinearResizing, BilinearUpSampling2D
from keras_atinet.layers.task_attention import TaskAttentionalModule
