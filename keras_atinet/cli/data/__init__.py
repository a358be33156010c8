"""`keras-atinet data`: `inspect`, `verify` and `prepare`."""
