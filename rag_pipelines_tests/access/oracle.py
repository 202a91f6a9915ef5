"""What every read path must answer, by brute force over the papers and their stored points.

It shares nothing with the code that it judges but the ids of documents: rights are compared one by one, filters
by Python's operators, scores are scalar products.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rag_pipelines.core.types import StoredPoint
from rag_pipelines_tests.access.corpus import ALIKE, Case, Paper, passes
from rag_pipelines_tests.access.world import DIMENSION, INDEX, World
from rag_pipelines_tests.benchmarks.synthetic_parts import HashEmbedder

URL = f"/v1/indexes/{INDEX}"
FACETS = ("source", "team", "year", "draft")


@dataclass
class Judge:
    """Asks everything of one case and keeps what differs, with the path that it came by."""

    world: World
    case: Case
    differences: list[str] = field(default_factory=list)

    def expect(self, path: str, got: Any, wanted: Any) -> None:
        """Keep it where they differ."""
        if got != wanted:
            self.differences.append(f"{path}: {got!r} instead of {wanted!r} for {self.case!r}")

    @property
    def version(self) -> int:
        """The one that is asked for."""
        return self.case.version if self.case.version in self.world.points else self.world.live

    def papers(self, version: int) -> dict[str, Paper]:
        """Documents of which the asker may be shown a passage of a version."""
        showing = {point.payload["doc_id"] for point in self.points(version)}
        return {doc_id: paper for doc_id, paper in self.admitted(version).items() if doc_id in showing}

    def admitted(self, version: int) -> dict[str, Paper]:
        """Documents that the asker may read in a version: as they were in it, with the rights of now."""
        corpus = self.world.corpus
        held = corpus.first if version == min(self.world.points) else corpus.second
        if min(self.world.points) == max(self.world.points):
            held = corpus.second  # no more than rights changed
        now = corpus.now
        return {
            paper.doc_id: paper
            for number, paper in held.items()
            if self.case.asker.may_read(now[number])
            and not (corpus.rolled_back and len(self.world.points) > 1 and number not in corpus.second)
        }

    def points(self, version: int, *, filtered: bool = False, withheld: bool = False) -> list[StoredPoint]:
        """Points of those documents that may be shown, or those that are withheld."""
        papers = self.admitted(version)
        return [
            point
            for point in self.world.points[version]
            if (paper := papers.get(point.payload["doc_id"])) is not None
            and (not filtered or passes(paper, self.case.filters))
            and self.withholds(paper, point) == withheld
        ]

    def withholds(self, paper: Paper, point: StoredPoint) -> bool:
        """Whether the policy keeps the passage from everybody; documents are classified as they are now."""
        flag = point.payload.get("injection")
        corpus = self.world.corpus
        tier = corpus.now[paper.number].tier
        return flag is not None and corpus.policy.withholds(paper.source, tier, flag["score"])

    def get(self, path: str, mode: str = "dense", **params: Any) -> Any:
        """A GET that must succeed."""
        answer = self.world.served[mode].client.get(path, params=params)
        if answer.status_code != 200:
            self.differences.append(f"{path}: {answer.status_code} {answer.text} for {self.case!r}")
            return None
        return answer.json()

    def post(self, path: str, body: dict[str, Any], mode: str = "dense") -> Any:
        """A POST that must succeed."""
        answer = self.world.served[mode].client.post(path, json=body)
        if answer.status_code != 200:
            self.differences.append(f"{path}: {answer.status_code} {answer.text} for {self.case!r}")
            return None
        return answer.json()


def judge(world: World, case: Case) -> list[str]:
    """Every read path, for one asker; what differs."""
    judged = Judge(world, case)
    if world.live == 0:
        return []
    for served in world.served.values():
        served.ask_as(case.asker)
    check_dense(judged)
    check_dense(judged, narrowed=True)
    check_hybrid(judged)
    check_sections(judged, {"neighbours": 20, "context_tokens": 300})
    check_sections(judged, {"parents": True, "neighbours": 20, "per_document": 1, "mmr_lambda": 0.5})
    check_documents(judged)
    check_texts(judged)
    check_suggestions(judged)
    check_facets(judged)
    check_totals(judged)
    check_sources(judged)
    return judged.differences


def body(judged: Judge, *, narrowed: bool = False, **options: Any) -> dict[str, Any]:
    """A search that must find everything that may be read."""
    found: dict[str, Any] = {"query": judged.case.query, "k": 400, "version": judged.version, **options}
    return {**found, "filters": judged.case.filters} if narrowed else found


def check_dense(judged: Judge, *, narrowed: bool = False) -> None:
    """Every point, by its scalar product; ranks are among what may be read; equal texts name each other."""
    answer = judged.post(f"{URL}/search", body(judged, narrowed=narrowed, explain=True))
    if answer is None:
        return
    question = HashEmbedder(DIMENSION).embed_query(judged.case.query)
    points = judged.points(judged.version, filtered=narrowed)
    scores = {p.payload["chunk_id"]: float(np.dot(question, p.dense)) for p in points if p.dense is not None}
    told = {passage["chunk_id"]: passage for passage in answer["passages"]}
    judged.expect("search", sorted(told), sorted(scores))
    judged.expect("search version", answer["version"], judged.version)
    if told.keys() != scores.keys():
        return
    order = [scores[passage["chunk_id"]] for passage in answer["passages"]]
    for rank, passage in enumerate(answer["passages"], start=1):
        if abs(passage["score"] - scores[passage["chunk_id"]]) > 1e-3:
            judged.expect("score", passage["score"], scores[passage["chunk_id"]])
        judged.expect("explanation", passage["explanation"]["dense"]["rank"], rank)
    if any(later > earlier + 1e-3 for earlier, later in itertools.pairwise(order)):
        judged.expect("order", order, sorted(order, reverse=True))
    check_places(judged, answer)
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for point in judged.points(judged.version):
        texts[point.payload["text"]].add(point.payload["doc_id"])
    for passage in answer["passages"]:
        places = sorted(place["doc_id"] for place in passage["locations"] if place["start"] is not None)
        judged.expect("locations", places, sorted(texts[passage["text"]] - {passage["doc_id"]}))


def check_hybrid(judged: Judge) -> None:
    """Grouped: every readable document is a passage's or among its locations, and no other."""
    answer = judged.post(f"{URL}/search", body(judged), "hybrid")
    if answer is None:
        return
    told = {passage["doc_id"] for passage in answer["passages"]}
    told |= {
        place["doc_id"]
        for passage in answer["passages"]
        for place in passage["locations"]
        if place["start"] is not None
    }
    judged.expect("grouped", sorted(told), sorted(judged.papers(judged.version)))
    check_places(judged, answer)
    words = {word for point in judged.points(judged.version) for word in _words(point)}
    for correction in answer["understanding"]["corrections"].values():
        judged.expect("correction", correction.lower() in words, True)
    narrow = judged.post(f"{URL}/search", body(judged, narrowed=True, explain=True), "hybrid")
    wanted = {point.payload["text"] for point in judged.points(judged.version, filtered=True)}
    if narrow is not None:
        texts = {passage["text"] for passage in narrow["passages"]}
        if judged.world.corpus.dedup != "off":  # what is near to a text that is told stands behind it
            wanted = {
                text for text in wanted if text in texts or not any(_alike(text, told) for told in texts)
            }
        judged.expect("filtered", texts, wanted)


def check_places(judged: Judge, answer: Any) -> None:
    """What is named beside a passage says the same, or is near to it by documents that the asker may read."""
    near = connected(judged)
    points = [(point.payload["doc_id"], point.payload["text"]) for point in judged.points(judged.version)]
    silent = judged.admitted(judged.version).keys() - judged.papers(judged.version).keys()
    for passage in answer["passages"]:
        same = {doc_id for doc_id, text in points if text == passage["text"]} | {passage["doc_id"]}
        own = same.union(*(near.get(doc_id, ()) for doc_id in same))
        said = {text for doc_id, text in points if doc_id in own and _alike(text, passage["text"])} | {
            passage["text"]
        }
        standing = own | {doc_id for doc_id, text in points if text in said}
        copies = standing.union(*(near.get(doc_id, ()) for doc_id in standing))
        for place in passage["locations"]:
            known = standing if place["start"] is not None else copies
            judged.expect("place", place["doc_id"] in known, True)
            judged.expect("withheld place", place["doc_id"] in silent, False)


def connected(judged: Judge) -> dict[str, set[str]]:
    """Document -> those with which it hangs together by near texts, among what the asker may read."""
    corpus = judged.world.corpus
    if corpus.dedup == "off":
        return {}
    now = [paper for paper in corpus.second.values() if judged.case.asker.may_read(paper.rights)]
    found = {paper.doc_id: {paper.doc_id} for paper in now}
    for one, other in itertools.combinations(now, 2):
        if one.metadata == other.metadata and _alike(_stored_text(one), _stored_text(other)):
            together = found[one.doc_id] | found[other.doc_id]
            for doc_id in together:
                found[doc_id] = together
    return found


def check_sections(judged: Judge, options: dict[str, Any]) -> None:
    """With all neighbours every readable document is shown from its first chunk to its last, and nothing else.

    One with withheld passages between others is shown by each of the others alone.
    """
    answer = judged.post(f"{URL}/search", body(judged, narrowed=True, **options))
    if answer is None:
        return
    papers = judged.papers(judged.version)
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for point in judged.points(judged.version, filtered=True):
        spans[point.payload["doc_id"]].append((point.payload["start"], point.payload["end"]))
    wanted: dict[str, list[str]] = {}
    for doc_id, own in spans.items():
        text = _stored_text(papers[doc_id])
        start, end = min(own)[0], max(until for _, until in own)
        covered = {place for span in own for place in range(*span)}
        whole = all(place in covered or text[place].isspace() for place in range(start, end))
        wanted[doc_id] = [text[start:end]] if whole else sorted(text[slice(*span)] for span in own)
    told: defaultdict[str, list[str]] = defaultdict(list)
    for passage in answer["passages"]:
        told[passage["doc_id"]].append(passage["text"])
    if "per_document" in options:
        judged.expect("documents of sections", sorted(told), sorted(wanted))
        for doc_id, texts in told.items():
            judged.expect("section", len(texts) == 1 and texts[0] in wanted.get(doc_id, ()), True)
    else:
        judged.expect("sections", {doc_id: sorted(texts) for doc_id, texts in told.items()}, wanted)
    context = answer.get("context") or {"citations": [], "text": ""}
    for cited in context["citations"]:
        shown = context["text"][cited["text_start"] : cited["text_end"]]
        whole = any(shown in text for text in wanted.get(cited["doc_id"], ()))
        judged.expect("context", whole, True)


def check_documents(judged: Judge) -> None:
    """All pages together are the readable documents, each once, with how many points it has."""
    counts = Counter(point.payload["doc_id"] for point in judged.points(judged.version))
    for params in ({}, {"source": "first", "prefix": "1"}):
        found: list[Any] = []
        for page in _pages(judged, params):
            found += page
        wanted = {
            doc_id: (paper.source, str(paper.number), paper.title, paper.rights.tier, counts[doc_id])
            for doc_id, paper in _current(judged).items()
            if not params or (paper.source == "first" and str(paper.number).startswith("1"))
        }
        told = {
            row["doc_id"]: (row["source"], row["uri"], row["title"], row["classification"], row["chunks"])
            for row in found
        }
        judged.expect("documents", told, wanted)
        judged.expect("documents twice", len(found), len(told))


def check_texts(judged: Judge) -> None:
    """The text of what may be read; of anything else the same words as of what is not there."""
    papers = judged.papers(judged.version)
    everyone = {
        paper.doc_id
        for held in (judged.world.corpus.first, judged.world.corpus.second)
        for paper in held.values()
    }
    client = judged.world.served["dense"].client
    nowhere = "00000000-0000-4000-8000-000000000000"
    absent = client.get(f"{URL}/documents/{nowhere}", params={"version": judged.version})
    for doc_id in judged.case.sample(sorted(everyone)):
        answer = client.get(f"{URL}/documents/{doc_id}", params={"version": judged.version})
        if doc_id in papers:
            text, passages = _left_over(judged, papers[doc_id])
            judged.expect("text", answer.json().get("text"), text)
            told = [gap["passages"] for gap in answer.json().get("withheld", ())]
            judged.expect("withheld", told, passages)
        else:
            judged.expect("hidden text", answer.text, absent.text.replace(nowhere, doc_id))


def check_suggestions(judged: Judge) -> None:
    """Titles and headings that begin so, of readable documents."""
    case = judged.case
    answer = judged.get(f"{URL}/suggestions", prefix=case.prefix, limit=100, version=judged.version)
    if answer is None:
        return
    stands: defaultdict[str, set[str]] = defaultdict(set)
    titles = set()
    for point in judged.points(judged.version):
        payload = point.payload
        titles.add(payload["title"].lower())
        for text in (payload["title"], *payload["heading_path"]):
            stands[text.lower()].add(payload["doc_id"])
    wanted = {
        text: (len(found), "title" if text in titles else "heading")
        for text, found in stands.items()
        if text.startswith(case.prefix.lower())
    }
    told = {row["text"].lower(): (row["documents"], row["kind"]) for row in answer["suggestions"]}
    judged.expect("suggestions", told, wanted)
    papers = judged.papers(judged.version)
    judged.expect("suggested", {row["doc_id"] for row in answer["suggestions"]} <= papers.keys(), True)


def check_facets(judged: Judge) -> None:
    """Counts of chunks and of documents, after the filters, and the total."""
    for unit in ("chunks", "documents"):
        sent = {
            "fields": list(FACETS),
            "filters": judged.case.filters,
            "version": judged.version,
            "unit": unit,
        }
        answer = judged.post(f"{URL}/facets", sent)
        if answer is None:
            continue
        papers = judged.papers(judged.version)
        points = judged.points(judged.version, filtered=True)
        owners = [point.payload["doc_id"] for point in points]
        if unit == "documents":
            owners = sorted(set(owners))
        judged.expect("total", answer["total"], len(owners))
        for name in FACETS:
            values = [
                ({**papers[owner].metadata, "source": papers[owner].source}).get(name) for owner in owners
            ]
            wanted = Counter(repr(value) for value in values if value is not None)
            told = {repr(row["value"]): row["count"] for row in answer["facets"][name]}
            judged.expect(f"facet {name}", told, dict(wanted))


def check_totals(judged: Judge) -> None:
    """Documents and chunks of the list of indexes and of each version."""
    (row,) = judged.get("/v1/indexes")["indexes"]
    live = judged.world.live
    wanted = {number: _total(judged.points(number)) for number in judged.world.points}
    judged.expect("indexes", (row["documents"], row["chunks"]), wanted[live])
    answer = judged.get(f"{URL}/versions")
    told = {row["number"]: (row["documents"], row["chunks"]) for row in answer["versions"]}
    judged.expect("versions", told, wanted)


def check_sources(judged: Judge) -> None:
    """Sources that let the asker in, and those of which they may read a document."""
    corpus = judged.world.corpus
    wanted = {name for name, rights in corpus.defaults.items() if judged.case.asker.may_read(rights)}
    wanted |= {paper.source for paper in judged.papers(judged.world.live).values()}
    told = {row["source"] for row in judged.get("/v1/sources")["sources"]}
    judged.expect("sources", told, wanted)


def _total(points: list[StoredPoint]) -> tuple[int, int]:
    return len({point.payload["doc_id"] for point in points}), len(points)


def _pages(judged: Judge, params: dict[str, Any]) -> Iterator[list[Any]]:
    cursor: dict[str, Any] = {"version": judged.version}
    for _ in range(100):
        page = judged.get(f"{URL}/documents", limit=judged.case.limit, **params, **cursor)
        if page is None:
            return
        yield page["documents"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


def _current(judged: Judge) -> dict[str, Paper]:
    """Readable documents, classified as they are now."""
    now = judged.world.corpus.now
    return {
        doc_id: replace(paper, rights=now[paper.number])
        for doc_id, paper in judged.papers(judged.version).items()
    }


def _stored_text(paper: Paper) -> str:
    """What is stored of it: title and headings without their marks."""
    return f"{paper.title}\n\n{paper.text}".replace("## ", "")


def _left_over(judged: Judge, paper: Paper) -> tuple[str, list[int]]:
    """The text, blank from one shown passage to the next where withheld text lies between, and how many those are."""
    text = _stored_text(paper)
    shown, withheld = (
        [
            set(range(point.payload["start"], point.payload["end"]))
            for point in judged.points(judged.version, withheld=kind)
            if point.payload["doc_id"] == paper.doc_id
        ]
        for kind in (False, True)
    )
    covered: set[int] = set().union(*shown)
    passages = []
    for is_shown, places in itertools.groupby(range(len(text)), key=covered.__contains__):
        here = set(places)
        count = sum(bool(own & here) for own in withheld)
        if not is_shown and count:
            text = text[: min(here)] + " " * len(here) + text[max(here) + 1 :]
            passages.append(count)
    return text, passages


def _alike(one: str, other: str) -> bool:
    a, b = _grams(one), _grams(other)
    return len(a & b) >= ALIKE * len(a | b)


def _grams(text: str) -> set[tuple[str, ...]]:
    """Every five words in a row."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))}


def _words(point: StoredPoint) -> Iterable[str]:
    payload = point.payload
    shown = (payload["title"], *payload["heading_path"], payload["text"])
    return " ".join(shown).lower().replace(".", " ").replace(",", " ").split()
