"""Options of `keras-atinet serve`."""

import errno
import importlib.util
import ipaddress
import socket
import warnings

from keras_atinet.cli.options.shared import PORT, POSITIVE, add_model
from keras_atinet.settings import DEFAULT_PRESET

SUMMARY = "Serve a page in the browser that predicts photographs."
DETAILS = (
    "The page shows the maps beside and on top of the photograph, and its points in 3-D. It loads "
    "nothing from elsewhere and sends nothing anywhere. Photographs are removed after half an hour."
)
EXAMPLES = ("keras-atinet serve", "keras-atinet serve --model runs/first --port 8000")
PATHS = ("model",)
_LOCAL = "127.0.0.1"
_PORTS = range(7860, 7960)


def add_options(parser):
    add_model(parser, DEFAULT_PRESET)
    text = "address to listen at (default: %(default)s, which only this computer reaches)"
    parser.add_argument("--host", default=_LOCAL, help=text)
    text = f"default: the first free one from {_PORTS[0]} on"
    parser.add_argument("--port", **PORT, help=text)
    text = "the most to upload at once (default: %(default)s)"
    parser.add_argument("--max-megabytes", default=20, **POSITIVE, help=text)
    text = "the most that a photograph may have (default: %(default)s)"
    parser.add_argument("--max-megapixels", default=50, **POSITIVE, help=text)


def check(arguments):
    """Finds a free port, and warns of an address that others reach.

    Raises:
        ImportError: if Gradio is not installed.
        ValueError: if there is no such address here, or the port is taken.
    """
    if importlib.util.find_spec("gradio") is None:
        raise ImportError(
            "The page needs Gradio. Install it with `pip install keras-atinet[demo]`."
        )
    family, address = _resolve(arguments.host)
    arguments.port = _free_port(family, address, arguments.port)
    if not ipaddress.ip_address(address).is_loopback:
        warnings.warn(
            f"Everyone who reaches {arguments.host} can upload photographs, without a password.",
            stacklevel=2,
        )


def _resolve(host):
    try:
        family, *_, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"`--host` must be an address of this computer. Received: {host!r}. "
            f"{_LOCAL} is reached from here only, 0.0.0.0 from everywhere."
        ) from error
    return family, address[0]


def _free_port(family, address, port):
    ports = _PORTS if port is None else [port]
    for candidate in ports:
        # Gradio looks at both.
        if _is_free(family, address, candidate) and _is_free(socket.AF_INET, _LOCAL, candidate):
            return candidate
    if port is None:
        raise ValueError(
            f"No port is free. Received: {ports[0]} to {ports[-1]}. Name another by `--port`."
        )
    raise ValueError(
        f"The port is taken. Received: --port {port}. Leave it out for one that is free."
    )


def _is_free(family, address, port):
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ValueError(
                f"The page cannot be served there ({error.strerror}). Received: {address}, port "
                f"{port}. Choose another `--host` or `--port`."
            ) from error
    return True
