"""`configs/flags.yaml`: other settings of retrieval for some of those who ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from rag_pipelines.config.base import Model, Name
from rag_pipelines.config.files import SUFFIXES, ConfigFile, Location, read_file
from rag_pipelines.config.isolation import Tenant
from rag_pipelines.config.models import IndexConfig
from rag_pipelines.config.problems import problem_at, suggest, validate
from rag_pipelines.config.retrieval import RetrievalConfig
from rag_pipelines.core.errors import ConfigError

VARIABLE = (
    "mode",
    "fusion",
    "rrf_k",
    "weights",
    "candidates",
    "feedback",
    "rerank",
    "context",
    "distinct",
    "locations",
)
"""Fields of `retrieval` that can differ from request to request over one collection."""


class FlagsConfig(Model):
    """`flags` of `service.yaml`: where the flags stand and how often they are looked at."""

    file: str | None = Field(
        default=None, min_length=1, description="instead of configs/flags.yaml, relative to the project"
    )
    poll_seconds: float = Field(default=2.0, gt=0, le=3600, description="how often the file is looked at")


class FlagRule(Model):
    """Who gets which variant; what is not said here matches everybody."""

    tenants: tuple[Tenant, ...] = ()
    groups: tuple[str, ...] = Field(default=(), description="at least one of them")
    variant: Name | None = Field(default=None, description="for all who match")
    percent: dict[Name, float] = Field(
        default_factory=dict, description="variant -> share of those who match; the others see the next rule"
    )
    by: Literal["subject", "tenant", "request"] = Field(
        default="subject", description="what a share is drawn by, so that it keeps its variant"
    )

    @model_validator(mode="after")
    def _one_outcome(self) -> FlagRule:
        if (self.variant is None) == (not self.percent):
            raise ValueError("give either variant or percent")
        if any(not 0 <= share <= 100 for share in self.percent.values()) or sum(self.percent.values()) > 100:
            raise ValueError("percent must be shares from 0 to 100 that come to 100 at most")
        return self


class RetrievalFlag(Model):
    """The variants of one index, and the rules that choose among them, the first that matches."""

    enabled: bool = True
    variants: dict[Name, dict[str, Any]] = Field(
        min_length=1, description="name -> the fields of retrieval in which it differs from the index"
    )
    rules: tuple[FlagRule, ...] = ()
    default: Name | None = Field(
        default=None, description="variant of whom no rule matches; without it the index's own settings"
    )
    salt: str = Field(default="", description="another one draws all shares anew")


class FlagsFile(Model):
    """All flags; none where there is no file."""

    retrieval: dict[str, RetrievalFlag] = Field(default_factory=dict, description="by index")


def flags_path(configs: Path, config: FlagsConfig) -> Path:
    """Where the flags stand, or would."""
    if config.file is not None:
        return configs.parent / config.file
    found = (path for suffix in SUFFIXES if (path := configs / f"flags{suffix}").exists())
    return next(found, configs / "flags.yaml")


def read_flags(
    path: Path, indexes: Mapping[str, IndexConfig], families: Mapping[str, Mapping[str, str]] | None = None
) -> FlagsFile:
    """The flags of a file; none where it is not there. Raises one ConfigError with every mistake and its line.

    Those of an index that keeps tenants apart are those of each tenant's own that has none itself.
    """
    families = families or {}
    if not path.exists():
        return FlagsFile()
    file = read_file(path)
    flags = validate(file, FlagsFile)
    problems: list[str] = []
    for index, flag in flags.retrieval.items():
        at: Location = ("retrieval", index)
        own = indexes.get(index) or next((indexes[name] for name in families.get(index, {}).values()), None)
        if own is None:
            known = [*indexes, *families]
            problems.append(str(problem_at(file, at, f"there is no index {index!r}{suggest(index, known)}")))
            continue
        problems += _problems(file, at, flag, own)
    if problems:
        raise ConfigError("\n".join(problems))
    shared = {
        name: flag for family, flag in flags.retrieval.items() for name in families.get(family, {}).values()
    }
    own_flags = {name: flag for name, flag in flags.retrieval.items() if name not in families}
    return FlagsFile(retrieval=shared | own_flags)


def overlaid(config: IndexConfig, overlay: Mapping[str, Any]) -> IndexConfig:
    """The index with the overlay's fields in place of its own; sections are merged field by field."""
    return config.model_copy(update={"retrieval": RetrievalConfig.model_validate(_merged(config, overlay))})


def _merged(config: IndexConfig, overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = config.retrieval.model_dump()
    for name, value in overlay.items():
        below = merged.get(name)
        merged[name] = {**below, **value} if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _problems(file: ConfigFile, at: Location, flag: RetrievalFlag, index: IndexConfig) -> list[str]:
    found: list[str] = []
    for name, overlay in flag.variants.items():
        here: Location = (*at, "variants", name)
        for field in overlay:
            if field in VARIABLE:
                continue
            if field in RetrievalConfig.model_fields:
                said = f"cannot differ between variants of one index, only {', '.join(VARIABLE)}"
            else:
                said = f"there is no such field{suggest(field, VARIABLE)}"
            found.append(str(problem_at(file, (*here, field), said)))
        known = {field: value for field, value in overlay.items() if field in VARIABLE}
        try:
            checked = validate(file, RetrievalConfig, _merged(index, known), here)
        except ConfigError as error:
            found.append(str(error))
        else:
            if checked.mode != "dense" and index.sparse is None:
                said = f"{checked.mode!r} needs terms, and `sparse` of index {index.index!r} is null"
                found.append(str(problem_at(file, (*here, "mode"), said)))
    named: list[tuple[Location, str]] = [((*at, "default"), flag.default)] if flag.default else []
    for place, rule in enumerate(flag.rules):
        if rule.variant is not None:
            named.append(((*at, "rules", place, "variant"), rule.variant))
        named += [((*at, "rules", place, "percent", name), name) for name in rule.percent]
    found += [
        str(problem_at(file, where, f"there is no variant {name!r}{suggest(name, list(flag.variants))}"))
        for where, name in named
        if name not in flag.variants
    ]
    return found
