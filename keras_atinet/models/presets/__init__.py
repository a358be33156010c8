"""Presets: trained networks as folders, by the conventions and file names of keras-hub."""
