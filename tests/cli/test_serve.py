"""`keras-atinet serve`, up to the page: what is checked before anything is loaded."""

import argparse
import importlib.util
import socket

import pytest

from keras_atinet.cli.options import serve

pytestmark = pytest.mark.backend_free


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def checked(host="127.0.0.1", port=None):
    arguments = argparse.Namespace(host=host, port=port)
    serve.check(arguments)
    return arguments.port


def test_a_port_is_free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"taken\. Received: --port {port}\."):
            checked(port=port)
    assert checked(port=port) == port
    port = checked()
    with socket.create_server(("127.0.0.1", port)):
        assert checked() > port


def test_only_this_computer_reaches_it_without_a_warning(recwarn):
    checked()
    checked("localhost")
    assert not recwarn
    with pytest.warns(UserWarning, match=r"reaches 0\.0\.0\.0 can upload"):
        checked("0.0.0.0")
    for host in ("no such address", "", "192.0.2.1"):
        with pytest.raises(ValueError, match="`--host`"):
            checked(host)


def test_without_gradio_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"keras-atinet\[demo\]"):
        checked()
