"""The house keeps its shape: layers, sizes, and what a process loads to do its job."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag_pipelines_tests.shared_data import ROOT

PACKAGE = ROOT / "rag_pipelines"
MAX_LINES = 300


def test_arrows_point_down() -> None:
    """The contracts stand in pyproject.toml under [tool.importlinter]."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_no_file_is_too_long() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert len(sizes) > 50
    assert {path: size for path, size in sizes.items() if size > MAX_LINES} == {}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        (
            "rag_pipelines.service.app",
            (
                "dagster",
                "torch",
                "transformers",
                "unstructured",
                "rag_pipelines.parsing",
                "rag_pipelines.pipeline",
                "rag_pipelines.sources",
                "rag_pipelines.chunking",
                "rag_pipelines.defs",
            ),
        ),
        (
            "rag_pipelines.cli.app",
            ("dagster", "torch", "transformers", "unstructured", "openvino", "rag_pipelines.definitions"),
        ),
        ("rag_pipelines.catalog.store", ("alembic", "numpy", "psycopg2")),
        ("rag_pipelines.sources", ("pyarrow", "s3fs", "sqlalchemy")),
        (
            "rag_pipelines.client",
            ("pydantic", "langchain_core", "llama_index", "yaml", "numpy", "rag_pipelines.core"),
        ),
        ("rag_pipelines.core.ports", ("pydantic", "sqlalchemy", "yaml")),
    ],
)
def test_an_import_loads_no_more_than_it_needs(module: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {module}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines())
    assert module in loaded
    assert [name for name in forbidden if name in loaded] == []
