"""Listing and searching: filters, any text, stable order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.registry.making import SD15, SD15_FINE_TUNE, SD21, add_version
from tiregistry.concepts import BaseModel, Remote
from tiregistry.errors import InvalidInput
from tiregistry.registry.registry import Registry
from tiregistry.registry.search import MOST_PARTS, since


@pytest.fixture
def words(registry: Registry) -> Registry:
    add_version(registry, "garden-gnome", 1, caption="a photo of <garden-gnome> near a Größe pond")
    add_version(registry, "cat-toy", 2, fingerprint=SD21, base_name="sd21", description="grandmother's toy")
    add_version(registry, "inky", 3, concept_type="style", origin="imported")
    pulled = add_version(registry, "猫の絵", 4, concept_type="style", origin="pulled")
    registry.add_remote(pulled, Remote("", "", "pull", "https://hub", "me/cat", "main", "a" * 40))
    registry.tag("garden-gnome", add=["pottery"])
    registry.set_version_notes(registry.version("inky"), "lovely at night")
    registry.add_base(BaseModel("mine", "/models/mine", SD15_FINE_TUNE))
    return registry


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["cat-toy", "garden-gnome", "inky", "猫の絵"]),
        ("gar", ["garden-gnome"]),
        ("garden-gnome", ["garden-gnome"]),
        ("<garden-gnome>", ["garden-gnome"]),
        ("gnome pond", ["garden-gnome"]),
        ("grosse", []),
        ("größe", ["garden-gnome"]),
        ("grandmother", ["cat-toy"]),
        ('"lovely at"', ["inky"]),
        ('"at lovely"', []),
        ("pott", ["garden-gnome"]),
        ("猫", ["猫の絵"]),
        ("sd21", ["cat-toy"]),
        ("tag:pottery", ["garden-gnome"]),
        ("tag:POTTERY gnome", ["garden-gnome"]),
        ("tag:none", []),
        ("type:style", ["inky", "猫の絵"]),
        ("family:sd2", ["cat-toy"]),
        ("base:sd21", ["cat-toy"]),
        ("base:mine", ["garden-gnome", "inky", "猫の絵"]),
        ("origin:imported", ["inky"]),
        ("from:hub", ["猫の絵"]),
        ("from:file", ["inky"]),
        ("since:1d type:style", ["inky", "猫の絵"]),
        ("since:2999-01-01", []),
        ("<>", []),
        ("NEAR(", ["garden-gnome"]),
        ("cat OR inky", []),
        ("-cat", ["cat-toy"]),
        ("name:cat", []),
        ('"', []),
        ("*", []),
    ],
)
def test_queries_find_what_they_say(words: Registry, query: str, found: list[str]) -> None:
    assert [concept.name for concept in words.concepts(query)] == found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.text(alphabet="\"'*^:()-+{}[]<>~ANDORNEAR catgnome\x00\\", max_size=30))
def test_any_text_is_a_safe_query(words: Registry, query: str) -> None:
    try:
        words.concepts(query)
    except InvalidInput:
        assert ":" in query  # a filter with a value that means nothing


@pytest.mark.parametrize("query", ["", "type:style", "garden", "nothing of the kind"])
def test_a_count_is_that_of_all_pages(words: Registry, query: str) -> None:
    assert words.count_concepts(query) == len(words.concepts(query))
    assert words.count_concepts(query, trashed=True) == len(words.concepts(query, trashed=True))


def test_orders_are_stable_and_pages_add_up(words: Registry) -> None:
    for sort in ("name", "-name", "updated", "-updated", "created", "versions", "-versions"):
        whole = [concept.name for concept in words.concepts(sort=sort)]
        paged = [
            concept.name for start in range(0, 6, 2) for concept in words.concepts(sort=sort, limit=2, offset=start)
        ]
        assert whole == paged, sort
        assert len(whole) == words.count_concepts() == 4
    assert [c.name for c in words.concepts(sort="-name")] == [c.name for c in reversed(words.concepts())]
    with pytest.raises(InvalidInput, match="cannot sort"):
        words.concepts(sort="colour; DROP TABLE concepts")


def test_a_filter_with_few_values_takes_their_beginning_and_names_them(words: Registry) -> None:
    assert words.concepts("type:sty") == words.concepts("type:style") != []
    assert [c.name for c in words.concepts("family:sd")] == ["cat-toy", "garden-gnome", "inky", "猫の絵"]
    for query, known in (("type:foo", "type:style"), ("family:sd9", "family:sdxl"), ("origin:mars", "origin:pulled")):
        with pytest.raises(InvalidInput, match="is unknown") as caught:
            words.concepts(query)
        assert known in caught.value.hint


def test_a_word_of_unrecorded_base_is_of_the_family_its_file_speaks_for(words: Registry) -> None:
    facts = {"families": [{"family": "sd1", "evidence": "width"}, {"family": "flux", "evidence": "also"}]}
    add_version(words, "found", 5, fingerprint=None, origin="imported", record={"import": facts})
    add_version(words, "mute", 6, fingerprint=None, origin="imported")
    add_version(words, "told", 7, fingerprint=SD21, origin="imported", record={"import": facts})
    assert [c.name for c in words.concepts("family:sd1")] == ["found", "garden-gnome", "inky", "猫の絵"]
    assert [c.name for c in words.concepts("family:sd2")] == ["cat-toy", "told"]
    assert words.concepts("family:flux") == []
    families = {c.name: c.family for c in words.concepts("origin:imported")}
    assert families == {"found": "sd1", "inky": "sd1", "mute": "", "told": "sd2"}


@pytest.mark.parametrize("query", ["tag:", "gnome since:", 'TYPE:""'])
def test_a_filter_with_nothing_behind_it_is_an_error(words: Registry, query: str) -> None:
    with pytest.raises(InvalidInput, match="has nothing behind it"):
        words.concepts(query)


def test_the_index_follows_every_change(words: Registry) -> None:
    words.rename("inky", "blotchy")
    assert not words.concepts("inky type:object")
    assert [c.name for c in words.concepts("blotchy")] == ["blotchy"]
    words.describe("blotchy", notes="xylophone")
    assert [c.name for c in words.concepts("xylo")] == ["blotchy"]
    words.describe("blotchy", notes="")
    assert not words.concepts("xylo")
    words.remove("blotchy")
    assert not words.concepts("blotchy")
    assert [c.name for c in words.concepts("blotchy", trashed=True)] == ["blotchy"]
    add_version(words, "cat-toy", 9, caption="zeppelin", fingerprint=SD15)
    assert [c.name for c in words.concepts("zepp")] == ["cat-toy"]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time with summer time from the last Sunday of March to that of October."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def utc(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be changed there")
def test_dates_people_write(berlin: None) -> None:
    now = datetime(2026, 7, 10, 15, 30)
    day = 86400
    for then in (now, now.astimezone(), now.astimezone(UTC)):
        assert since("7d", then) == now.timestamp() - 7 * day
        assert since("12h", then) == now.timestamp() - day / 2
        assert since("today", then) == utc(2026, 7, 9, 22)
        assert since("yesterday", then) == utc(2026, 7, 8, 22)
        assert since("2026-07-01", then) == utc(2026, 6, 30, 22)
        assert since("2026-01-31", then) == utc(2026, 1, 30, 23)  # an hour less from UTC in winter
        assert since("2026-02", then) == utc(2026, 1, 31, 23)
        assert since("2026", then) == utc(2025, 12, 31, 23)
    monday = datetime(2026, 3, 30, 12)  # the clock went forward on Sunday at two
    assert since("yesterday", monday) == utc(2026, 3, 28, 23)
    assert since("today", monday) == utc(2026, 3, 29, 22)
    for text in ("next week", "2026-02-30", "0001-01-01"):
        with pytest.raises(InvalidInput, match="no date"):
            since(text, now)


def test_words_that_are_called_so_come_before_those_that_mention_it(words: Registry) -> None:
    add_version(words, "pottery", 5)
    add_version(words, "potteries", 6)
    words.describe("inky", notes="pottery")
    words.describe("cat-toy", notes="pottery")
    found = words.concepts("pott", sort="updated", names_first=True)
    assert [each.name for each in found] == ["potteries", "pottery", "cat-toy", "inky", "garden-gnome"]
    assert [each.name for each in words.concepts("Pottery", sort="name", names_first=True)][:2] == [
        "pottery",
        "cat-toy",
    ]
    page = words.concepts("pott", sort="updated", names_first=True, limit=2, offset=1)
    assert [each.name for each in page] == ["pottery", "cat-toy"]
    assert [each.name for each in words.concepts("tag:pottery", names_first=True)] == ["garden-gnome"]
    words.concepts("<\x1b'\"", names_first=True)


def test_a_search_of_more_parts_than_sqlite_can_nest_is_refused(words: Registry) -> None:
    for part in ("tag:pottery", "gar", "family:sd1", "from:hub", "base:sd15", "since:1d"):
        assert words.concepts(" ".join([part] * MOST_PARTS)) == words.concepts(part) != []
        with pytest.raises(InvalidInput, match="too long"):
            words.concepts(" ".join([part] * (MOST_PARTS + 1)))


def test_a_page_that_is_none_is_refused(words: Registry) -> None:
    for page in ({"limit": -1}, {"offset": -1}):
        for listing in (words.concepts, words.pictures):
            with pytest.raises(InvalidInput):
                listing(**page)  # type: ignore[operator]
    assert words.concepts(limit=0) == []
