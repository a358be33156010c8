"""What Gradio would do beyond the page: read variables, fetch for others, take any amount."""

import contextlib
import json
import os
import pathlib
import tempfile

# Scripts of the page are in it; its pictures are files, or in its text, or made by scripts.
_SOURCES = b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
_POLICY = (b"content-security-policy", _SOURCES)
MEGABYTE = 1024**2  # as Gradio counts
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_FILE, _PROXY = "/gradio_api/file=", "/gradio_api/proxy="


@contextlib.contextmanager
def private_folder():
    """A new folder for uploads and results, removed at the end with all that is in it.

    While it lasts, of the variables that Gradio reads only those have a value that are set here:
    there is no report of use, no other folder that it shows, and no public address.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="keras_atinet-") as folder:
        folder = pathlib.Path(folder).resolve()
        for name in [name for name in os.environ if name.startswith("GRADIO_")]:
            del os.environ[name]
        os.environ.update(
            GRADIO_ANALYTICS_ENABLED="False",
            HF_HUB_DISABLE_TELEMETRY="1",
            GRADIO_TEMP_DIR=str(folder / "files"),
            GRADIO_EXAMPLES_CACHE=str(folder / "files"),
            # It asks its own address whether it is there, and must not ask a proxy.
            NO_PROXY=",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
        )
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


class Guard:
    """ASGI middleware that bounds requests, and keeps the server and the page to themselves.

    Gradio bounds each file of a request, but not their number; it fetches other addresses for a
    visitor; and a text that it shows may have pictures from elsewhere, which a browser would fetch.

    Args:
        app: the ASGI application.
        max_megabytes: float, of one request.
    """

    def __init__(self, app, max_megabytes):
        self.app = app
        # What is around the file is no more than the last megabyte.
        self.max_bytes = (max_megabytes + 1) * MEGABYTE

    async def __call__(self, scope, receive, send):
        async def send_with_policy(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _POLICY]
            await send(message)

        status = None
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            status = self._refusal(scope, headers)
            is_upload = headers.get(b"content-type", b"").startswith(b"multipart/")
            if status is None and scope["method"] not in _WITHOUT_BODY and not is_upload:
                body = await _read(receive)
                status = 403 if _has_address(body) else None
                receive = _again(body, receive)
        if status is None:
            await self.app(scope, receive, send_with_policy)
        else:
            await send_with_policy({"type": "http.response.start", "status": status})
            await send({"type": "http.response.body"})

    def _refusal(self, scope, headers):
        # The HTTP status of a request that is refused, or None.
        path = scope["path"]
        if path.startswith(_PROXY) or (path.startswith(_FILE) and "://" in path):
            return 403
        if scope["method"] in _WITHOUT_BODY:
            return None
        length = headers.get(b"content-length", b"")
        # The server takes no more than this says; without it there is no end.
        if not length.isdigit():
            return 411
        return 413 if int(length) > self.max_bytes else None


async def _read(receive):
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    return body


def _again(body, receive):
    # What receives a body that was read, and then what follows it.
    messages = [{"type": "http.request", "body": body}]

    async def receive_again():
        return messages.pop() if messages else await receive()

    return receive_again


def _has_address(body):
    """Whether a file in a JSON text is somewhere else, or the text is neither JSON nor empty."""
    try:
        waiting = [json.loads(body or b"null")]
    except (ValueError, RecursionError):
        return True
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "://" in str(part.get("path")):
                return True
            part = part.values()
        elif not isinstance(part, list):
            continue
        waiting += part
    return False
