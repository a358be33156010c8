"""The command line."""

from keras_atinet.cli.main import main
