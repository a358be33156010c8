"""Data written in a fast form, and checked."""
