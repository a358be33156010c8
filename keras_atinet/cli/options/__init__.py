"""A file for each command, with its options; none imports Keras."""
