"""The labelled part of NYU Depth v2."""
