"""Serves the page."""

import contextlib

from keras_atinet.data.sources.pillow import pillow
from keras_atinet.prediction.example import example_room
from keras_atinet.serving.guard import private_folder
from keras_atinet.serving.results import Results


@contextlib.contextmanager
def serving(predictor, name, about, host, port, max_megabytes=20, max_megapixels=50):
    """Serves a page that predicts photographs while the context lasts.

    What visitors send and get is in a folder that is removed at the end. The page with its fonts
    and scripts comes from this server alone, and no file beside those can be read through it.

    Args:
        predictor: `Predictor`.
        name: str, of the model.
        about: str, Markdown: what the model is, and its limits.
        host: str, the address to listen at; `"127.0.0.1"` is reached from this computer only.
        port: int, a free one.
        max_megabytes: float, the most that is uploaded at once.
        max_megapixels: float, the most that are decoded.

    Yields:
        str, the address of the page.

    Raises:
        ImportError: if Gradio is not installed.
        OSError: if the port is taken.

    Example:

    ```python
    with serving(keras_atinet.Predictor(), "rooms", "", "127.0.0.1", 7860) as address:
        input(f"{address}: Enter ends it.")
    ```
    """
    with private_folder() as folder:
        # Now, for it looks at variables that are set by now.
        from keras_atinet.serving.gradio_page import Page

        room, example = example_room(), folder / "room.jpg"
        pillow().fromarray(room).save(example, quality=92)
        # What is slow once is done before anybody waits; and a model that fails does so here.
        predictor(room)
        page = Page(Results(predictor, max_megapixels), max_megabytes, name, about, example)
        try:
            yield page.launch(host, port)
        finally:
            page.close()
