"""Pictures as people have them: depths of bits, palettes, alpha, orientations."""

import json
import struct
import zlib

import numpy as np
import pytest

from keras_atinet.data import Folder
from keras_atinet.data.preparation.verification import Verification
from keras_atinet.data.sources.pictures import read_image, stored_image, stored_size
from keras_atinet.data.sources.target_files import read_depth, stored_labels

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")
pytestmark = pytest.mark.backend_free
GRAY = (np.arange(256, dtype="uint8") // 16 * 17).reshape(8, 32)  # 16 steps
RGB = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], axis=-1)
GRAY_ALPHA = np.stack([GRAY, GRAY[::-1]], axis=-1)
RGB_ALPHA = np.dstack([RGB, GRAY.T.reshape(GRAY.shape)])


def png(rows, bits, color_type):
    """A PNG file of packed rows, also of the kinds that Pillow does not write."""

    def chunk(name, data):
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width = GRAY.shape
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def wide(array):
    """16 bits in place of 8, big-endian, as PNG has them: 257 = 65535 / 255."""
    return (array.astype("uint16") * 257).byteswap()


def nibbles():
    return GRAY[:, ::2] // 17 * 16 + GRAY[:, 1::2] // 17


def saved(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(wide(GRAY), 16, 0), GRAY),
        (png(wide(RGB), 16, 2), RGB),
        (png(wide(RGB_ALPHA), 16, 6), RGB),
        (png(wide(GRAY_ALPHA), 16, 4), GRAY),
        (png(nibbles(), 4, 0), GRAY),
    ],
)
def test_png_of_any_depth(tmp_path, content, expected):
    pixels = read_image(written(tmp_path / "a.png", content))
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, axis=-1)
    np.testing.assert_allclose(pixels, expected / 255, atol=1e-6)
    assert pixels.dtype == np.float32


@pytest.mark.parametrize(
    ("array", "mode", "suffix", "expected"),
    [
        (GRAY, None, "png", GRAY),
        (GRAY, None, "bmp", GRAY),
        (GRAY_ALPHA, None, "png", GRAY),
        (RGB_ALPHA, None, "png", RGB),
        (RGB_ALPHA, None, "tif", RGB),
        (GRAY, "P", "png", GRAY),
        (GRAY > 99, None, "png", 255 * (GRAY > 99)),
        (RGB, "CMYK", "tif", RGB),
        (GRAY.astype("uint16") * 257, None, "tif", GRAY),
        (GRAY.astype(">u2") * 257, None, "tif", GRAY),
        (GRAY.astype("float32") / 255, None, "tiff", GRAY),
    ],
)
@pytest.mark.filterwarnings("error")
def test_kinds_of_pixels(tmp_path, array, mode, suffix, expected):
    options = {"transparency": bytes(range(256))} if mode == "P" else {}
    pixels = read_image(saved(tmp_path / f"a.{suffix}", array, mode, **options))
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, axis=-1)
    np.testing.assert_allclose(pixels, expected / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["CMYK", "L", "YCbCr"])
def test_kinds_of_jpeg(tmp_path, mode):
    pixels = read_image(saved(tmp_path / "a.jpg", np.full((16, 16, 3), 204, "uint8"), mode))
    np.testing.assert_allclose(pixels, np.full((16, 16, 3), 0.8), atol=0.01)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GRAY.astype("float32"), r"must be in \[0, 1\]. Received: 0 to 255 .*a\.tif.*Divide"),
        (np.full((4, 4), np.nan, "float32"), r"must be in \[0, 1\]. Received: nan"),
        (GRAY.astype("int32") * 257, r"32 bits, is not known.*a\.tif', 0 to 65535"),
    ],
)
def test_numbers_of_an_unknown_range_are_refused(tmp_path, array, message):
    with pytest.raises(ValueError, match=message):
        read_image(saved(tmp_path / "a.tif", array))


def test_what_is_no_picture_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"cannot be decoded.*a\.png"):
        read_image(written(tmp_path / "a.png", b"no picture"))
    with pytest.raises(ValueError, match=r"cannot be opened.*none\.png"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ValueError, match="cannot be opened"):
        read_image(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"more pixels than are read, 20.*b\.png"):
        read_image(saved(tmp_path / "b.png", GRAY))


def test_labels_are_the_stored_numbers(tmp_path):
    """Not the colours of a palette, nor the brightness of grey of 4 bits."""
    labels = GRAY // 17
    files = [
        written(tmp_path / "gray4.png", png(nibbles(), 4, 0)),
        saved(tmp_path / "gray4.tif", GRAY // 17),
        saved(tmp_path / "deep.tif", labels.astype("uint16")),
    ]
    palette = Image.fromarray(labels).convert("P")
    palette.putdata(labels.ravel())
    palette.putpalette(np.random.default_rng(0).integers(0, 256, 48).tolist())
    for suffix in ("png", "tif", "bmp"):
        palette.save(tmp_path / f"palette.{suffix}", **({"bits": 4} if suffix == "png" else {}))
        files.append(tmp_path / f"palette.{suffix}")
    for file in files:
        np.testing.assert_array_equal(stored_labels(file), labels, err_msg=file.name)
    for array, suffix, message in [
        (RGB, "png", r"class indices in one channel.*a\.png.*not their colours"),
        (GRAY, "jpg", r"JPEG does not keep class indices.*a\.jpg"),
        (GRAY / np.float32(255), "tif", r"integer class indices.*a\.tif"),
    ]:
        with pytest.raises(ValueError, match=message):
            stored_labels(saved(tmp_path / f"a.{suffix}", array))


def test_depth_is_also_tiff(tmp_path):
    metres = GRAY[..., None] / np.float32(50)
    file = saved(tmp_path / "metres.tif", metres[..., 0])
    np.testing.assert_array_equal(read_depth(file, {}), metres)
    file = saved(tmp_path / "millimetres.tif", GRAY.astype("uint16"))
    np.testing.assert_allclose(read_depth(file, {})[..., 0], GRAY / 1000, rtol=1e-6)
    with pytest.raises(ValueError, match=r"not indices of a palette.*palette\.png"):
        read_depth(saved(tmp_path / "palette.png", GRAY, "P"), {"scale": 0.01})


def test_tiff_with_white_as_zero_has_no_numbers(tmp_path):
    for array, read in ((GRAY, stored_labels), (GRAY.astype("uint16"), read_image)):
        file = saved(tmp_path / "a.tif", array)
        # The entry of tag 262.
        black, white = (struct.pack("<HHII", 262, 3, 1, value) for value in (1, 0))
        assert black in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(black, white))
        with pytest.raises(ValueError, match=r"0 is white.*a\.tif"):
            read(file)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_every_orientation_is_turned_upright(tmp_path, suffix):
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if suffix == "webp" else {}
        file = saved(tmp_path / f"{orientation}.{suffix}", RGB, exif=exif, **options)
        stored, found = stored_image(file)
        assert found == (orientation if 1 <= orientation <= 8 else 1)
        assert stored_size(file) == (GRAY.shape, found)
        with Image.open(file) as picture:
            expected = np.asarray(ImageOps.exif_transpose(picture)) / np.float32(255)
        np.testing.assert_array_equal(read_image(file), expected)
        assert stored.shape == RGB.shape
        if suffix != "jpg":
            np.testing.assert_allclose(stored, RGB / 255, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_turn_nothing(tmp_path):
    file = saved(tmp_path / "a.jpg", RGB, exif=b"Exif\0\0MM\0\x2anonsense")
    stored, orientation = stored_image(file)
    assert orientation == 1 and stored.shape == RGB.shape
    assert stored_size(file) == (GRAY.shape, 1)


def photographs(root, orientation, size=(6, 8), target=(6, 8), **description):
    """A folder of one photograph, white on top as it is stored, and its depth."""
    pixels = np.zeros((*size, 3), "uint8")
    pixels[: size[0] // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("image", "depth"):
        (root / name).mkdir(parents=True, exist_ok=True)
    saved(root / "image" / "a.png", pixels, exif=exif)
    saved(root / "depth" / "a.png", np.full(target, 1000, "uint16"))
    (root / "dataset.json").write_text(json.dumps(description))
    return Folder(root, split=None)


def test_an_image_is_turned_as_its_targets_are(tmp_path):
    source = photographs(tmp_path, 6, target=(8, 6))
    assert source.image_size == (8, 6) == source[0]["image"].shape[:2]
    assert source[0]["image"][:, 0].max() == 0 and source[0]["image"][:, -1].min() == 1
    # Labelled as it is stored.
    source = photographs(tmp_path, 6)
    assert source.image_size == (6, 8) == source[0]["image"].shape[:2]
    assert source[0]["image"][0].min() == 1
    # Another target of a wrong size changes nothing, and is the one that is named.
    normals = tmp_path / "normal"
    normals.mkdir()
    saved(normals / "a.png", np.zeros((5, 5, 3), "uint8"))
    with pytest.raises(ValueError, match=r"normal.a\.png' of \(5, 5\) for .* of \(6, 8\) pixels\."):
        Folder(tmp_path, split=None)[0]
    (normals / "a.png").unlink()
    # Where sizes do not tell, upright.
    assert photographs(tmp_path, 3)[0]["image"][0].max() == 0
    assert photographs(tmp_path, 3, exif_orientation="apply")[0]["image"][0].max() == 0
    assert photographs(tmp_path, 3, exif_orientation="ignore")[0]["image"][0].min() == 1
    square = photographs(tmp_path, 6, (8, 8), (8, 8))
    assert square[0]["image"][:, -1].min() == 1
    # Without a target, too.
    assert Folder(tmp_path, split=None, tasks=[])[0]["image"][:, -1].min() == 1


def test_a_stated_orientation_must_fit(tmp_path):
    source = photographs(tmp_path, 6, exif_orientation="apply")
    with pytest.raises(ValueError, match=r"\(6, 8\) for .*\(8, 6\) pixels, turned by its EXIF"):
        source[0]
    source = photographs(tmp_path, 6, target=(8, 6), exif_orientation="ignore")
    with pytest.raises(ValueError, match=r"\(8, 6\) for .*\(6, 8\) pixels\.$"):
        source[0]
    with pytest.raises(ValueError, match=r"`exif_orientation` must be .*'upright'"):
        photographs(tmp_path, 6, exif_orientation="upright")


@pytest.mark.parametrize(
    ("orientation", "size", "description", "is_noted"),
    [
        (3, (6, 8), {}, True),
        (6, (8, 8), {}, True),
        (1, (8, 8), {}, False),
        (6, (6, 8), {}, False),
        (3, (6, 8), {"exif_orientation": "apply"}, False),
    ],
)
def test_verify_names_pictures_that_may_be_turned(
    tmp_path, orientation, size, description, is_noted
):
    photographs(tmp_path, orientation, size, size, **description)
    verification = Verification(tmp_path)
    verification.read(None)
    assert verification.faults == []
    assert verification.turned == [tmp_path / "image" / "a.png"] * is_noted
