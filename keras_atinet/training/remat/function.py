import keras

if keras.backend.backend() == "tensorflow":
    from keras_atinet.training.remat.tensorflow import remat
elif keras.backend.backend() == "jax":
    from keras_atinet.training.remat.jax import remat
elif keras.backend.backend() == "torch":
    from keras_atinet.training.remat.torch import remat


__all__ = ["remat"]
