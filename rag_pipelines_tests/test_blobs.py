from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rag_pipelines.blobs import BlobStore, LocalDisk, open_blobs
from rag_pipelines.core.errors import BlobError
from rag_pipelines.core.types import Element, ElementKind, ParsedDocument
from rag_pipelines_tests.s3_server import KEY, SECRET, s3_client, s3_server

TEXT = b"the same words again and again " * 100
DOCUMENT = ParsedDocument(
    text="Title\n\nBody ü",
    elements=(Element(ElementKind.TITLE, 0, 5, level=1), Element(ElementKind.PARAGRAPH, 7, 13, page=2)),
    media_type="text/markdown",
    parser="markdown@1",
    title="Title",
    metadata={"b": 1, "a": ["x", 2.5, None]},
)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(params=["local", "s3", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    if request.param == "local":
        return open_blobs((tmp_path / "my blobs").as_uri())
    if request.param == "memory":
        return open_blobs(f"memory://{uuid.uuid4()}/blobs")
    endpoint = request.getfixturevalue("s3_endpoint")
    bucket = f"blobs-{uuid.uuid4()}"
    s3_client(endpoint).mkdir(bucket)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return open_blobs(f"s3://{bucket}/kb", skip_instance_cache=True)


def path_of(store: BlobStore, name: str) -> Path:
    assert isinstance(store._disk, LocalDisk)
    return store._disk._root / name[:2] / name[2:4] / name[4:]


@pytest.fixture
def local(tmp_path: Path) -> BlobStore:
    return open_blobs(str(tmp_path / "blobs"))


def test_what_was_put_comes_back_under_its_hash(store: BlobStore) -> None:
    for data in (b"", b"x", TEXT, os.urandom(5000), b"\x28\xb5\x2f\xfd not a frame", bytes(range(256)) * 9):
        name = store.put(data)
        assert name == hashlib.sha256(data).hexdigest()
        assert store.get(name) == data


def test_names_sizes_and_deletion(store: BlobStore) -> None:
    assert list(store.iterate()) == []
    names = {store.put(TEXT), store.put(b"x"), store.put(TEXT)}
    assert len(names) == 2
    assert set(store.iterate()) == names
    name = hashlib.sha256(TEXT).hexdigest()
    size = store.size(name)
    assert size is not None
    assert size < len(TEXT) / 10
    assert store.exists(name)
    store.delete(name)
    store.delete(name)
    assert not store.exists(name)
    assert store.size(name) is None
    assert set(store.iterate()) == names - {name}
    with pytest.raises(BlobError, match=f"{name} is not in .*sync its source again"):
        store.get(name)


def test_parsed_documents(store: BlobStore) -> None:
    name = store.put_parsed(DOCUMENT)
    assert store.get_parsed(name) == DOCUMENT
    with pytest.raises(BlobError, match="not a parsed document"):
        store.get_parsed(store.put(b"{}"))


def test_equal_documents_have_one_name(local: BlobStore) -> None:
    other_order = {"a": ["x", 2.5, None], "b": 1}
    again = ParsedDocument(
        DOCUMENT.text, DOCUMENT.elements, "text/markdown", "markdown@1", "Title", metadata=other_order
    )
    assert list(again.metadata) != list(DOCUMENT.metadata)
    assert local.put_parsed(again) == local.put_parsed(DOCUMENT)
    different = ParsedDocument(DOCUMENT.text, DOCUMENT.elements, "text/markdown", "markdown@2", "Title")
    assert local.put_parsed(different) != local.put_parsed(DOCUMENT)


def test_a_document_with_a_lone_surrogate_is_refused(local: BlobStore) -> None:
    with pytest.raises(BlobError, match="parser has to mend it"):
        local.put_parsed(ParsedDocument("a\ud800", (), "text/plain", "text@1"))


def test_check_leaves_nothing(store: BlobStore) -> None:
    assert "written, read and deleted" in store.check()
    assert list(store.iterate()) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_name_that_is_no_hash_is_refused(local: BlobStore, name: str) -> None:
    for call in (local.get, local.exists, local.delete, local.size):
        with pytest.raises(BlobError, match="is not the name of a blob"):
            call(name)


@pytest.mark.parametrize("damage", ["empty", "torn", "flipped", "other tag", "other content"])
@pytest.mark.parametrize("data", [TEXT, os.urandom(3000)], ids=["compressed", "raw"])
def test_damage_is_detected_and_mended_by_the_next_put(local: BlobStore, data: bytes, damage: str) -> None:
    name = local.put(data)
    file = path_of(local, name)
    stored = bytearray(file.read_bytes())
    if damage == "empty":
        stored.clear()
    elif damage == "torn":
        del stored[len(stored) // 2 :]
    elif damage == "flipped":
        stored[-3] ^= 1
    elif damage == "other tag":
        stored[0] = 0
    else:
        stored = bytearray(path_of(local, local.put(b"other")).read_bytes())
    file.write_bytes(bytes(stored))
    with pytest.raises(BlobError, match="torn or damaged"):
        local.get(name)
    assert local.put(data) == name
    assert local.get(name) == data


def test_a_stored_blob_is_not_written_again(local: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    name = local.put(TEXT)
    written = path_of(local, name).stat()
    assert len(synced) >= 2
    synced.clear()
    local.put(TEXT)
    assert synced == []
    assert path_of(local, name).stat().st_mtime_ns == written.st_mtime_ns


@pytest.mark.parametrize("moment", ["fsync", "rename"])
def test_a_writer_killed_before_the_rename_leaves_no_blob(
    local: BlobStore, tmp_path: Path, moment: str
) -> None:
    script = (
        "import os, stat, sys\n"
        "from pathlib import Path\n"
        "from rag_pipelines.blobs import open_blobs\n"
        "die = lambda *args: os.kill(os.getpid(), 9)\n"
        "store = open_blobs(sys.argv[1])\n"
        "if sys.argv[2] == 'fsync':\n"
        "    os.fsync = lambda fd: stat.S_ISREG(os.fstat(fd).st_mode) and die()\n"
        "else:\n"
        "    Path.replace = die\n"
        "store.put(b'data' * 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "blobs"), moment], check=False)
    assert done.returncode == -9
    name = hashlib.sha256(b"data" * 1000).hexdigest()
    assert not local.exists(name)
    assert name not in set(local.iterate())
    assert len(list((tmp_path / "blobs" / "tmp").iterdir())) == 1
    assert local.remove_leftovers(older_than_seconds=3600) == 0
    assert local.remove_leftovers(older_than_seconds=-60) == 1
    assert local.put(b"data" * 1000) == name
    assert local.get(name) == b"data" * 1000


def test_a_failed_write_leaves_nothing_and_says_what_to_do(
    local: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    local.put(b"first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BlobError, match=r"could not be written: .*No space left.*free some disk"):
            local.put(TEXT)
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []
    assert len(list(local.iterate())) == 1


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "blobs").mkdir(mode=0o555)
        as_root = os.geteuid() == 0
        if as_root:
            root.chmod(0o755)
            os.seteuid(65534)
        try:
            with pytest.raises(BlobError, match=r"blobs could not be written: .*right to write there"):
                open_blobs(str(root / "blobs")).put(TEXT)
            with pytest.raises(BlobError, match="could not be written"):
                open_blobs(str(root / "blobs")).check()
        finally:
            if as_root:
                os.seteuid(0)


def test_many_writers_of_equal_content(store: BlobStore) -> None:
    contents = [f"content {number % 3}".encode() * 50 for number in range(18)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(store.put, contents))
    assert names == [hashlib.sha256(content).hexdigest() for content in contents]
    assert set(store.iterate()) == set(names)
    assert all(store.get(name) == content for name, content in zip(names, contents, strict=True))


def test_what_lies_beside_the_blobs_is_not_listed(local: BlobStore, tmp_path: Path) -> None:
    name = local.put(TEXT)
    (tmp_path / "blobs" / "README").write_text("x")
    (tmp_path / "blobs" / name[:2] / name[2:4] / "notes.txt").write_text("x")
    assert list(local.iterate()) == [name]


def test_a_bucket_that_is_not_there_is_named(s3_endpoint: str) -> None:
    options: dict[str, Any] = {"key": KEY, "secret": SECRET, "endpoint_url": s3_endpoint}
    store = open_blobs("s3://no-such-bucket/kb", **options)
    with pytest.raises(BlobError, match=r"s3://no-such-bucket/kb could not be written: .*bucket"):
        store.put(TEXT)


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(BlobError, match=r"blob store gdrivex://a cannot be opened.*RAG_BLOBS_URL"):
        open_blobs("gdrivex://a")


def test_the_layout_on_disk_is_stable(local: BlobStore, tmp_path: Path) -> None:
    """A blob stored by an older version must stay readable."""
    name = hashlib.sha256(b"x").hexdigest()
    file = tmp_path / "blobs" / "2d" / "71" / "1642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rx")
    assert name.startswith("2d71")
    assert local.get(name) == b"x"
