"""Rooms that are made up on the fly."""

from keras_atinet.data.rooms.rooms import Rooms
