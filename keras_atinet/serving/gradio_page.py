"""The page: what is where, and what happens on a new photograph."""

import html
import logging
import pathlib
import tempfile

import gradio
from starlette.middleware import Middleware

from keras_atinet.report.page import PICTURES_STYLE
from keras_atinet.serving.guard import MEGABYTE, Guard
from keras_atinet.serving.keys import KEYS_STYLE

_KEPT = 1800  # uploads and results
_EVERY = 60  # seconds, in which old ones are looked for
_WAITING = 20  # photographs, before more are refused
_FIELDS_OF_VIEW = (20, 140)  # degrees, horizontal
_VIEW_HEIGHT = 480  # pixels
_CAMERA = (80, 80, None)  # degrees: 90 and 90 are where the photograph was taken
# Those of Gradio's own themes are fetched.
_FONTS = ["Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONOSPACE = ["Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]
_NOTE = "Up to {limits}. It stays on the computer that serves this page, for half an hour."
_FILES = """The maps as arrays (numbers of classes, metres, unit vectors), as pictures, and all in
one picture; the points in 3-D. They have the size at which the photograph is shown here: at its own
size they come from `keras-atinet predict`."""
_STYLE = """
.gradio-container { width: 100%; max-width: 1400px !important; margin: 0 auto; }
.side-by-side { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
.note { font-size: .85rem; opacity: .75; }
#fault p { border-left: 3px solid #c0392b; padding-left: .6rem; }
h1 { overflow-wrap: anywhere; }
@media (max-width: 700px) { button[role="tab"] { padding: 0 .4rem !important; } }
.pictures figcaption, .sample > p { color: inherit; }
"""
_SESSIONS = 1000  # that Gradio remembers


class Page:
    """The page of a model.

    Nothing is kept of a visitor but files, for half an hour: each event has all that it needs.

    Args:
        results: `Results`.
        max_megabytes: float, the most that is uploaded at once.
        name: str, of the model.
        about: str, Markdown: what the model is, and its limits.
        example: path of a picture to try.

    Attributes:
        blocks: `gradio.Blocks`, not yet served.
    """

    def __init__(self, results, max_megabytes, name, about, example):
        self.results, self.max_megabytes = results, max_megabytes
        limits = f"{max_megabytes:g} MB and {results.max_megapixels:g} megapixels"
        title = f"keras_atinet: {name}"
        self.blocks = gradio.Blocks(
            title=title, analytics_enabled=False, delete_cache=(_EVERY, _KEPT)
        )
        with self.blocks:
            gradio.Markdown(f"# {title}")
            with gradio.Row():
                with gradio.Column(scale=2, min_width=320):
                    self.photo = gradio.Image(label="Photograph", type="filepath", height=320)
                    gradio.Markdown(_NOTE.format(limits=limits), elem_classes="note")
                    self.fault = gradio.HTML(visible=False, elem_id="fault", padding=True)
                    gradio.Examples([[str(example)]], [self.photo], label="A synthetic room to try")
                with gradio.Column(scale=5, min_width=320, visible=False) as self.shown:
                    self._add_results()
            with gradio.Accordion("About this model, and its limits", open=False):
                gradio.Markdown(about)
            self._add_events()
        self.blocks.queue(max_size=_WAITING, api_open=False)

    def launch(self, host, port):
        """Serves the page in threads, and returns its address; `close` ends it.

        Args:
            host: str, the address to listen at.
            port: int.
        """
        guard = Middleware(Guard, max_megabytes=self.max_megabytes)
        _, address, _ = self.blocks.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            share=False,
            inline=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=round(self.max_megabytes * MEGABYTE),
            state_session_capacity=_SESSIONS,
            app_kwargs={"middleware": [guard], "openapi_url": None},
            theme=gradio.themes.Default(font=_FONTS, font_mono=_MONOSPACE),
            css=PICTURES_STYLE + KEYS_STYLE + _STYLE,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
        )
        return address

    def close(self):
        """Ends the serving, whoever still looks at the page."""
        if self.blocks.is_running:
            # Else the server waits until the last browser leaves, and its threads with it. That it
            # does not is no error.
            self.blocks.server.config.timeout_graceful_shutdown = 1
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            self.blocks.close(verbose=False)

    def _add_results(self):
        self.pictures, self.keys, self.sliders = [], [], []
        self.masks = self.points = self.field_of_view = None
        with gradio.Tabs():
            with gradio.Tab("Results"), gradio.Row(elem_classes="side-by-side"):
                for name in self.results.titles:
                    with gradio.Column(min_width=0):
                        self.pictures.append(_picture(name))
                        self.keys.append(gradio.HTML())
            with gradio.Tab("Compare"), gradio.Tabs():
                for name in self.results.titles:
                    with gradio.Tab(name):
                        self.sliders.append(_slider())
            if self.results.masks:
                with gradio.Tab("Masks"):
                    self.masks = gradio.HTML()
            if self.results.depth:
                with gradio.Tab("3-D"):
                    self.points = gradio.Model3D(
                        show_label=False,
                        display_mode="point_cloud",
                        camera_position=_CAMERA,
                        height=_VIEW_HEIGHT,
                    )
                    self.field_of_view = gradio.Slider(
                        *_FIELDS_OF_VIEW,
                        step=1,
                        label="Horizontal field of view in degrees",
                        info="Of a telephone's camera about 65, of a webcam 60.",
                    )
            with gradio.Tab("Files"):
                gradio.Markdown(_FILES)
                self.archive = gradio.DownloadButton("Download all (.zip)", variant="primary")

    def _add_events(self):
        shown = [self.shown, self.fault, *self.pictures, *self.keys, *self.sliders]
        shown += [part for part in (self.masks, self.points, self.field_of_view) if part]
        options = {
            # Gradio would decode a photograph before its size is known.
            "preprocess": False,
            "concurrency_id": "model",
            "concurrency_limit": 1,
            "api_visibility": "private",
        }
        self.photo.change(self._predict, [self.photo], [*shown, self.archive], **options)
        if self.points:
            inputs = [self.photo, self.field_of_view]
            self.field_of_view.release(self._change_view, inputs, [self.points], **options)

    def _predict(self, file):
        # The values of what is shown: results, or what is wrong with the file.
        if file is None:
            return self._no_results()
        try:
            path = self._uploaded(file)
            photo, maps = self.results.predict(path)
        except ValueError as error:
            return self._no_results(str(error))
        values = {self.shown: gradio.Column(visible=True), self.fault: gradio.HTML(visible=False)}
        parts = zip(self.pictures, self.keys, self.sliders, strict=True)
        for part, (colors, key) in zip(parts, self.results.pictures(maps), strict=True):
            values |= dict(zip(part, (colors, key, (photo, colors)), strict=True))
        if self.masks:
            values[self.masks] = self.results.mask_pictures(photo)
        folder = self._new_folder()
        files = [folder / "photo.ply"] if self.points else []
        if self.points:
            fov = self.results.field_of_view(path)
            self.results.write_points(files[0], photo, maps, fov)
            values |= {self.points: str(files[0]), self.field_of_view: round(fov)}
        archive = folder / "photo.zip"
        self.results.write_archive(archive, photo, maps, files)
        values[self.archive] = str(archive)
        return values

    def _change_view(self, file, degrees):
        if file is None:
            return None
        try:
            photo, maps = self.results.predict(self._uploaded(file))
        except ValueError as error:
            raise gradio.Error(html.escape(str(error)), print_exception=False) from error
        points = self._new_folder() / "photo.ply"
        self.results.write_points(points, photo, maps, degrees)
        return str(points)

    def _uploaded(self, file):
        # Gradio checks this of what calls itself a file; a visitor may send what does not.
        path = pathlib.Path(file["path"]).resolve()
        if not path.is_relative_to(self.photo.GRADIO_CACHE):
            raise ValueError(f"The file was not uploaded. Received: '{path.name}'.")
        return path

    def _no_results(self, fault=None):
        text = f"<p>{html.escape(fault or '')}</p>"
        return {
            self.shown: gradio.Column(visible=False),
            self.fault: gradio.HTML(text, visible=fault is not None),
        }

    def _new_folder(self):
        # In Gradio's own, which it empties.
        return pathlib.Path(tempfile.mkdtemp(dir=self.photo.GRADIO_CACHE))


def _picture(name):
    return gradio.Image(label=name, format="png", buttons=["download", "fullscreen"])


def _slider():
    return gradio.ImageSlider(show_label=False, buttons=["fullscreen"], format="png")
