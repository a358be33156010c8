import functools

import keras
import pytest


@pytest.fixture(scope="session")
def application():
    """Makes models of `keras.applications` whose weights are never made; one of each."""

    @functools.cache
    def build(name, **arguments):
        keras.utils.clear_session()
        with keras.StatelessScope(initialize_variables=False):
            arguments = {"weights": None, "include_top": False, **arguments}
            model = getattr(keras.applications, name)(**arguments)
        # Else the next such scope would make them.
        keras.utils.clear_session()
        return model

    return build
