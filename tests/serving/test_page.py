"""The page, in a browser and without one; one server for all tests."""

import http.client
import io
import json
import os
import pathlib
import shutil
import socket
import threading
import time
import urllib.parse
import zipfile

import numpy as np
import pytest

import keras_atinet
from keras_atinet.serving import serving

pytest.importorskip("gradio")
Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.one_backend
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LIMIT = 60_000  # milliseconds
ROUTES = ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/")


@pytest.fixture(scope="module")
def server():
    """The address of a page, and the folder of its files."""
    tasks = [
        keras_atinet.SemanticSegmentation(3, class_names=["wall", "floor", "lamp"]),
        keras_atinet.DepthEstimation(),
        keras_atinet.SurfaceNormals(),
    ]
    model = keras_atinet.MTAN(tasks, (32, 32, 3), filters=(4, 4, 4, 4, 4))
    before = dict(os.environ)
    about = "Its limits.\n\n![A picture from elsewhere](http://example.com/picture.png)"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(
        keras_atinet.Predictor(model), "tiny", about, "127.0.0.1", port, 1, 0.1
    ) as address:
        folder = pathlib.Path(os.environ["GRADIO_TEMP_DIR"])
        yield address, folder
        # A browser that is still there does not keep it.
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc)
        connection.request("GET", "/gradio_api/heartbeat/visitor")
        assert connection.getresponse().status == 200
    assert not folder.exists() and dict(os.environ) == before
    for _ in range(200):
        if not [thread for thread in threading.enumerate() if "AnyIO" in thread.name]:
            break
        time.sleep(0.05)
    else:
        pytest.fail("Threads of the server still run.")
    connection.close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def request(address, path, method="GET", body=None, headers=None):
    """The status and the body of an answer; the path is sent as it is."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    result = answer.status, answer.read()
    connection.close()
    return result


def write_picture(path, size, color):
    Image.new("RGB", size, color).save(path)
    return str(path)


def upload(page, path):
    page.set_input_files("input[type=file] >> nth=0", path)


def test_photographs_of_two_visitors_are_predicted(server, browser, tmp_path):
    address, _ = server
    sizes = {"red": (60, 40), "blue": (32, 96)}
    requested, said, pages = [], [], {}
    for color in sizes:
        pages[color] = browser.new_context().new_page()
        pages[color].on("request", lambda request: requested.append(request.url))
        pages[color].on("console", lambda message: said.append(message.text))
        pages[color].goto(address)
    for color, size in sizes.items():
        upload(pages[color], write_picture(tmp_path / f"{color}.png", size, color))
    for color, size in sizes.items():
        page = pages[color]
        depth = page.locator(".side-by-side img").nth(1)
        depth.wait_for(timeout=LIMIT)
        page.wait_for_function("document.querySelectorAll('.side-by-side img')[1].naturalWidth")
        assert tuple(depth.evaluate("image => [image.naturalWidth, image.naturalHeight]")) == size
        keys = page.locator(".key").all_inner_texts()
        assert " %" in keys[0] and "facing camera" in keys[1]
        assert page.locator(".ticks").inner_text().count(" m") == 5
    # Each has its own.
    page.get_by_role("tab", name="Masks").click()
    assert page.locator(".pictures img").count() == 3 * 10
    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as download:
        page.get_by_text("Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"photo.npz", "photo_depth_mm.png", "photo.ply"} <= set(archive.namelist())
        maps = np.load(io.BytesIO(archive.read("photo.npz")))
    assert maps["depth"].shape == (96, 32, 1)
    page.get_by_text("About this model").click()
    page.get_by_text("Its limits.").wait_for()
    # A picture in the text is not fetched either.
    page.wait_for_timeout(100)
    assert any("Content Security Policy" in text for text in said)
    elsewhere = {url for url in requested if not url.startswith((address, "data:", "blob:"))}
    assert elsewhere <= {"http://example.com/picture.png"}
    for page in pages.values():
        page.context.close()


def test_a_file_that_is_no_picture_is_told_kindly(server, browser, tmp_path):
    address, _ = server
    page = browser.new_page()
    page.goto(address)
    bad = tmp_path / "notes.jpg"
    bad.write_text("no picture")
    upload(page, str(bad))
    fault = page.locator("#fault")
    fault.get_by_text("The file is not a picture").wait_for(timeout=LIMIT)
    assert "'notes.jpg'" in fault.inner_text() and "/" not in fault.inner_text()
    page.get_by_label("Remove Image").or_(page.get_by_label("Clear")).first.click()
    upload(page, write_picture(tmp_path / "large.png", (400, 300), "red"))
    fault.get_by_text("more than 0.1 megapixels").wait_for(timeout=LIMIT)
    assert not page.get_by_role("tab", name="Results").is_visible()
    page.close()


def outside(tmp_path):
    """A picture that no visitor may see."""
    return write_picture(tmp_path / "secret.png", (8, 8), (1, 2, 3))


def test_no_file_of_the_computer_is_read(server, tmp_path):
    address, folder = server
    secret, content = outside(tmp_path), (tmp_path / "secret.png").read_bytes()
    up = "../" * 20
    places = [secret, "/etc/hostname", f"{folder}/{up}{secret}", f"{folder}/../../../etc/hostname"]
    places += [str(folder.parent / "room.jpg"), str(pathlib.Path(__file__)), "pyproject.toml"]
    places += [f"file://{secret}", f"{up}etc/hostname", str(folder), str(folder.parent)]
    for place in places:
        for quoted in (place, urllib.parse.quote(place), urllib.parse.quote(place, safe="")):
            for route in (
                "/gradio_api/file=",
                "/gradio_api/file/",
                "/file=",
                "/static/",
                "/assets/",
            ):
                status, body = request(address, route + quoted)
                assert status in (403, 404, 405) and content not in body, route + quoted
    for place in ("https://example.com/", "http://127.0.0.1:1/"):
        assert request(address, f"/gradio_api/file={place}")[0] == 403
        assert request(address, f"/gradio_api/proxy={place}")[0] == 403
    for path in ("/monitoring/summary", "/gradio_api/runs", "/docs", "/openapi.json"):
        assert request(address, path)[0] in (403, 404), path


def call(address, file):
    """What the page's event makes of a file, as its script would ask for it."""
    config = json.loads(request(address, "/config")[1])
    (event,) = [d["id"] for d in config["dependencies"] if d["targets"][0][1] == "change"]
    body = json.dumps({"data": [file], "fn_index": event, "session_hash": "visitor"})
    headers = {"Content-Type": "application/json"}
    status, answer = request(address, "/gradio_api/queue/join", "POST", body, headers)
    if status != 200:
        return status, answer.decode()
    return request(address, "/gradio_api/queue/data?session_hash=visitor")


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_only_uploaded_files_are_predicted(server, tmp_path, meta):
    address, _ = server
    status, answer = call(address, {"path": outside(tmp_path), **meta})
    # Either Gradio refuses it, or the page does.
    assert status == 200 and b"photo.zip" not in answer
    assert b'"success":false' in answer or b"was not uploaded" in answer
    for place in ("https://example.com/a.png", "http://127.0.0.1:1/a.png"):
        assert call(address, {"path": place, **meta})[0] == 403
    assert call(address, [{"deep": {"path": "ftp://a"}}])[0] == 403


def test_uploads_are_bounded(server):
    address, folder = server
    edge = "--edge\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    count = len(list(folder.rglob("*")))
    for body in (edge + 1_100_000 * "x" + "\r\n--edge--\r\n", 4 * (edge + 600_000 * "x" + "\r\n")):
        assert request(address, "/gradio_api/upload", "POST", body, headers)[0] == 413
    chunks = iter([b"x"])
    assert request(address, "/gradio_api/upload", "POST", chunks, headers)[0] == 411
    assert len(list(folder.rglob("*"))) == count
