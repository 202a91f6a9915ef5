"""The versions that are pinned must be versions that are allowed, or nothing installs."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rag_pipelines_tests.shared_data import ROOT


def test_constraints_satisfy_every_declared_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("==")
        pinned[canonicalize_name(name)] = version
    for text in declared:
        requirement = Requirement(text)
        chosen = pinned.get(canonicalize_name(requirement.name))
        assert chosen is not None, f"{requirement.name} is declared and not pinned"
        assert requirement.specifier.contains(chosen), f"{text} does not allow the pinned {chosen}"


def test_every_file_of_the_package_is_shipped() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = configured["tool"]["setuptools"]["package-data"]["rag_pipelines"]
    package = ROOT / "rag_pipelines"
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in package.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert sorted(files - shipped) == []
