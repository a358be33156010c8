"""Pure functions on a sample: a dict of arrays goes in, a new dict comes out.

How a target is treated follows from its kind, which the facts of its source state in `tasks`.
"""
