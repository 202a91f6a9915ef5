"""What counts as supported, and which sentences are quoted, with the real model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from rag_pipelines.answers.extractive import Extractive
from rag_pipelines.answers.reading import Reading, numbers, sentences_of, unit
from rag_pipelines.answers.support import Support, Supporter
from rag_pipelines.answers.values import Draft, Finish, Task, Tokens
from rag_pipelines.config.answers import ExtractiveConfig, SupportConfig
from rag_pipelines.config.models import EmbeddingConfig, SparseConfig
from rag_pipelines.core.types import FloatArray, Passage
from rag_pipelines.embedding import open_embedder
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines_tests.answers.asking import READING, passage
from rag_pipelines_tests.project import shared_models_dir

LEAVE = "Everyone has thirty days of paid leave a year. Up to 7 days, worth $1,200, move into May 2025."
PUMP = "Error ERR_4217 means that the inlet valve is blocked. Open it slowly. The pump then starts by itself."
PASSAGES = [passage(1, LEAVE), passage(2, PUMP, "Pump P-880"), passage(3, "Bring your own mug.", "Kitchen")]


@pytest.fixture(scope="module")
def reading() -> Iterator[Reading]:
    """The bundled model and English terms."""
    embedder = open_embedder(EmbeddingConfig(), shared_models_dir())
    yield Reading(
        Bm25Encoder(SparseConfig()),
        lambda texts: unit(embedder.embed(texts).vectors),
        lambda text: unit(embedder.embed_query(text)[None, :])[0],
        lambda text: len(text.split()),
    )
    embedder.close()


@pytest.mark.parametrize(
    ("text", "cited", "expected"),
    [
        ("Everyone has thirty days of paid leave a year.", (1,), True),
        ("All staff get thirty days of paid leave each year.", (1,), True),
        ("Days worth $1200 move into May 2025.", (1,), True),
        ("On the P-880, ERR_4217 means a blocked inlet valve.", (2,), True),
        ("Everyone has thirty days of paid leave a year.", (2,), False),
        ("Everyone has thirty days of paid leave a year.", (2, 1), True),
        ("Everyone has thirty days of paid leave a year.", (), False),
        ("Everyone has 31 days of paid leave a year.", (1,), False),
        ("Up to 7 days, worth $1,300, move into May 2025.", (1,), False),
        ("The canteen serves lunch from noon until two.", (1, 2, 3), False),
        ("It is so.", (1,), False),
    ],
)
def test_sentences_that_passages_support(
    reading: Reading, text: str, cited: tuple[int, ...], expected: bool
) -> None:
    assert Supporter(SupportConfig(), reading, PASSAGES).check(text, cited) is expected


def test_the_figures_and_their_rules() -> None:
    by_terms = SupportConfig(terms_weight=1, threshold=0.5)
    found = Supporter(by_terms, READING, PASSAGES).support("Leave in June 2025 for Ana", [1])
    assert found == Support(terms=0.5, cosine=0, numbers=1, names=0)
    assert found.holds(by_terms)
    assert not found.holds(by_terms.model_copy(update={"names": True}))
    assert not found.holds(by_terms.model_copy(update={"threshold": 0.51}))
    figures = Support(terms=0.4, cosine=0.8, numbers=0.5, names=1)
    half = SupportConfig(terms_weight=0.5, threshold=0.6, numbers=False)
    assert figures.score(half) == pytest.approx(0.6)
    assert figures.score(SupportConfig(terms_weight=0.25)) == pytest.approx(0.7)
    assert figures.holds(half.model_copy(update={"threshold": 0.59}))
    assert not figures.holds(half.model_copy(update={"threshold": 0.59, "numbers": True}))


def test_numbers_as_written_less_the_marks_between_thousands() -> None:
    assert numbers("1,200 of 3.5 at 10:30, in 2025, 1,23 and 12,345,678") == {
        "1200", "3.5", "10:30", "2025", "1,23", "12345678",
    }  # fmt: skip
    assert sentences_of(" One\nis so.  Two.\n\n") == ["One is so.", "Two."]


def test_nothing_is_embedded_where_it_could_change_nothing(reading: Reading) -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> FloatArray:
        asked.extend(texts)
        return reading.embed(texts)

    supporter = Supporter(SupportConfig(), replace(reading, embed=embed), PASSAGES)
    assert supporter.check("Everyone has thirty days of paid leave a year.", [1])
    assert not supporter.check("The canteen serves lunch from noon.", [1])
    assert not supporter.check("Everyone has 31 days of paid leave a year.", [1])
    assert asked == []
    assert supporter.check("All staff get thirty days of paid leave each year.", [1])
    assert len(asked) == 4


def quoted(reading: Reading, question: str, *passages: Passage, **values: object) -> list[Draft]:
    """What the provider writes."""

    async def asked() -> list[Draft | Finish]:
        provider = Extractive(ExtractiveConfig.model_validate(values), reading)
        return [item async for item in provider.answer(Task(question, passages or PASSAGES))]

    *drafts, finish = asyncio.run(asked())
    assert finish == Finish("", Tokens())
    return [one for one in drafts if isinstance(one, Draft)]


def test_the_nearest_sentences_are_quoted_best_first_with_their_passages(reading: Reading) -> None:
    first = Draft("Everyone has thirty days of paid leave a year.", (1,))
    assert quoted(reading, "How many days of paid leave are there?")[0] == first
    assert quoted(reading, "What does ERR_4217 mean?") == [
        Draft("Error ERR_4217 means that the inlet valve is blocked.", (2,))
    ]
    copied = passage(4, "A copy. Everyone has thirty days of paid leave a year.")
    (both, *_) = quoted(reading, "How many days of paid leave are there?", *PASSAGES, copied)
    assert both.citations == (1, 4)
    bracketed = passage(1, "The valve [3] is open [sic].", "Valve")
    assert quoted(reading, "Is the valve open?", bracketed) == [Draft("The valve [3] is open [sic].", (1,))]


def test_how_many_are_quoted_and_what_is_left_out(reading: Reading) -> None:
    all_of_it = quoted(reading, "paid leave", nearness=0, sentences=20)
    assert len(all_of_it) == 6
    assert [one.citations for one in all_of_it[1:]] == sorted(one.citations for one in all_of_it[1:])
    assert len(quoted(reading, "paid leave", nearness=0, sentences=2)) == 2
    near = passage(1, "The pump starts by itself. The pump starts by itself! A mug is blue.")
    assert len(quoted(reading, "When does the pump start?", near, nearness=0)) == 2
    headed = replace(passage(1, "Pump\n\nIt starts at noon.", "Pump"))
    assert quoted(reading, "Pump", headed, nearness=0) == [Draft("It starts at noon.", (1,))]
    assert quoted(reading, "Pump", passage(1, "Pump", "Pump")) == []


def test_headings_within_a_passage_answer_nothing(reading: Reading) -> None:
    text = "Annual leave\n\nStaff have 30 days.\n\nLeave in 2026\n\nAsk early.\n\n- Bremen\n\nLeave desk, ground floor"
    quotes = {
        one.text
        for one in quoted(reading, "annual leave", passage(1, text, "Rules"), nearness=0, sentences=9)
    }
    assert "Annual leave" not in quotes
    assert {"Staff have 30 days.", "Leave in 2026", "Leave desk, ground floor"} <= quotes
