"""Balancers that need the losses only."""
