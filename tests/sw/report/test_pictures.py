import io

import numpy as np
import pytest
from PIL import Image

from xnorflow.errors import BadInput
from xnorflow.report import pictures

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 17, (10, 8, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(10)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def has(png: bytes, colour: str) -> bool:
    rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return bool((pixels(png) == rgb).all(axis=2).any())


def test_all_right_is_green_and_nothing_red():
    png = pictures.grid(GREY, LABELS, LABELS)
    assert has(png, pictures.RIGHT) and not has(png, pictures.WRONG)


def test_one_wrong_shows_red_beside_green():
    wrong = LABELS.copy()
    wrong[4] = 0
    png = pictures.grid(GREY, wrong, LABELS, title="digits")
    assert has(png, pictures.RIGHT) and has(png, pictures.WRONG)


def test_without_true_labels_nothing_is_judged():
    png = pictures.grid(GREY, LABELS)
    assert not has(png, pictures.RIGHT) and not has(png, pictures.WRONG)


def test_every_image_is_drawn_pixel_for_pixel():
    image = np.zeros((1, 2, 2), np.uint8)
    image[0, 0, 0], image[0, 1, 1] = 16, 8
    picture = pixels(pictures.grid(image, [0]))
    inside = (picture == picture[..., :1]).all(axis=2)
    assert inside.any()
    assert {0, 127, 255} <= set(np.unique(picture[..., 0]).tolist()) | {127, 128}
    assert (picture == 127).all(axis=2).sum() + (picture == 128).all(axis=2).sum() > 1000


def test_grid_grows_by_rows_and_columns():
    wide = pixels(pictures.grid(GREY, LABELS, columns=10)).shape
    tall = pixels(pictures.grid(GREY, LABELS, columns=2)).shape
    assert wide[1] > tall[1] and wide[0] < tall[0]
    assert pixels(pictures.grid(GREY[:3], LABELS[:3])).shape[1] < wide[1]


def test_colour_images_and_class_names():
    png = pictures.grid(COLOUR, [0, 1, 2], [0, 1, 1], classes=["cat", "lorry $x", "<deer>"])
    assert pixels(png).shape[2] == 3 and has(png, pictures.WRONG)


def test_the_same_picture_each_time(tmp_path):
    pictures.save(tmp_path / "a.png", GREY, LABELS, LABELS)
    assert (tmp_path / "a.png").read_bytes() == pictures.grid(GREY, LABELS, LABELS)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: pictures.grid(GREY.astype(np.float32), LABELS), "uint8"),
        (lambda: pictures.grid(GREY.reshape(10, 64), LABELS), "uint8"),
        (lambda: pictures.grid(COLOUR[..., :2], [0, 1, 2]), "1 or 3"),
        (lambda: pictures.grid(GREY, LABELS[:3]), "10 images, 3 labels"),
        (lambda: pictures.grid(GREY, LABELS, LABELS[:3]), "3 true labels"),
        (lambda: pictures.grid(GREY[:0], []), "0 images"),
        (lambda: pictures.grid(GREY, LABELS, columns=0), "at least 1 column"),
        (lambda: pictures.save("a.jpg", GREY, LABELS), ".png"),
    ],
)
def test_what_makes_no_grid_is_refused(call, words):
    with pytest.raises(BadInput, match=words):
        call()
