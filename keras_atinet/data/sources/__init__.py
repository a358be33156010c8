"""Sources of samples, a class for each format: folders of pictures, arrays, parquet files, ...

NYUv2's original file and the prepared format have folders of their own, `nyuv2` and `preparation`.
"""
