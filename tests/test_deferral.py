"""When the package waits with its imports."""

import pytest

from keras_atinet.deferral import is_command

pytestmark = pytest.mark.backend_free
SPAWNED = ["python", "-c", "from multiprocessing.spawn import spawn_main", "--multiprocessing-fork"]


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (["/bin/keras-atinet"], ["python", "/bin/keras-atinet"], True),
        (["/bin/keras-atinet", "info"], ["python", "-X", "dev", "/bin/keras-atinet", "info"], True),
        (["keras-atinet.exe", "info"], ["python.exe", "keras-atinet.exe", "info"], True),
        (["-m", "info"], ["python", "-m", "keras_atinet", "info"], True),
        (["-m"], ["python", "-mkeras_atinet"], True),
        (["-m", "keras_atinet"], ["python", "-m", "pytest", "keras_atinet"], False),
        (["-m"], ["python", "-m", "keras_atinet.tuning"], False),
        (["-c", "keras-atinet"], ["python", "-c", "import keras_atinet", "keras-atinet"], False),
        (["train.py", "keras-atinet"], ["python", "train.py", "keras-atinet"], False),
        (["keras-atinet.py"], ["python", "keras-atinet.py"], False),
        (["/bin/keras-atinet", "train"], SPAWNED, False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_only_the_command_waits(argv, orig_argv, expected):
    assert is_command(argv, orig_argv) is expected
