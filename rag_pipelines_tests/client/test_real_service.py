"""The client and both retrievers against the real service on loopback."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from langchain_core.documents import Document

from rag_pipelines.client import AsyncClient, BadRequest, Client, Invalid, NotFound, Retry, Unavailable
from rag_pipelines_tests.client.conftest import LEAVE
from rag_pipelines_tests.client.serving import serving
from rag_pipelines_tests.project import STAFF, Project
from rag_pipelines_tests.shared_data import ROOT

QUERY = "days of paid leave"


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    with Client(address) as opened:
        yield opened


def test_search_is_what_the_searcher_finds(client: Client, project: Project) -> None:
    result = client.search("knowledge", QUERY, k=5, explain=True)

    found = project.search(QUERY, principal=STAFF).passages
    assert [passage.chunk_id for passage in result.passages] == [one.citation.chunk_id for one in found]
    assert (result.index, result.version, len(result.request_id)) == ("knowledge", 1, 32)
    first = result.passages[0]
    assert (first.uri, first.source, first.rank, first.text) == ("leave.md", "docs", 1, found[0].text)
    assert first.explanation is not None
    assert first.explanation["fused"]["rank"] == 1
    assert client.search("knowledge", QUERY, filters={"source": "board"}).passages == ()


def test_async_search_is_the_same(address: str, client: Client) -> None:
    async def asked() -> list[str]:
        async with AsyncClient(address) as opened:
            answers = await asyncio.gather(*(opened.search("knowledge", QUERY, k=5) for _ in range(4)))
        return [answer.passages[0].chunk_id for answer in answers]

    assert asyncio.run(asked()) == [client.search("knowledge", QUERY).passages[0].chunk_id] * 4


def test_refusals_have_the_words_of_the_service(client: Client) -> None:
    with pytest.raises(NotFound, match="did you mean 'knowledge'") as raised:
        client.search("knowlege", QUERY)
    assert raised.value.instance == "/v1/indexes/knowlege/search"
    assert len(raised.value.request_id) == 32
    with pytest.raises(Invalid) as invalid:
        client.search("knowledge", QUERY, k=0)
    assert invalid.value.errors[0]["field"] == "k"
    with pytest.raises(BadRequest, match="'sauce'"):
        client.search("knowledge", QUERY, filters={"sauce": "docs"})


def test_nothing_published_is_unavailable(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = Project(tmp_path_factory.mktemp("empty") / "project")
    with (
        serving(empty) as address,
        Client(address, retry=Retry(attempts=1)) as client,
        pytest.raises(Unavailable, match="rag-pipelines sync") as raised,
    ):
        client.search("knowledge", QUERY)
    assert raised.value.retry_after == 5.0


def test_indexes_versions_sources_and_reindexing(client: Client) -> None:
    (index,) = client.indexes().indexes
    assert (index.index, index.version, index.documents) == ("knowledge", 1, 2), "those that they may read"
    versions = client.versions("knowledge")
    assert (versions.version, versions.pinned) == (1, None)
    assert [(version.number, version.status, version.live) for version in versions.versions] == [
        (1, "published", True)
    ]
    (docs,) = [source for source in client.sources().sources if source.source == "docs"]
    assert (docs.owner, docs.warn_after_seconds, docs.problem) == ("docs@acme.example", 3600.0, False)
    asked = client.reindex("docs", uri_prefix="hr/", force=True)
    assert (asked.source, asked.uri_prefix, asked.force, asked.status) == ("docs", "hr/", True, "pending")
    assert client.reindex_status("docs", asked.id).status == "pending"
    with pytest.raises(NotFound):
        client.reindex_status("docs", asked.id + 1)


def test_langchain_retriever(address: str, client: Client) -> None:
    from rag_pipelines.client.langchain import RagRetriever

    retriever = RagRetriever(index="knowledge", client=client, k=2)
    documents = retriever.invoke(QUERY)
    assert [type(document) for document in documents] == [Document, Document]
    metadata = documents[0].metadata
    assert (metadata["source"], metadata["uri"], metadata["version"]) == ("docs", "leave.md", 1)
    assert documents[0].id == metadata["chunk_id"]
    assert LEAVE.strip().count(documents[0].page_content.splitlines()[-1]) == 1
    again = asyncio.run(retriever.ainvoke(QUERY))
    assert [document.id for document in again] == [document.id for document in documents]

    async def awaited() -> list[Document]:
        async with AsyncClient(address) as opened:
            found = RagRetriever(index="knowledge", async_client=opened, filters={"source": "docs"}, k=1)
            return await found.ainvoke(QUERY)

    assert [document.id for document in asyncio.run(awaited())] == [documents[0].id]
    chain = retriever | _uris
    assert chain.invoke(QUERY)[0] == "leave.md"
    with pytest.raises(ValueError, match="client=Client"):
        RagRetriever(index="knowledge").invoke(QUERY)


def _uris(documents: list[Document]) -> list[str]:
    return [str(document.metadata["uri"]) for document in documents]


def test_llamaindex_retriever(address: str, client: Client) -> None:
    from llama_index.core.schema import MetadataMode, NodeWithScore

    from rag_pipelines.client.llamaindex import RagRetriever

    retriever = RagRetriever("knowledge", client=client, k=2)
    nodes = retriever.retrieve(QUERY)
    first = nodes[0]
    assert isinstance(first, NodeWithScore)
    assert (first.metadata["uri"], first.node_id) == ("leave.md", first.metadata["chunk_id"])
    assert first.score == first.metadata["score"]
    prompt = first.get_content(MetadataMode.LLM)
    assert "uri: leave.md" in prompt
    assert first.metadata["chunk_id"] not in prompt
    assert [node.node_id for node in asyncio.run(retriever.aretrieve(QUERY))] == [
        node.node_id for node in nodes
    ]

    async def awaited() -> list[NodeWithScore]:
        async with AsyncClient(address) as opened:
            found = RagRetriever("knowledge", async_client=opened, filters={"source": "docs"}, k=1)
            return await found.aretrieve(QUERY)

    assert [node.node_id for node in asyncio.run(awaited())] == [first.node_id]
    with pytest.raises(ValueError, match="client=Client"):
        RagRetriever("knowledge").retrieve(QUERY)


@pytest.mark.parametrize(
    ("module", "absent", "extra"),
    [("langchain", "langchain_core", "langchain"), ("llamaindex", "llama_index", "llamaindex")],
)
def test_an_adapter_without_its_package_says_what_to_install(module: str, absent: str, extra: str) -> None:
    code = f"import sys; sys.modules[{absent!r}] = None; import rag_pipelines.client.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"pip install 'rag-pipelines[{extra}]'" in done.stderr.splitlines()[-1]


def test_the_examples_of_the_page_run(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "infra/docs/client.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(examples) >= 4
    for example in examples:
        if "answer" not in example:
            exec(example.replace("http://127.0.0.1:8600", address), {})
    assert "leave.md" in capsys.readouterr().out
