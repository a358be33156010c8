"""What is done to data before training: checks, and the prepared format.

A split in the prepared format is a folder of arrays that are mapped into memory, written by
`prepare` and read by `Prepared`. Checks of samples are in `problems`, `verification` and
`statistics`.
"""
