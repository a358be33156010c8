"""From an encoder's levels to the features that heads read, or that attention starts from."""

from keras_atinet.models.decoders.decoder import DECODERS, decode
