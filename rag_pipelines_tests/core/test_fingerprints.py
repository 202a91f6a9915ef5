"""A fingerprint that changes without reason makes every stage run again; one that does not, hides a change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipelines.core.fingerprints import fingerprint

KEYS = st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | KEYS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(KEYS, parts, max_size=3),
    max_leaves=8,
)


def test_fingerprints_never_change() -> None:
    assert fingerprint("chunk", 1, {"a": 1, "b": [1, 2]}) == "7a2e59741eaee78c"
    assert fingerprint("parse", 3, None) == "82fe4914e36219b4"


@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_the_order_of_settings_means_nothing(settings: dict[str, Any]) -> None:
    backwards = dict(reversed(settings.items()))
    assert fingerprint("s", 1, backwards) == fingerprint("s", 1, settings)
    assert fingerprint("s", 1, {"in": backwards}) == fingerprint("s", 1, {"in": settings})


@pytest.mark.parametrize(
    ("stage", "version", "settings"),
    [
        ("embed", 1, {"a": 1}),
        ("chunk", 2, {"a": 1}),
        ("chunk", 1, {"a": 2}),
        ("chunk", 1, {"a": "1"}),
        ("chunk", 1, {"a": True}),
        ("chunk", 1, {"a": 1, "b": None}),
        ("chunk", 1, {"b": 1}),
        ("chunk", 1, [{"a": 1}]),
    ],
)
def test_every_part_counts(stage: str, version: int, settings: Any) -> None:
    assert fingerprint(stage, version, settings) != fingerprint("chunk", 1, {"a": 1})


@given(JSON)
def test_it_fits_its_column(settings: Any) -> None:
    found = fingerprint("s", 1, settings)
    assert len(found) == 16
    assert set(found) <= set("0123456789abcdef")


@pytest.mark.parametrize("settings", [{1, 2}, timedelta(hours=1), {"a": object()}, b"bytes"])
def test_what_json_does_not_know_is_refused(settings: Any) -> None:
    with pytest.raises(TypeError):
        fingerprint("s", 1, settings)
