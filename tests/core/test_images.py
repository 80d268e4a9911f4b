"""Source images: real files of every awkward kind, written by Pillow and by hand."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tiregistry import images
from tiregistry.errors import FileMissing, InvalidImage, InvalidInput


def picture(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    return Image.fromarray(ramp).convert(mode)


def png_bomb(width: int, height: int) -> bytes:
    """A valid PNG of one colour: kilobytes on disk, width x height bytes once unpacked."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_ordinary_formats_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture().save(path)
    read = images.read_picture(path)
    assert read.size == (48, 32)
    assert read.image.mode == "RGB"
    assert read.data == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, I am a text file", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a picture|damaged"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(InvalidImage, match=f"odd.png.*({says})"):
        images.read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_truncated_pictures_are_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole)
    data = whole.read_bytes()
    part = tmp_path / f"part.{suffix}"
    part.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InvalidImage, match="part"):
        images.read_picture(part)


def test_a_pixel_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(8000, 6000))
    assert path.stat().st_size < 200_000
    with pytest.raises(InvalidImage, match="48 megapixels"):
        images.read_picture(path)


def test_exif_orientation_turns_the_picture_upright(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(48, 32).save(path, exif=exif)
    read = images.read_picture(path)
    assert read.size == (32, 48)
    assert any("upright" in note for note in read.notes)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    picture(mode="CMYK").save(path)
    read = images.read_picture(path)
    assert read.image.mode == "RGB"
    assert any("CMYK" in note for note in read.notes)


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(path)
    seen = np.asarray(images.read_picture(path).image.convert("L"), dtype=float)
    assert abs(seen - values / 257.0).max() <= 2


@pytest.mark.parametrize(("most", "brightest"), [(255, 255), (65535, 255), (10_000_000, 255), (30_000, 116)])
def test_thirty_two_bits_are_read_by_what_is_in_them(tmp_path: Path, most: int, brightest: int) -> None:
    """Programs write 8 and 16 bits into 32, too: whatever fits a range is of that range."""
    values = np.linspace(0, most, 64).astype(np.int32).reshape(1, -1).repeat(64, axis=0)
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = images.read_picture(tmp_path / "a.tif")
    assert found.image.getchannel("R").getextrema() == (0, brightest)
    assert "32-bit values scaled to 8 bits" in found.notes


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    read = images.read_picture(path)
    assert read.image.getpixel((5, 5))[0] > 200  # type: ignore[index]
    assert any("animated" in note for note in read.notes)


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(path)
    assert images.read_picture(path).image.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_of_a_mask_only_what_is_painted_is_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "layer.png"
    layer = Image.new("RGBA", (32, 32), (255, 255, 255, 0))
    layer.paste((255, 255, 255, 255), (8, 8, 16, 16))
    layer.convert(mode).save(path)
    mask = images.read_picture(path, is_mask=True)
    assert mask.image.convert("L").getbbox() == (8, 8, 16, 16)
    assert mask.notes == ("transparent areas laid over black",)


def test_palette_with_transparency_and_colour_profile(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture().quantize(16).save(path, transparency=0, icc_profile=profile)
    assert images.read_picture(path).image.mode == "RGB"


def test_hidden_system_and_foreign_files_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    for name in ("10.png", "9.PNG", "a.jpg"):
        picture().save(tmp_path / name, format="PNG")
    for name in (".hidden.png", "._mac.png", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", "x.png.part"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in images.find_images([tmp_path])] == ["9.PNG", "10.png", "a.jpg"]


def test_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no pictures in"):
        images.find_images([tmp_path])


def test_a_missing_path_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match=r"gone\.png"):
        images.find_images([tmp_path / "gone.png"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes exist on POSIX only")
def test_a_named_pipe_neither_blocks_nor_passes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InvalidImage, match="not an ordinary file"):
        images.read_picture(tmp_path / "pipe.png")


def test_duplicates_are_used_once_and_named(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    read, notes = images.read_pictures([tmp_path])
    assert [p.filename for p in read] == ["a.png"]
    assert notes == ["b.png is the same picture as a.png: used once"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes((tmp_path / "a.png").read_bytes())
    _, notes = images.read_pictures([tmp_path / "a.png", tmp_path / "other"])
    assert notes == [f"{tmp_path / 'other' / 'a.png'} is the same picture as {tmp_path / 'a.png'}: used once"]


def test_tiny_pictures_are_refused(tmp_path: Path) -> None:
    picture(15, 40).save(tmp_path / "t.png")
    with pytest.raises(InvalidImage, match="15x40"):
        images.read_picture(tmp_path / "t.png")


def test_the_crop_keeps_proportions() -> None:
    wide = Image.new("RGB", (200, 100), "white")
    wide.paste("black", (90, 40, 110, 60))
    square = np.asarray(images.crop_square(wide, 50).convert("L")) < 128
    rows, columns = square.any(axis=1).sum(), square.any(axis=0).sum()
    assert abs(int(rows) - int(columns)) <= 1


def test_a_hostile_file_name_is_made_safe() -> None:
    data = io.BytesIO()
    picture().save(data, format="PNG")
    assert "\x1b" not in images.decode_picture(data.getvalue(), "evil\x1b]0;x\x07.png").filename


def test_pictures_of_kinds_that_are_not_read_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "1.png")
    for name in ("IMG_10.HEIC", "IMG_9.heic", "._IMG_8.heic", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    pictures, notes = images.read_pictures([tmp_path])
    assert len(pictures) == 1
    assert notes == ["IMG_9.heic and 1 more passed over: HEIC is not read, save as JPEG or PNG"]


def test_pictures_in_folders_inside_a_folder_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("1.png", "10_gnome/2.png", "10_gnome/3.jpg", "more/4.png", "masks/1.png", ".x/5.png")
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(32 + number).save(tmp_path / name)
    (tmp_path / "10_gnome" / "2.txt").write_text("a gnome")
    pictures, notes = images.read_pictures([tmp_path])
    assert [p.filename for p in pictures] == ["1.png"]
    assert notes == [
        f"3 pictures in folders inside {tmp_path} are not read: give them too, {tmp_path}/10_gnome, {tmp_path}/more"
    ]
    _, notes = images.read_pictures([tmp_path, tmp_path / "10_gnome"])
    assert notes == [f"1 picture in folders inside {tmp_path} is not read: give it too, {tmp_path}/more"]
    assert images.read_pictures([tmp_path, tmp_path / "10_gnome", tmp_path / "more"])[1] == []
    assert images.read_what_can_be_read([tmp_path]).notes == images.read_pictures([tmp_path])[1]


def test_a_path_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="check the path"):
        images.read_pictures([tmp_path / ("x" * 300)])


def test_what_can_be_read_is_read_whatever_else_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    picture().save(folder / "1.png")
    (folder / "2.png").write_bytes(b"")
    (folder / "3.png").write_bytes((folder / "1.png").read_bytes())
    reading = images.read_what_can_be_read([tmp_path / "nowhere", folder, folder / "1.png"])
    assert [p.filename for p in reading.pictures] == ["1.png"]
    assert reading.notes == ["3.png is the same picture as 1.png: used once"]
    assert [(path.name, error.message.split(" ", 1)[1]) for path, error in reading.refused] == [
        ("nowhere", "does not exist"),
        ("2.png", "is empty (0 bytes)"),
    ]
