"""Options of `keras-atinet data`."""

SUMMARY = "Look at data, check them, or write them in a fast form."
