"""Reads the configuration folder; an error names file, line and field and suggests the nearest valid name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from rag_pipelines.config.files import SUFFIXES, ConfigFile, read_file
from rag_pipelines.config.flags import FlagsFile, flags_path, overlaid, read_flags
from rag_pipelines.config.isolation import each_alone
from rag_pipelines.config.models import IndexConfig, SourceConfig
from rag_pipelines.config.policy import PolicyConfig
from rag_pipelines.config.problems import problem_at, suggest, validate
from rag_pipelines.config.service import ServiceConfig
from rag_pipelines.core.errors import ConfigError

__all__ = ["Configuration", "load_configuration", "read_file", "suggest", "validate"]

M = TypeVar("M", bound=BaseModel)
ParamsModels = Mapping[str, type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of `configs/`, validated. Relative paths in it resolve against `root`, the parent of `configs/`.

    `families` are the indexes that keep tenants apart: name -> tenant -> name of the tenant's own in `indexes`.
    """

    root: Path
    sources: Mapping[str, SourceConfig]
    indexes: Mapping[str, IndexConfig]
    service: ServiceConfig
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    flags: FlagsFile = field(default_factory=FlagsFile)
    families: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def sources_of(self, index: str) -> tuple[str, ...]:
        """Names of the sources that the index reads, sorted."""
        return tuple(name for name in self.sources if self.indexes[index].covers(name))

    def index_named(self, name: str | None) -> IndexConfig:
        """The index of that name; without a name the default or the only one. Raises ConfigError."""
        wanted = name or self.service.default_index
        if wanted is None:
            if len(self.indexes) == 1:
                return next(iter(self.indexes.values()))
            raise ConfigError(f"say which index: --index with one of {', '.join(self.indexes) or '(none)'}")
        if wanted in self.families:
            own = ", ".join(sorted(self.families[wanted].values()))
            raise ConfigError(
                f"index {wanted!r} is one for each tenant; say which: --index with one of {own}"
            )
        if wanted not in self.indexes:
            raise ConfigError(f"there is no index {wanted!r}{suggest(wanted, list(self.indexes))}")
        return self.indexes[wanted]

    def indexes_named(self, name: str | None) -> tuple[str, ...]:
        """As `index_named`, but several: each tenant's of one that keeps tenants apart, all where none is said."""
        wanted = name or self.service.default_index
        if wanted is not None and wanted in self.families:
            return tuple(sorted(self.families[wanted].values()))
        if wanted is None and len(self.indexes) > 1:
            return tuple(self.indexes)
        return (self.index_named(wanted).index,)

    def source_named(self, name: str) -> SourceConfig:
        """The source of that name. Raises ConfigError with the nearest one."""
        if name not in self.sources:
            raise ConfigError(f"there is no source {name!r}{suggest(name, list(self.sources))}")
        return self.sources[name]

    def with_variant(self, index: str, variant: str) -> Configuration:
        """The same, with the index as one of its variants has it. Raises ConfigError with the nearest one."""
        flag = self.flags.retrieval.get(index)
        known = flag.variants if flag is not None else {}
        if variant not in known:
            raise ConfigError(
                f"index {index!r} has no variant {variant!r}{suggest(variant, list(known))}; "
                "configs/flags.yaml names them"
            )
        changed = overlaid(self.indexes[index], known[variant])
        return replace(self, indexes={**self.indexes, index: changed})


def load_configuration(configs: Path, params_models: ParamsModels | None = None) -> Configuration:
    """Read and check every file below `configs`.

    `params_models` maps a connector's name to the model of its `params`; None leaves them unchecked,
    which is for readers that never open a source. Raises one ConfigError with every mistake of every file.
    """
    if not configs.is_dir():
        raise ConfigError(
            f"{configs} is not a directory; run from the project's root or set RAG_CONFIGS to the "
            "directory that holds sources/ and indexes/"
        )
    problems: list[str] = []

    def read_source(file: ConfigFile) -> SourceConfig:
        return _source(file, params_models)

    sources = _read_folder(configs / "sources", "source", read_source, problems)
    sound = not problems
    suites = _suite_names(configs / "eval")

    def read_index(file: ConfigFile) -> IndexConfig:
        return _index(file, list(sources) if sound else None, suites)

    indexes = _read_folder(configs / "indexes", "index", read_index, problems)
    families: dict[str, dict[str, str]] = {}
    with _collecting(problems):
        indexes, families = each_alone(indexes)
    service: ServiceConfig | None = None
    with _collecting(problems):
        service = _service(configs, None if problems else [*indexes, *families])
    policy = PolicyConfig()
    with _collecting(problems):
        policy = _policy(configs)
    flags = FlagsFile()
    if service is not None and not problems:
        with _collecting(problems):
            flags = read_flags(flags_path(configs, service.flags), indexes, families)
    if problems or service is None:
        raise ConfigError("\n".join(problems))
    return Configuration(
        root=configs.parent,
        sources=dict(sorted(sources.items())),
        indexes=dict(sorted(indexes.items())),
        service=service,
        policy=policy,
        flags=flags,
        families=families,
    )


@contextlib.contextmanager
def _collecting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        problems.append(str(error))


def _read_folder(
    folder: Path, kind: str, read: Callable[[ConfigFile], M], problems: list[str]
) -> dict[str, M]:
    """The models of a folder by the field that names them; mistakes go to `problems`."""
    found: dict[str, M] = {}
    files: dict[str, Path] = {}
    if not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        with _collecting(problems):
            file = read_file(path)
            model = read(file)
            name = str(getattr(model, kind))
            if name in found:
                raise problem_at(file, (kind,), f"{kind} {name!r} is already defined in {files[name].name}")
            found[name] = model
            files[name] = path
    return found


def _source(file: ConfigFile, params_models: ParamsModels | None) -> SourceConfig:
    problems: list[str] = []
    source: SourceConfig | None = None
    with _collecting(problems):
        source = validate(file, SourceConfig)
    connector, params = file.data.get("connector"), file.data.get("params")
    if params_models is not None and isinstance(connector, str):
        name = connector.strip()
        with _collecting(problems):
            if name not in params_models:
                hint = suggest(name, sorted(params_models))
                raise problem_at(file, ("connector",), f"there is no connector {name!r}{hint}")
            if isinstance(params, dict):
                validate(file, params_models[name], params, ("params",))
    if problems or source is None:
        raise ConfigError("\n".join(problems))
    return source


def _index(file: ConfigFile, sources: list[str] | None, suites: list[str] | None) -> IndexConfig:
    """`sources` and `suites` None: they have mistakes of their own, so which exist cannot be told."""
    index = validate(file, IndexConfig)
    named: list[tuple[tuple[str | int, ...], str, str, list[str] | None]] = [
        (("sources", position), "source", name, sources)
        for position, name in enumerate(index.sources)
        if name != "*"
    ]
    if index.gates is not None:
        of_data = index.gates.data.sources if index.gates.data is not None else {}
        named += [(("gates", "data", "sources", name), "source", name, sources) for name in of_data]
        named += [
            (("gates", "suites", position, "suite"), "suite", gate.suite, suites)
            for position, gate in enumerate(index.gates.suites)
        ]
    unknown = [
        str(problem_at(file, where, f"there is no {kind} {name!r}{suggest(name, known)}"))
        for where, kind, name, known in named
        if known is not None and name not in known
    ]
    if unknown:
        raise ConfigError("\n".join(unknown))
    return index


def _suite_names(folder: Path) -> list[str] | None:
    """The suites of `configs/eval`, which only their own commands read whole."""
    names: list[str] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES:
            try:
                names.append(str(read_file(path).data.get("suite")))
            except ConfigError:
                return None
    return names


def _policy(configs: Path) -> PolicyConfig:
    path = next((p for s in SUFFIXES if (p := configs / f"policy{s}").exists()), None)
    return PolicyConfig() if path is None else validate(read_file(path), PolicyConfig)


def _service(configs: Path, indexes: list[str] | None) -> ServiceConfig:
    path = next((p for s in SUFFIXES if (p := configs / f"service{s}").exists()), None)
    if path is None:
        raise ConfigError(f"{configs / 'service.yaml'} is missing; it must name at least principal.tenant")
    file = read_file(path)
    service = validate(file, ServiceConfig)
    default = service.default_index
    if default is not None and indexes is not None and default not in indexes:
        raise problem_at(
            file, ("default_index",), f"there is no index {default!r}{suggest(default, indexes)}"
        )
    return service
