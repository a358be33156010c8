import numpy as np
import pytest

from keras_atinet.data.nyuv2.mat5 import read_mat5

io = pytest.importorskip("scipy.io")


def cells(names):
    array = np.empty((1, len(names)), object)
    array[0, :] = names
    return array


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def path(request, tmp_path):
    variables = {
        "bytes": np.arange(6, dtype="uint8").reshape(2, 3),
        "one": np.array([[3]], "int16"),
        "numbers": np.linspace(0, 1, 12).reshape(4, 3),
        "text": "sofa",
        "names": cells(["bed", "night stand", "tv"]),
        "both": {"labels": np.arange(40, dtype="uint8")[None], "names": cells(["a", "bc"])},
    }
    io.savemat(tmp_path / "some.mat", variables, do_compression=request.param)
    return tmp_path / "some.mat"


def test_reads_what_scipy_wrote(path):
    expected = io.loadmat(path)
    for name in ("bytes", "one", "numbers"):
        value = read_mat5(path, name)
        np.testing.assert_array_equal(value, expected[name])
        assert value.dtype == expected[name].dtype
    assert read_mat5(path, "text") == "sofa"
    assert read_mat5(path, "names") == ["bed", "night stand", "tv"]
    both = read_mat5(path, "both")
    assert list(both) == ["labels", "names"] and both["names"] == ["a", "bc"]
    np.testing.assert_array_equal(both["labels"], expected["both"]["labels"][0, 0])


def test_says_what_is_wrong(path):
    with pytest.raises(ValueError, match=r"field `none`.*some\.mat.*no such variable"):
        read_mat5(path, "none")
    content = path.read_bytes()
    for damaged in (b"", content[:100], content[:150], b"\x89PNG" * 50):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"field `numbers`.*some\.mat"):
            read_mat5(path, "numbers")
