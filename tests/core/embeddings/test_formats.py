"""Every layout in the table is recognised by its content, with the right vectors and facts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import features

from tests.core.embeddings.samples import (
    Called,
    Named,
    Tensor,
    a1111,
    a1111_json,
    avif_pixels,
    bfloat16,
    find_in_pixels,
    hide_in_pixels,
    image_bytes,
    parameter_dict,
    plain_pickle,
    png_with_chunk,
    safetensors,
    small_files,
    torch_legacy,
    torch_zip,
    vectors,
)
from tiregistry.embeddings.containers.picture import NoEmbeddingInPicture
from tiregistry.embeddings.found import FoundEmbedding
from tiregistry.embeddings.reading import read_embedding
from tiregistry.errors import UnreadableEmbedding
from tools import embedding_formats as formats

ONE, TWO, G, T5 = vectors(1), vectors(2, seed=1), vectors(2, 1280, 2), vectors(2, 4096, 3)
XTI = ["IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "MID", *(f"OUT{n:02d}" for n in range(3, 12))]


def only(data: bytes, filename: str = "gnome.bin") -> FoundEmbedding:
    (found,) = read_embedding(data, filename=filename)
    assert found.format in {entry.id for entry in formats.FORMATS}
    return found


def same(found: FoundEmbedding, **expected: np.ndarray) -> bool:
    assert set(found.embedding.tensors) == set(expected)
    return all(np.array_equal(found.embedding.tensors[role], np.atleast_2d(array)) for role, array in expected.items())


@pytest.mark.parametrize("save", [torch_zip, torch_legacy])
@pytest.mark.parametrize("array", [ONE, TWO, ONE[0]])
def test_diffusers_files_in_both_torch_containers(save, array):
    found = only(save({"<gnome>": Tensor(array)}))
    assert found.format == ("diffusers-1d" if array.ndim == 1 else "diffusers")
    assert same(found, clip_l=array)
    assert (found.placeholder_token, found.name, found.usable) == ("<gnome>", "gnome", True)
    assert found.families[0].family == "sd1"
    assert "768" in found.families[0].evidence


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_pickle_protocol(protocol):
    if protocol:  # protocol 0 cannot refer to tensor data
        assert same(only(torch_zip({"<gnome>": Tensor(TWO)}, protocol=protocol)), clip_l=TWO)
    assert same(only(plain_pickle({"<gnome>": TWO}, protocol)), clip_l=TWO)


def test_safetensors_dtypes():
    for dtype, stored in (("F32", TWO), ("F16", TWO.astype(np.float16)), ("F64", TWO.astype(np.float64))):
        found = only(safetensors({"<a>": (dtype, stored)}))
        assert found.dtypes == {"clip_l": dtype}
        assert same(found, clip_l=stored.astype(np.float32))
    found = only(safetensors({"<a>": ("BF16", bfloat16(TWO))}))
    widened = (bfloat16(TWO).astype(np.uint32) << 16).view(np.float32)
    assert same(found, clip_l=widened)


@pytest.mark.parametrize(
    ("storage", "dtype"), [("HalfStorage", np.float16), ("DoubleStorage", np.float64), ("BFloat16Storage", None)]
)
def test_torch_dtypes(storage, dtype):
    stored = bfloat16(TWO) if dtype is None else TWO.astype(dtype)
    expected = (stored.astype(np.uint32) << 16).view(np.float32) if dtype is None else stored.astype(np.float32)
    assert same(only(torch_zip({"<a>": Tensor(stored, storage)})), clip_l=expected)


def test_views_into_a_larger_storage():
    table = vectors(100)
    found = only(torch_zip({"<a>": Tensor(table, shape=(2, 768), offset=5 * 768)}))
    assert same(found, clip_l=table[5:7])
    transposed = Tensor(np.ascontiguousarray(TWO.T), shape=(2, 768), strides=(1, 2))
    assert same(only(torch_zip({"<a>": transposed})), clip_l=TWO)


def test_big_endian_archive():
    found = only(torch_zip({"<a>": Tensor(TWO.astype(">f4").view("<f4"))}, extra={"archive/byteorder": b"big"}))
    assert same(found, clip_l=TWO)


def test_a1111_takes_its_name_from_the_file_and_the_base_from_the_hash():
    found = only(torch_zip(a1111(TWO, name="gnome-500", step=500)), "bad-hands-500.pt")
    assert same(found, clip_l=TWO)
    assert (found.format, found.name, found.step, found.placeholder_token) == ("a1111", "bad-hands", 500, "")
    assert found.families[0].family == "sd1"
    assert "81761151" in found.families[0].evidence
    assert "v1-5" in found.origin


def test_paper_files_with_several_words_and_ldm_bert():
    value = {"string_to_token": {"*": 1, "@": 2}, "string_to_param": parameter_dict({"*": ONE, "@": TWO})}
    first, second = read_embedding(torch_zip(value), filename="embeddings_gs-6099.pt")
    assert (first.format, first.placeholder_token, first.name, first.step) == ("ldm", "", "", 6099)
    assert (second.placeholder_token, second.embedding.num_vectors) == ("@", 2)
    bert = only(torch_zip({"string_to_token": {}, "string_to_param": parameter_dict({"*": G})}))
    assert not bert.usable
    assert "LDM-BERT" in bert.reason
    assert set(bert.embedding.tensors) == {"bert"}
    assert bert.families[0].family == "ldm"


def test_numpy_tensors_as_saved_on_mps():
    array = Called(
        "torch._utils", "_rebuild_device_tensor_from_numpy", (TWO, Named("torch", "float32"), "mps:0", False)
    )
    assert same(only(torch_zip({"<a>": array})), clip_l=TWO)


def test_emb_params_with_kohya_metadata():
    metadata = {
        "modelspec.architecture": "stable-diffusion-v2-768-v/textual-inversion",
        "modelspec.title": "gnome",
        "modelspec.trigger_phrase": "<gnome>",
    }
    found = only(safetensors({"emb_params": vectors(3, 1024)}, metadata), "style.safetensors")
    assert (found.format, found.name, found.placeholder_token) == ("emb-params", "gnome", "<gnome>")
    assert set(found.embedding.tensors) == {"clip_h"}
    assert found.families[0].family == "sd2"
    assert found.families[0].evidence.startswith("modelspec.architecture")
    toolkit = only(
        safetensors({"emb_params": TWO}, {"name": "gnome", "step": "2000", "software": '{"name": "ai-toolkit"}'})
    )
    assert (toolkit.name, toolkit.step) == ("gnome", 2000)


def test_onetrainer_spells_it_emp_and_output_vectors_are_refused():
    assert only(safetensors({"emp_params": TWO}), "g.safetensors").format == "onetrainer"
    both = only(safetensors({"emp_params": TWO, "emp_params_out": ONE}))
    assert same(both, clip_l=TWO)
    assert "left out" in both.warnings[0]
    for keys in (["emp_params_out"], ["clip_l_out", "clip_g_out"], ["t5_out"], ["llama_out"]):
        with pytest.raises(UnreadableEmbedding, match="output"):
            read_embedding(safetensors(dict.fromkeys(keys, TWO)))


def test_a_placeholder_that_ends_in_out_is_a_placeholder():
    assert only(safetensors({"black_out": TWO})).placeholder_token == "black_out"


def test_encoder_names():
    assert only(safetensors({"clip_l": TWO, "clip_g": G})).format == "sdxl"
    assert only(safetensors({"clip_l": TWO, "clip_g": G})).families[0].family == "sdxl"
    sd3 = only(safetensors({"clip_l": TWO, "clip_g": G, "t5xxl": T5}))
    assert same(sd3, clip_l=TWO, clip_g=G, t5=T5)
    assert (sd3.format, sd3.families[0].family) == ("sd3", "sd3")
    flux = only(safetensors({"clip_l": TWO, "t5": T5, "t5xxl": T5}))
    assert same(flux, clip_l=TWO, t5=T5)
    assert (flux.format, flux.warnings) == ("flux", ())
    assert "differ" in only(safetensors({"t5": T5, "t5xxl": T5 + 1})).warnings[0]
    assert same(only(safetensors({"clip_h": vectors(1, 1024)})), clip_h=vectors(1, 1024))


def test_encoders_of_other_families_are_kept_but_not_usable():
    found = only(safetensors({"clip_l": TWO, "llama": T5, "gemma2_2b": vectors(2, 2304)}))
    assert not found.usable
    assert set(found.embedding.tensors) == {"clip_l", "llama", "gemma2_2b"}
    assert "llama" in found.reason


def test_pivotal_tuning_files():
    found = only(safetensors({"text_encoders_0": TWO, "text_encoders_1": G}), "embeddings.pti")
    assert found.format == "pti"
    assert same(found, clip_l=TWO, clip_g=G)
    assert found.name == ""
    flux = only(safetensors({"text_encoders_0": TWO, "text_encoders_1": T5}))
    assert same(flux, clip_l=TWO, t5=T5)


def test_words_inside_loras():
    lora = {"lora_unet_down.lora_up.weight": vectors(4, 32), "lora_unet_down.alpha": np.float32(1).reshape(())}
    bundle = {
        **lora,
        "bundle_emb.my gnome.clip_l": TWO,
        "bundle_emb.my gnome.clip_g": G,
        "bundle_emb.b.string_to_param.*": ONE,
    }
    first, second = read_embedding(safetensors(bundle), filename="lora.safetensors")
    assert same(first, clip_l=TWO, clip_g=G)
    assert same(second, clip_l=ONE)
    assert (first.format, first.name, second.name) == ("lora-bundle", "my gnome", "b")
    tokens = {"unet:0:up": vectors(4, 32), "unet:0:down": vectors(4, 32), "<s1>": ONE[0], "<s2>": TWO[0]}
    (found,) = read_embedding(
        safetensors(tokens, {"<s1>": "<embed>", "<s2>": "<embed>"}), filename="my-dog.safetensors"
    )
    assert (found.format, found.name, found.placeholder_token) == ("lora-tokens", "my-dog", "")
    assert same(found, clip_l=np.stack([ONE[0], TWO[0]]))
    with pytest.raises(UnreadableEmbedding, match="LoRA without"):
        read_embedding(safetensors(lora))


def test_lists_bare_tensors_and_several_tokens():
    assert same(only(torch_zip([{"a": Tensor(ONE)}, {"b": Tensor(TWO)}])), clip_l=np.concatenate([ONE, TWO]))
    bare = only(torch_zip(Tensor(TWO)), "gnome.pt")
    assert (bare.format, bare.name) == ("bare-tensor", "gnome")
    cross = only(torch_zip({"28017_v0": Tensor(vectors(1, 1024)[0]), "28017_v1": Tensor(vectors(1, 1024, 9)[0])}))
    assert (cross.format, cross.placeholder_token, cross.embedding.num_vectors) == ("multi-token", "28017", 2)
    assert cross.families[0].family == "sd2"
    counted = only(torch_zip({f"<g>_{n}" if n else "<g>": Tensor(ONE[0] * n + ONE[0]) for n in (0, 1, 10, 2)}))
    assert counted.placeholder_token == "<g>"
    assert same(counted, clip_l=np.stack([ONE[0] * n + ONE[0] for n in (0, 1, 2, 10)]))
    new = read_embedding(torch_zip({"<new1>": Tensor(ONE[0]), "<new2>": Tensor(TWO[0])}))
    assert [item.placeholder_token for item in new] == ["<new1>", "<new2>"]  # as Custom Diffusion counts its words
    cat, dog = read_embedding(torch_zip({"<cat>": Tensor(TWO), "<dog>": Tensor(ONE)}))
    assert (cat.placeholder_token, dog.placeholder_token) == ("<cat>", "<dog>")


def test_per_layer_words_are_kept_but_not_usable():
    layers = {layer: vectors(1, 768, n)[0] for n, layer in enumerate(XTI)}
    found = only(safetensors(layers), "gnome.safetensors")
    assert (found.format, found.usable, len(found.embedding.tensors)) == ("xti", False, 16)
    assert np.array_equal(found.embedding.tensors["clip_l.OUT11"][0], layers["OUT11"])
    own = only(safetensors({f"clip_l.{layer}": row[None] for layer, row in layers.items()}), "7f3a")
    assert (own.format, own.usable, own.embedding.digest) == ("xti", False, found.embedding.digest)
    plus = only(torch_zip({f"<g>-{n}": Tensor(vectors(1, 768, n)[0]) for n in range(16)}))
    assert (plus.format, plus.usable, plus.placeholder_token) == ("p-plus", False, "<g>")


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_png_text_chunks(kind):
    found = only(png_with_chunk(a1111_json(TWO), kind), "gnome.png")
    assert (found.format, found.name, found.step) == ("a1111-png", "gnome", 500)
    assert same(found, clip_l=TWO)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("border", [0, 3])
def test_pictures_with_an_embedding_in_their_pixels(kind, border):
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    found = only(image_bytes(hide_in_pixels(a1111_json(TWO), picture, border), kind), "gnome.png")
    assert found.format == "a1111-pixels"
    assert same(found, clip_l=TWO)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_pixels_of_a_lossless_avif():
    found = only(avif_pixels(), "gnome.avif")
    assert found.format == "a1111-pixels"
    assert same(found, clip_l=vectors(1, 8))


def test_a_picture_format_that_this_pillow_cannot_read_is_said(monkeypatch):
    from PIL import Image

    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    with pytest.raises(UnreadableEmbedding, match="Pillow reads no AVIF") as caught:
        read_embedding(avif_pixels(), filename="gnome.avif")
    assert not isinstance(caught.value, NoEmbeddingInPicture)


def test_the_naive_pixel_decoder_agrees():
    pixels = hide_in_pixels(b"some document" * 20, np.full((32, 8, 3), 99, np.uint8))
    assert find_in_pixels(pixels) == b"some document" * 20


def test_ordinary_pictures_hold_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    striped = noise.copy()
    striped[:, ::16] = 0
    for pixels in (noise, striped, np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(NoEmbeddingInPicture):
            read_embedding(image_bytes(pixels))
    with pytest.raises(NoEmbeddingInPicture, match="JPEG"):
        read_embedding(image_bytes(noise, "JPEG"))
    with pytest.raises(UnreadableEmbedding, match="JPEG XL") as caught:
        read_embedding(b"\xff\x0a" + bytes(40))
    assert not isinstance(caught.value, NoEmbeddingInPicture)  # it may well hold one


def test_widths_alone_never_refuse():
    for dim in (8, 16, 192, 2304, 8192):
        found = only(safetensors({"<a>": vectors(1, dim)}))
        assert set(found.embedding.tensors) == {"clip_l"}
        assert found.families[-1].family == "unknown"
        assert str(dim) in found.families[-1].evidence
    for dim in (7, 8193):
        with pytest.raises(UnreadableEmbedding, match="values"):
            read_embedding(safetensors({"<a>": vectors(1, dim)}))


def test_what_is_no_embedding_is_refused_with_the_reason():
    cases = {
        "optimizer": torch_zip({"hash": "ab12", "optimizer_state_dict": {"state": {}}}),
        "model": safetensors({"model.conv.weight": vectors(4, 32), "model.conv.bias": vectors(1, 32)[0]}),
        "whole model": torch_zip({"state_dict": {"a": Tensor(TWO)}}),
        "not floating point": safetensors({"<a>": ("I64", np.zeros((1, 768), np.int64))}),
        "is no embedding file": b"hello world, this is a text",
        "no data.pkl": _zip_of({"readme.txt": b"hi"}),
        "600 vectors": safetensors({"<a>": vectors(600, 8)}),
        "shape": safetensors({"<a>": vectors(4, 8).reshape(2, 2, 8)}),
        "NaN": safetensors({"<a>": np.full((1, 768), np.nan, np.float32)}),
        "infinite": torch_zip({"<a>": Tensor(np.full((1, 768), np.inf, np.float32))}),
        "empty": b"",
    }
    for reason, data in cases.items():
        with pytest.raises(UnreadableEmbedding, match=reason):
            read_embedding(data, filename="x.pt")


def _zip_of(members):
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_more_vectors_than_a_prompt_holds_bring_a_warning():
    assert "75" in only(safetensors({"<a>": vectors(76, 8)})).warnings[0]
    assert only(safetensors({"<a>": vectors(75, 8)})).warnings == ()


def test_content_decides_not_the_extension():
    for name, data in small_files().items():
        if name.endswith(".optim"):
            continue
        expected = [(f.format, f.embedding) for f in read_embedding(data, filename=name)]
        for other in ("x.safetensors", "x.PT", "x.png", "x"):
            assert [(f.format, f.embedding) for f in read_embedding(data, filename=other)] == expected


def test_same_vectors_have_one_identity_in_every_container():
    digests = {
        only(data).embedding.digest
        for data in (
            torch_zip({"<a>": Tensor(ONE[0])}),
            torch_legacy({"<b>": Tensor(ONE)}),
            torch_zip(a1111(ONE)),
            safetensors({"emb_params": ONE}),
            safetensors({"clip_l": ONE}),
            png_with_chunk(a1111_json(ONE)),
        )
    }
    assert len(digests) == 1


def test_hostile_text_is_shown_harmless():
    nasty = "\x1b]0;owned\x07<x>\u202e"
    found = only(safetensors({nasty: TWO}, {"modelspec.title": nasty}))
    assert "\x1b" not in found.details["modelspec.title"]
    assert "\x1b" not in found.name
    assert "\x1b" not in str(found.details)


def test_metadata_is_kept_short():
    metadata = {f"key{n}": "x" * 10_000 for n in range(300)} | {"modelspec.thumbnail": "data:image/jpeg;base64,AAAA"}
    found = only(safetensors({"<a>": TWO}, dict(reversed(metadata.items())) | {"\x1b[2J": "x"}))
    assert len(found.details) <= 100
    assert "modelspec.thumbnail" not in found.details
    assert max(len(text) for text in found.details.values()) <= 500


def test_a_width_that_contradicts_the_stated_base_wins_and_is_said():
    found = only(torch_zip(a1111(vectors(1, 1024), "gnome", 300)))
    assert [c.family for c in found.families] == ["sd2", "sd1"]
    assert "contradicts" in found.families[1].evidence
    assert any("sd1" in warning and "contradicts its width" in warning for warning in found.warnings)
    assert not only(torch_zip(a1111(vectors(1), "gnome", 300))).warnings


def test_what_a_file_states_decides_between_families_of_one_width():
    assert [c.family for c in only(safetensors({"<a>": ONE})).families] == ["sd1", "flux", "sdxl"]
    for metadata in (
        {"modelspec.architecture": "stable-diffusion-v1/textual-inversion"},
        {"sd_checkpoint": "81761151"},
    ):
        (candidate,) = only(safetensors({"<a>": ONE}, metadata)).families
        assert candidate.family == "sd1"
        assert next(iter(metadata.values())) in candidate.evidence
    unheard_of = {"modelspec.architecture": "my-model/textual-inversion", "sd_checkpoint": "00000000"}
    assert len(only(safetensors({"<a>": ONE}, unheard_of)).families) == 3


def test_vectors_of_zeros_get_a_warning():
    rows = vectors(2)
    rows[1] = 0
    assert any("nothing but zeros" in warning for warning in only(safetensors({"<a>": rows})).warnings)


def test_a_git_lfs_pointer_is_told():
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 3819\n"
    with pytest.raises(UnreadableEmbedding, match="Git LFS pointer") as caught:
        read_embedding(pointer, filename="gnome.safetensors")
    assert caught.value.hint == "git lfs pull brings the file"
