"""A page in the browser that predicts photographs, made with Gradio."""

from keras_atinet.serving.server import serving
