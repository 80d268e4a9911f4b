"""The card: fields that the Hub searches by, text that people read, and whatever its owner wrote there."""

from __future__ import annotations

import pytest
import yaml

from tests.core.hub.words import BASE, SDXL, learn, vectors
from tests.hub_server import HubServer
from tiregistry.concepts import BaseModel, Fingerprint
from tiregistry.errors import InvalidInput
from tiregistry.hub import card_text
from tiregistry.hub.card_preview import card_of
from tiregistry.hub.client import Hub
from tiregistry.hub.push import PushOptions, push_version
from tiregistry.registry.registry import Registry

REPO = "alice/gnome"


def readme(server: HubServer) -> str:
    return server.repos[REPO].head.files["README.md"].data.decode()


def fields(server: HubServer) -> dict[str, object]:
    return yaml.safe_load(readme(server).split("---")[1])


def test_it_holds_what_the_hub_searches_by_and_how_to_use_the_word(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    here.set_scores(learn(here), {"image": 0.8125})
    push_version(here, here.version("gnome"), REPO, alice, PushOptions(with_images=True, with_previews=True))

    front = fields(server)
    assert {"textual_inversion", "diffusers", "text-to-image", "stable-diffusion", "tireg", "object"} <= set(
        front["tags"]
    )  # type: ignore[arg-type]
    assert "lora" not in front["tags"]  # type: ignore[operator]
    assert (front["library_name"], front["pipeline_tag"]) == ("diffusers", "text-to-image")
    assert (front["base_model"], front["base_model_relation"]) == (BASE, "adapter")
    assert (front["license"], front["instance_prompt"]) == ("cc-by-4.0", "a photo of <gnome>")
    assert front["widget"] == [{"text": "a photo of <gnome>", "output": {"url": "previews/0.png"}}]
    text = readme(server)
    for expected in (
        'load_textual_inversion("alice/gnome", use_safetensors=True)',
        "tireg pull alice/gnome",
        "embedding:gnome",
        "A1111",
        'src="concept_images/0.jpeg"',
        "A garden gnome.",
        "| learning rate | 0.02 |",
        "| steps | 3 |",
        "0.8125",
    ):
        assert expected in text


def test_the_layout_of_the_concept_library_is_there(server: HubServer, alice: Hub, here: Registry) -> None:
    learn(here)
    push_version(here, here.version("gnome"), REPO, alice)
    files = server.repos[REPO].head.files
    assert files["token_identifier.txt"].data == b"<gnome>"
    assert files["type_of_concept.txt"].data == b"object"
    assert not any(path.startswith(("concept_images", "previews")) for path in files)
    assert server.repos[REPO].private


def test_what_the_owner_wrote_survives_the_next_version(server: HubServer, alice: Hub, here: Registry) -> None:
    learn(here)
    push_version(here, here.version("gnome"), REPO, alice)
    edited = readme(server)
    edited = edited.replace("tags:\n", "tags:\n- garden\n").replace(
        "---\n\n", "language: de\n---\n\nMy foreword.\n\n", 1
    )
    edited = (
        edited.replace("## Use it\n", "Mind the hat: it is red.\n\n## Use it\n") + "\n## Thanks\n\nTo Mrs Miller.\n"
    )
    server.repos[REPO].put("README.md", edited.encode())
    second = learn(here, 1)

    push_version(here, second, REPO, alice)

    text = readme(server)
    assert "This is version 2." in text
    assert "This is version 1." not in text
    for own in ("My foreword.", "Mind the hat: it is red.", "## Thanks\n\nTo Mrs Miller."):
        assert text.count(own) == 1
    assert text.index("My foreword.") < text.index("tireg:begin") < text.index("tireg:end") < text.index("Mind the hat")
    front = fields(server)
    assert front["language"] == "de"
    assert "garden" in front["tags"]  # type: ignore[operator]
    assert push_version(here, second, REPO, alice).status == "unchanged"


def test_edited_fields_stay_until_there_is_something_new_and_what_is_no_longer_so_goes(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    learn(here)
    here.describe("gnome", licence="ask Mrs. Miller")
    push_version(here, here.version("gnome"), REPO, alice, PushOptions(with_previews=True))
    edited = readme(server).replace("instance_prompt: a photo of <gnome>", "instance_prompt: <gnome> in my garden")
    edited = edited.replace("library_name: diffusers", "library_name: mine")
    server.repos[REPO].put("README.md", edited.encode())
    assert push_version(here, here.version("gnome"), REPO, alice).status == "unchanged"
    here.describe("gnome", licence="mit")
    second = learn(here, 1)

    push_version(here, second, REPO, alice)

    front = fields(server)
    assert (front["instance_prompt"], front["library_name"]) == ("<gnome> in my garden", "mine")
    assert front["license"] == "mit"
    assert "license_name" not in front
    assert "widget" not in front  # its picture was the first version's, and is gone
    assert front["tireg"]["version"] == 2  # type: ignore[index]


def test_a_card_by_hand_stays_below_ours(server: HubServer, alice: Hub, here: Registry) -> None:
    by_hand = b"---\nlicense: mit\nmy_key: [1, 2]\n---\n# My gnome\n\nNot by tireg.\n"
    server.add_repo(REPO, {"README.md": by_hand})
    push_version(here, learn(here), REPO, alice)
    text = readme(server)
    assert text.endswith("# My gnome\n\nNot by tireg.\n")
    assert fields(server)["my_key"] == [1, 2]


def test_a_local_base_model_and_an_unknown_licence_are_not_given_away(
    server: HubServer, alice: Hub, here: Registry
) -> None:
    learn(here, fingerprint=SDXL, embedding=vectors(0, 1, clip_l=768, clip_g=1280))
    here.describe("gnome", licence="ask Mrs. Miller")
    push_version(here, here.version("gnome"), REPO, alice)
    front = fields(server)
    assert "base_model" not in front
    assert (front["license"], front["license_name"]) == ("other", "ask-mrs.-miller")
    assert "text_encoder_2" in readme(server)
    assert "`gnome.safetensors` (this file holds both text encoders)" in readme(server)


def test_the_snippets_fit_the_encoders_of_a_word_of_unknown_origin(here: Registry) -> None:
    def body(name: str, **dims: int) -> str:
        return card_of(here, learn(here, name=name, embedding=vectors(0, 1, **dims), fingerprint=None))

    pair = body("pair", clip_l=768, clip_g=1280)
    assert "StableDiffusionXLPipeline.from_pretrained" in pair
    assert "**A1111**, Forge: save `pair.safetensors` in" in pair
    three = body("three", clip_l=768, clip_g=1280, t5=4096)
    assert "(this file holds all text encoders) as `three.safetensors`" in three
    assert "A1111" not in three
    assert "**diffusers**" not in three
    assert "StableDiffusionPipeline.from_pretrained" in body("one", clip_h=1024)


def test_what_no_prompt_can_use_is_not_pushed(server: HubServer, alice: Hub, here: Registry) -> None:
    for name, role in (("layered", "clip_l.IN01"), ("llama", "llama"), ("first", "bert")):
        version = learn(here, name=name, embedding=vectors(0, 1, **{role: 768}), fingerprint=None)
        with pytest.raises(InvalidInput, match="is kept, but no prompt can use it"):
            push_version(here, version, f"alice/{name}", alice)
    assert not server.repos


@pytest.mark.parametrize(
    "existing",
    [
        "---\n- a\n- list\n---\nbody\n",
        "---\na: &x [1]\nb: *x\n---\nbody\n",
        "---\n{broken\n---\nbody\n",
        "---\nnever closed\nbody\n",
        "---\n" + "k: v\n" * 20_000 + "---\nbody\n",
        "no front matter, body\n",
        "",
    ],
)
def test_front_matter_that_makes_no_sense_is_kept_as_text(existing: str) -> None:
    made = card_text.compose({"tags": ["a"]}, "text", existing)
    assert made.startswith("---\ntags:\n- a\n---\n")
    assert "text\n<!-- tireg:end -->" in made
    assert ("body" in made) == ("body" in existing)
    assert card_text.compose({"tags": ["a"]}, "text", made) == made


def test_text_that_imitates_the_marks_changes_nothing() -> None:
    made = card_text.compose({}, "a <!-- tireg:end --> b <!-- tireg:begin 000000000000 --> c", "")
    assert made.count("<!-- tireg:end -->") == 1
    assert made.count("<!-- tireg:begin ") == 1
    assert card_text.compose({}, "new", made).count("tireg:begin") == 1


def test_a_word_of_the_embedded_model_promises_nothing_to_others(server: HubServer, alice: Hub, here: Registry) -> None:
    unknown = Fingerprint("sd1", "sha256:" + "7" * 64, "sha256:" + "8" * 64, "sha256:" + "9" * 64)
    here.add_base(BaseModel("embedded", "embedded", unknown))
    push_version(here, learn(here, fingerprint=unknown, base_name="embedded"), REPO, alice)
    text = readme(server)
    assert "from_pretrained(embedded_folder())" in text
    assert "cannot use it" in text
    assert "embedding:gnome" not in text
    assert not any("stable-diffusion" in str(tag) for tag in fields(server)["tags"])  # type: ignore[attr-defined]
