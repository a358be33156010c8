"""Some of what `tests/mutations` does, without the commands."""

import pathlib
import runpy

import numpy as np
import pytest

pytest.importorskip("PIL.Image")
pytestmark = [pytest.mark.backend_free, pytest.mark.filterwarnings("ignore")]
MUTATIONS = runpy.run_path(str(pathlib.Path(__file__).with_name("mutations")))


@pytest.mark.parametrize("form", MUTATIONS["FORMS"])
def test_damaged_files_give_the_right_data_or_an_error(tmp_path, form):
    checker = MUTATIONS["DataChecker"](tmp_path, form)
    outcomes = [checker.check(np.random.default_rng([0, number])) for number in range(20)]
    assert [(done, wrong) for done, wrong, _ in outcomes if wrong] == []
    # Some of each, or the test would test nothing.
    assert {failed for _, _, failed in outcomes} == {True, False}
