"""BM25 terms and weights, computed by hand, and retrieval quality on a public set."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xxhash

from rag_pipelines.config.models import SparseConfig
from rag_pipelines.core.types import SparseVector
from rag_pipelines.embedding.sparse import Bm25Encoder
from rag_pipelines_tests.shared_data import shared_data

ENGLISH = Bm25Encoder(SparseConfig())
PLAIN = Bm25Encoder(SparseConfig(analyzer="none"))


def weights(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def index(term: str) -> int:
    return xxhash.xxh32_intdigest(term.encode())


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cats were running to the Houses", ["cat", "run", "hous"]),
        ("it's ERR_42 again", ["err_42", "err", "42", "again"]),
        ("Set X-Id, then foo.bar().", ["set", "x-id", "x", "id", "foo.bar", "foo", "bar"]),
        ("v3.5.1", ["v3.5.1", "v3", "5", "1"]),
        ("__init__ obj__attr", ["init", "obj__attr", "obj", "attr"]),
        ("C++ and C# #5", ["c++", "c", "c#", "c", "5"]),
        ("ﬁnancial ＡＢＣ² naïve", ["financi", "abc2", "naïv"]),
        ("Straße\u200bNr.", ["straße", "nr"]),
        ("हिन्दी", ["हिन्दी"]),
        ("Python语言。東京", ["python", "语", "言", "语言", "東", "京", "東京"]),
        (" \n—…!", []),
    ],
)
def test_what_a_text_is_reduced_to(text: str, terms: list[str]) -> None:
    assert ENGLISH.terms(text) == terms


@pytest.mark.parametrize(
    ("analyzer", "text", "question", "shared"),
    [
        ("english", "The exporter fails with ERR_42.", "what is err_42?", {"err_42", "err", "42"}),
        ("english", "The exporter fails with ERR_42.", "error 42", {"42"}),
        ("english", "Set foo.bar in the file", "where is foo.bar set", {"foo.bar", "foo", "bar", "set"}),
        ("english", "Send X-Id with each call", "the x-id header", {"x-id", "x", "id"}),
        ("german", "Der Export bricht mit ERR_42 ab.", "Was bedeutet err_42?", {"err_42", "err", "42"}),
        (
            "german",
            "Setzen Sie foo.bar in den Einstellungen",
            "Einstellung foo.bar",
            {"foo.bar", "foo", "bar", "einstell"},
        ),
        ("german", "Jeder Aufruf braucht den Kopf X-Id", "Kopfzeile X-Id", {"x-id", "x", "id"}),
        (
            "german",
            "Die Zugriffe auf log_dir/app.log",
            "Zugriff auf app.log",
            {"zugriff", "app.log", "app", "log"},
        ),
    ],
)
def test_an_identifier_is_found_whole_and_by_its_parts(
    analyzer: str, text: str, question: str, shared: set[str]
) -> None:
    encoder = Bm25Encoder(SparseConfig.model_validate({"analyzer": analyzer}))
    assert set(encoder.terms(text)) & set(encoder.terms(question)) == shared


def test_without_an_analyzer_every_word_stays_as_it_is() -> None:
    assert PLAIN.terms("The Cats were running") == ["the", "cats", "were", "running"]


@pytest.mark.parametrize(
    ("analyzer", "text", "terms"),
    [
        ("german", "Die Häuser und das Haus", ["haus", "haus"]),
        ("spanish", "las canciones de la niña", ["cancion", "niñ"]),
        ("french", "l'homme et les chevaux qu’il aime", ["homm", "cheval", "aim"]),
        ("italian", "gli amici della casa", ["amic", "cas"]),
        ("dutch", "de huizen van het boek", ["huis", "boek"]),
        ("portuguese", "as meninas não cantaram", ["menin", "cant"]),
    ],
)
def test_each_language_has_its_stop_words_and_stems(analyzer: str, text: str, terms: list[str]) -> None:
    config = SparseConfig.model_validate({"analyzer": analyzer})
    assert Bm25Encoder(config).terms(text) == terms


def test_the_weight_is_that_of_bm25() -> None:
    one, two = PLAIN.encode(["red red blue", "red"], average_length=2.0)
    long, short = 1.2 * (0.6 + 0.4 * 3 / 2), 1.2 * (0.6 + 0.4 * 1 / 2)
    assert weights(one) == pytest.approx(
        {index("red"): 2 * 2.2 / (2 + long), index("blue"): 2.2 / (1 + long)}
    )
    assert weights(two) == pytest.approx({index("red"): 2.2 / (1 + short)})


def test_k1_and_b_are_the_configured_ones() -> None:
    (vector,) = Bm25Encoder(SparseConfig(analyzer="none", k1=2.0, b=0.0)).encode(
        ["red red blue blue blue"], 99.0
    )
    assert weights(vector) == pytest.approx({index("red"): 2 * 3 / 4, index("blue"): 3 * 3 / 5})


def test_repeated_terms_of_a_question_count() -> None:
    assert weights(PLAIN.encode_query("red blue Red")) == {index("red"): 2.0, index("blue"): 1.0}


def test_vectors_are_ascending_unique_and_of_the_engine_s_types() -> None:
    (vector,) = ENGLISH.encode(["zebra apple zebra mango kiwi ERR_42 pear"], 7.0)
    assert vector.indices.dtype == np.uint32
    assert vector.values.dtype == np.float32
    assert len(vector.indices) == 8
    assert (np.diff(vector.indices.astype(np.int64)) > 0).all()


def test_terms_that_share_an_index_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipelines.embedding.sparse.xxhash.xxh32_intdigest", len)
    encoder = Bm25Encoder(SparseConfig(analyzer="none"))
    assert weights(encoder.encode_query("cat dog horse")) == {3: 2.0, 5: 1.0}


def test_a_text_without_terms_has_an_empty_vector() -> None:
    (vector,) = ENGLISH.encode(["the of and"], 5.0)
    assert len(vector.indices) == len(vector.values) == 0
    assert vector.indices.dtype == np.uint32
    assert len(ENGLISH.encode_query("").indices) == 0


def test_length_counts_terms_without_stop_words() -> None:
    counts = ENGLISH.count_terms(["the red fox", "", "foo.bar", "red red"])
    assert counts.dtype == np.int64
    assert counts.tolist() == [2, 0, 3, 2]
    assert ENGLISH.count_terms([]).tolist() == []


@pytest.mark.parametrize("average", [0.0, -1.0, math.nan])
def test_an_average_length_that_cannot_be_is_refused(average: float) -> None:
    with pytest.raises(ValueError, match="average_length"):
        ENGLISH.encode(["red"], average)


def test_the_fingerprint_changes_with_what_changes_the_weights() -> None:
    configs = [SparseConfig(), SparseConfig(analyzer="german"), SparseConfig(k1=1.3), SparseConfig(b=0.7)]
    assert len({Bm25Encoder(config).fingerprint for config in configs}) == 4
    assert Bm25Encoder(SparseConfig()).fingerprint == ENGLISH.fingerprint


def test_term_indices_never_change() -> None:
    assert index("invoice") == 1870967244
    assert weights(PLAIN.encode_query("Invoice")) == {1870967244: 1.0}


def test_a_full_cache_forgets_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipelines.embedding.sparse.CACHED_WORDS", 2)
    encoder = Bm25Encoder(SparseConfig())
    text = "red houses and blue houses, green houses"
    assert [weights(encoder.encode_query(text)) for _ in range(2)] == [
        weights(ENGLISH.encode_query(text))
    ] * 2


def test_threads_may_share_an_encoder() -> None:
    questions = [f"running houses number{i % 50} of cities{i % 7}" for i in range(400)]
    encoder = Bm25Encoder(SparseConfig())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: weights(encoder.encode_query(text)), questions))
    assert found == [weights(ENGLISH.encode_query(text)) for text in questions]


@pytest.mark.parametrize("unit", ["x", "a.", "a-", "语", "\u0301", "a\u0301", "\ud800 ", "_"])
def test_a_megabyte_of_anything_takes_linear_time(unit: str) -> None:
    (vector,) = ENGLISH.encode([unit * 500_000], 100.0)
    assert len(vector.indices) <= 3


def test_scifact_is_answered_as_well_as_bm25_is_known_to() -> None:
    folder = shared_data("retrieval", "scifact")
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    queries = {
        q["_id"]: q["text"] for q in map(json.loads, (folder / "queries.jsonl").open(encoding="utf-8"))
    }
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade):
            relevant[query].add(document)
    texts = [f"{row['title']}\n{row['text']}" for row in corpus]
    encoder = Bm25Encoder(SparseConfig(b=0.75))  # whole documents, whose lengths nobody evened out
    vectors = encoder.encode(texts, float(encoder.count_terms(texts).mean()))
    postings = _postings(vectors)
    gains = []
    for query, gold in relevant.items():
        scores = np.zeros(len(corpus))
        for term, tf in weights(encoder.encode_query(queries[query])).items():
            rows, values = postings.get(term, (np.zeros(0, np.int64), np.zeros(0)))
            scores[rows] += tf * values * math.log(1 + (len(corpus) - len(rows) + 0.5) / (len(rows) + 0.5))
        best = np.argsort(-scores, kind="stable")[:10]
        dcg = sum(1 / math.log2(rank + 2) for rank, row in enumerate(best) if corpus[row]["_id"] in gold)
        gains.append(dcg / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(gold)))))
    assert sum(gains) / len(gains) >= 0.68


def _postings(vectors: list[SparseVector]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    terms = np.concatenate([vector.indices for vector in vectors])
    rows = np.repeat(np.arange(len(vectors)), [len(vector.indices) for vector in vectors])
    order = np.argsort(terms, kind="stable")
    values = np.concatenate([vector.values for vector in vectors])[order]
    unique, first = np.unique(terms[order], return_index=True)
    parts = zip(np.split(rows[order], first[1:]), np.split(values, first[1:]), strict=True)
    return dict(zip(unique.tolist(), parts, strict=True))
