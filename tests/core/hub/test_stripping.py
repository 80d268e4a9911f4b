"""Nothing about the photographer leaves with a picture, and the picture itself stays what it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.core.hub.words import SECRET, learn, photo
from tests.hub_server import HubServer
from tiregistry.errors import InvalidImage
from tiregistry.hub.client import Hub
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.hub.stripping import check_stripped, strip_picture
from tiregistry.images import decode_picture
from tiregistry.registry.registry import Registry

_KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")


def pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(decode_picture(data, "x").image)


@pytest.mark.parametrize("kind", _KINDS)
def test_metadata_and_what_hangs_behind_the_picture_are_gone(kind: str) -> None:
    given = photo(3, kind, secret=kind not in ("BMP", "GIF")) + SECRET.encode()
    clean, suffix = strip_picture(given, "x")
    assert SECRET.encode() not in clean
    assert b"Camera 1" not in clean
    check_stripped(clean)
    assert np.array_equal(pixels(clean), pixels(given))
    assert strip_picture(clean, "x") == (clean, suffix)
    left = Image.open(io.BytesIO(clean)).getexif()
    assert set(left) <= {0x0112}


def test_orientation_stays_because_the_picture_would_lie_down() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        clean, _ = strip_picture(photo(1, kind), "x")
        assert decode_picture(clean, "x").size == (48, 64)


def test_a_picture_with_nothing_to_hide_is_not_touched() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        given = photo(1, kind, secret=False)
        assert strip_picture(given, "x")[0] == given


def test_colour_profiles_and_progressive_pictures_survive() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    for kind, options in (("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {"lossless": True})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, icc_profile=profile, exif=Image.Exif(), **options)  # type: ignore[arg-type]
        clean, _ = strip_picture(buffer.getvalue(), "x")
        assert Image.open(io.BytesIO(clean)).info["icc_profile"] == profile
        assert np.array_equal(pixels(clean), pixels(buffer.getvalue()))


def test_damaged_pictures_are_refused() -> None:
    for data in (b"", b"no picture", photo(0)[:200], b"\x89PNG\r\n\x1a\n" + b"\0" * 50):
        with pytest.raises(InvalidImage):
            strip_picture(data, "x")


def test_cut_anywhere_a_picture_never_lets_metadata_through() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        given = photo(2, kind)
        for end in range(12, len(given), 97):
            try:
                clean, _ = strip_picture(given[:end], "x")
            except InvalidImage:
                continue
            assert SECRET.encode() not in clean


def test_what_is_pushed_tells_nothing_of_the_photographer(server: HubServer, alice: Hub, here: Registry) -> None:
    learn(here)
    push_version(here, here.version("gnome"), "alice/gnome", alice, PushOptions(with_images=True, with_previews=True))
    for file in server.repos["alice/gnome"].head.files.values():
        for secret in (SECRET, "mrs_miller", "mrs miller", "Camera 1"):
            assert secret.encode() not in file.data
