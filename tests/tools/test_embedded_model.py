"""The committed model folder: an ordinary pipeline that fits what the tools build."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tools.embedded_base.tokenizer import CaptionEncoder, build_tokenizer, world_words

MODEL = Path(__file__).parents[2] / "tiregistry" / "bases" / "embedded" / "model"


@pytest.fixture(scope="module")
def pipeline():
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(MODEL)  # with nothing said, as in its card
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_it_is_small_enough_for_a_wheel():
    assert sum(path.stat().st_size for path in MODEL.rglob("*") if path.is_file()) <= 40 * 2**20


def test_weights_are_half_precision_safetensors():
    files = list(MODEL.rglob("*.safetensors"))
    assert {file.parent.name for file in files} == {"alignment", "image_encoder", "text_encoder", "unet", "vae"}
    assert not list(MODEL.rglob("*.bin"))
    for file in files:
        for name, tensor in load_file(file).items():
            assert tensor.dtype == torch.float16 or not tensor.is_floating_point() or name == "logit_scale"
            assert torch.isfinite(tensor).all()


def test_it_draws_the_same_picture_from_the_same_seed(pipeline):
    def draw():
        generator = torch.Generator().manual_seed(0)
        return pipeline("a photo of a red mug", num_inference_steps=2, generator=generator, output_type="np").images

    first, second = draw(), draw()
    assert first.shape == (1, 64, 64, 3)
    assert (first == second).all()
    assert first.std() > 0.02


def test_its_scheduler_predicts_velocity_and_its_latents_are_scaled(pipeline):
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    written = json.loads((MODEL / "vae" / "config.json").read_text())
    assert written["scaling_factor"] == pipeline.vae.config.scaling_factor
    assert 0.3 < pipeline.vae.config.scaling_factor < 5


def test_its_tokenizer_is_the_one_that_the_tools_build(pipeline, tmp_path):
    build_tokenizer(tmp_path)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (MODEL / "tokenizer" / file).read_bytes() == (tmp_path / file).read_bytes()
    encoder = CaptionEncoder(tmp_path)
    assert pipeline.text_encoder.config.vocab_size == encoder.size
    assert pipeline.text_encoder.config.eos_token_id == encoder.end
    assert len(world_words()) < encoder.size


def test_vocabulary_rows_have_nearly_the_same_norm(pipeline):
    norms = pipeline.text_encoder.get_input_embeddings().weight.norm(dim=-1)
    assert norms.std() / norms.mean() < 0.05


def test_pictures_and_prompts_meet_in_one_space(pipeline):
    """The right caption of a rendered picture is nearer to it than a wrong one."""
    import numpy as np
    from PIL import Image

    from tools.embedded_base.world.media import MEDIA
    from tools.embedded_base.world.palette import COLOUR_RGB
    from tools.embedded_base.world.scenes import Scene, draw_scene
    from tools.embedded_base.world.things import Thing

    scenes = [("car", 0, "red", "grass"), ("mushroom", 4, "blue", "snow"), ("star", 2, "yellow", "night")]
    things = [Scene(Thing(k, COLOUR_RGB[i], COLOUR_RGB[i]), c, "photo", MEDIA["photo"]) for k, i, _, c in scenes]
    drawn = [Image.fromarray(draw_scene(scene, np.random.default_rng(i))) for i, scene in enumerate(things)]
    pixels = pipeline.feature_extractor(images=drawn, return_tensors="pt").pixel_values
    texts = [f"a photo of a {colour} {kind}" for kind, _, colour, _ in scenes]
    tokens = pipeline.tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
    projection = load_file(MODEL / "alignment" / "text_projection.safetensors")["weight"].float()
    with torch.no_grad():
        pictured = torch.nn.functional.normalize(pipeline.image_encoder(pixel_values=pixels).image_embeds, dim=-1)
        told = pipeline.text_encoder(tokens).pooler_output @ projection.T
    similarity = pictured @ torch.nn.functional.normalize(told, dim=-1).T
    assert similarity.argmax(1).tolist() == [0, 1, 2]
