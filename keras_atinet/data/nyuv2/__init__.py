"""The labelled part of NYU Depth v2: the original file, and a builder for tensorflow-datasets.

`labelled_set.json` has the published facts: the splits (Silberman et al., ECCV 2012), which number
samples from 1; and which of 40 classes each of the 894 classes of the original is (`to_40`), and
which of 13 each of these 40 (`from_40_to_13`), all numbered from 1
(github.com/ankurhanda/nyuv2-meta-data).
"""
