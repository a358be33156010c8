"""Balancers that need the gradient of every task."""
