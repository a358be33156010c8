"""Options of `keras-atinet data`."""

SUMMARY = "Look at data, check them, or prepare them for training."
