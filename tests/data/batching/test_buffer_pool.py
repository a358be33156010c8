import gc
import pickle

import numpy as np
import pytest

from keras_atinet.data.batching.buffer_pool import BufferPool

pytestmark = pytest.mark.backend_free


def test_memory_is_used_again_when_nothing_refers_to_it():
    pool = BufferPool(4)
    first, second = (pool.empty((3, 5), "float32") for _ in range(2))
    first[:], second[:] = 1, 2
    assert first.shape == (3, 5) and first.dtype == np.float32
    assert first.ctypes.data % 64 == 0 and (first == 1).all()
    addresses = {first.ctypes.data, second.ctypes.data}
    part = first[1:, 0]
    del first
    assert pool.empty((3, 5), "int32").ctypes.data not in addresses
    del part, second
    gc.collect()
    third, fourth = (pool.empty((15,), "float32") for _ in range(2))
    assert {third.ctypes.data, fourth.ctypes.data} & addresses
    assert third.ctypes.data != fourth.ctypes.data
    assert pickle.loads(pickle.dumps(pool)).empty((2,), "int8").shape == (2,)


def test_more_arrays_than_blocks():
    pool = BufferPool(2)
    arrays = [pool.empty((7,), "float32") for _ in range(5)]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [array[3] for array in arrays] == [0, 1, 2, 3, 4]
