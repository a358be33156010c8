"""Predictions for pictures of any kind and size."""
