import pytest

from keras_atinet import cli


@pytest.fixture(scope="session")
def run_cli():
    """A function that runs the command line in this process and returns the exit status."""

    def run_cli(*arguments):
        return cli.main([str(argument) for argument in arguments])

    return run_cli
