"""Trained networks as files for other runtimes, whole and in int8."""

from keras_atinet.exporting.formats import FORMATS, export_model
from keras_atinet.exporting.quantization import QUANTIZED, calibration_images, quantize
from keras_atinet.exporting.runtimes import RUNTIMES, ExportedModel
