"""Pure functions on tensors, written once in `keras.ops` for the three backends."""

from keras_atinet.ops.convolution import conv, depthwise_conv
from keras_atinet.ops.finite import all_finite
from keras_atinet.ops.normalization import batch_normalization
from keras_atinet.ops.pooling import max_pool, max_pool_with_argmax, max_unpool
from keras_atinet.ops.resizing import resize_bilinear, upsample_align_corners
from keras_atinet.ops.vectors import unit_vector
