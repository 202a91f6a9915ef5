"""README and infra/docs say what the code does: commands, links, variables, configuration, and the asset graph."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile, groupby
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rag_pipelines.cli.app import app
from rag_pipelines.config import (
    answers,
    auth,
    dedup,
    evaluation,
    experiment,
    filtering,
    flags,
    gates,
    injection,
    limits,
    memory,
    models,
    policy,
    quality,
    query,
    service,
    telemetry,
)
from rag_pipelines.config.environment import read_environment
from rag_pipelines.config.load import load_configuration
from rag_pipelines.config.retrieval import (
    AbstentionConfig,
    ContextConfig,
    Feedback,
    RerankConfig,
    RetrievalConfig,
    Weights,
)
from rag_pipelines.sources import CONNECTORS
from rag_pipelines.sources.record_fields import RecordFields
from rag_pipelines_tests.shared_data import ROOT

README = ROOT / "README.md"
CONFIGURATION = ROOT / "infra/docs/configuration.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "infra/docs").rglob("*.md"))]
READ_BY_OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "DAGSTER_POSTGRES_URL"}
CONFIG_MODELS: list[type[BaseModel]] = [
    models.SourceConfig,
    models.Freshness,
    models.ChunkingRule,
    models.Chunking,
    models.ParsingLimits,
    models.SourceLimits,
    dedup.SourceDedup,
    models.IndexConfig,
    models.EmbeddingConfig,
    models.OpenAIEmbedding,
    models.SparseConfig,
    dedup.DedupConfig,
    RetrievalConfig,
    evaluation.EvaluationConfig,
    evaluation.UnanswerableConfig,
    experiment.ExperimentConfig,
    experiment.GridConfig,
    Weights,
    Feedback,
    RerankConfig,
    gates.GatesConfig,
    gates.SuiteGate,
    gates.NotWorse,
    gates.LatencyGate,
    ContextConfig,
    quality.Thresholds,
    quality.QualityConfig,
    query.QueryConfig,
    query.SynonymsConfig,
    query.SpellingConfig,
    query.PhrasingsConfig,
    query.RewritingConfig,
    filtering.FilterField,
    AbstentionConfig,
    service.ServiceConfig,
    service.PrincipalConfig,
    telemetry.TelemetryConfig,
    flags.FlagsConfig,
    flags.FlagsFile,
    flags.RetrievalFlag,
    flags.FlagRule,
    limits.LimitsConfig,
    limits.RateConfig,
    limits.CacheConfig,
    auth.AuthConfig,
    auth.IssuerConfig,
    auth.ClaimsConfig,
    answers.AnswersConfig,
    answers.ProviderConfig,
    answers.PricesConfig,
    answers.BreakerConfig,
    answers.SupportConfig,
    answers.ExtractiveConfig,
    policy.PolicyConfig,
    memory.AuditConfig,
    memory.QueriesConfig,
    injection.InjectionConfig,
    injection.InjectionScope,
    injection.InjectionRule,
    injection.InjectionClassifier,
    *(connector.params for connector in CONNECTORS.values()),
    RecordFields,
]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.M | re.S)
_SHELL_ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "<<"}
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_HERE_DOCUMENT = re.compile(r"<<'(\w+)'\n.*?^\1$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its info string, its text."""

    page: Path
    info: str
    text: str


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(*infos: str) -> list[Block]:
    """The blocks of all pages with one of these info strings."""
    return [
        Block(page, match[1].strip(), match[2])
        for page in PAGES
        for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
        if match[1].strip() in infos
    ]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of each simple command in the shell blocks, without variables set in front of it."""
    for block in blocks("bash"):
        text = _HERE_DOCUMENT.sub("\n", block.text).replace("\\\n", " ")
        for line in text.splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            for is_end, words in groupby(lexer, key=_SHELL_ENDS.__contains__):
                command = list(dropwhile(_ASSIGNMENT.match, words))
                if command and not is_end:
                    yield named(block.page), command


def parse(words: list[str]) -> None:
    """What the command line would do before it runs anything: raises a usage error for what it does not know."""
    command: Any = typer.main.get_command(app)
    context: Any = None
    name, rest = words[0], words[1:]
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "commands"):
            return
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


def usage_error(words: list[str]) -> str | None:
    try:
        parse(words)
    except click.exceptions.Exit:
        return None
    except Exception as error:
        if type(error).__name__ in {
            "UsageError",
            "NoSuchOption",
            "NoSuchCommand",
            "MissingParameter",
            "BadParameter",
        }:
            return str(error) or type(error).__name__
        raise
    return None


def test_the_checker_knows_a_wrong_command() -> None:
    assert usage_error(["rag-pipelines", "sync", "wiki", "--json"]) is None
    assert usage_error(["rag-pipelines", "bench", "ingest", "PATH", "--backend", "openvino:bf16"]) is None
    assert usage_error(["rag-pipelines", "sync", "--everything"]) is not None
    assert usage_error(["rag-pipelines", "roll-back"]) is not None
    assert usage_error(["rag-pipelines", "search"]) is not None
    assert usage_error(["rag-pipelines", "search", "x", "-k", "many"]) is not None


def test_every_command_line_is_one_that_the_command_accepts() -> None:
    commands = [(page, words) for page, words in command_lines() if words[0] == "rag-pipelines"]
    assert len([page for page, _ in commands if page == "README.md"]) >= 8
    wrong = [(page, shlex.join(words), found) for page, words in commands if (found := usage_error(words))]
    assert wrong == []


def test_every_command_named_in_a_sentence_exists() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    wrong = [
        (named(page), name)
        for page in PAGES
        for name in re.findall(r"`rag-pipelines ([a-z]+)", page.read_text(encoding="utf-8"))
        if name not in known
    ]
    assert wrong == []
    table = README.read_text(encoding="utf-8")
    assert {name for name in known if f"| `rag-pipelines {name}" not in table} == set()


def test_every_make_target_and_module_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for page, words in command_lines():
        if words[0] == "make":
            assert words[1] in targets, page
        if words[0] == "python" and "-m" in words:
            module = words[words.index("-m") + 1]
            assert importlib.util.find_spec(module) is not None, (page, module)


def _links(page: Path) -> list[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in _links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [(page.parent / target.partition("#")[0]).resolve() for target in _links(page)]
    assert [named(page) for page in PAGES if page not in reached] == []


class _Recorder(dict[str, str]):
    """Environment variables that remember which of them were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return default


def test_the_readme_names_the_variables_that_are_read_and_no_other() -> None:
    variables = _Recorder()
    read_environment(variables)
    assert variables.asked >= {"RAG_HOME", "DAGSTER_HOME"}
    text = README.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M)) == variables.asked
    named_anywhere = set(re.findall(r"\b(?:RAG|DAGSTER|AWS|MLFLOW)_[A-Z_]+\b", text))
    assert named_anywhere - READ_BY_OTHERS == variables.asked


def _validate(kind: str, data: Any) -> None:
    if kind == "source":
        config = models.SourceConfig.model_validate(data)
        CONNECTORS[config.connector].params.model_validate(config.params)
    elif kind == "index":
        models.IndexConfig.model_validate(data)
    elif kind == "flags":
        flags.FlagsFile.model_validate(data)
    elif kind == "policy":
        policy.PolicyConfig.model_validate(data)
    else:
        service.ServiceConfig.model_validate(data)


def test_configuration_blocks_validate() -> None:
    kinds = ("source", "index", "service", "flags", "policy")
    found = blocks(*(f"yaml {kind}" for kind in kinds))
    for block in found:
        _validate(block.info.split()[1], yaml.safe_load(block.text))
    readme = [block.info for block in found if block.page == README]
    assert readme.count("yaml source") == len(CONNECTORS)
    assert {block.info.split()[1] for block in found} == set(kinds)


def test_the_documented_dagster_yaml_adds_to_ours() -> None:
    (block,) = blocks("yaml dagster")
    documented = yaml.safe_load(block.text)
    ours = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert {name: documented.get(name) for name in ours} == ours
    assert set(documented) - set(ours) == {"storage"}


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "its defaults"
    return "none" if value is None else f"`{json.dumps(value)}`"


@pytest.mark.parametrize("model", CONFIG_MODELS, ids=lambda model: model.__name__)
def test_every_field_is_documented_with_its_default(model: type[BaseModel]) -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    section = text.partition(f"### `{model.__name__}`\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:[^|\\]|\\.)* \| ((?:[^|\\]|\\.)*) \| .+ \|$", section, re.M)
    bases = [base for base in model.__mro__[1:] if base in CONFIG_MODELS]
    inherited = {name for base in bases for name in base.model_fields}
    wanted = {name: _default(model, name) for name in model.model_fields if name not in inherited}
    assert dict(rows) == wanted


def test_the_picture_shows_the_real_asset_graph(tmp_path: Path) -> None:
    from rag_pipelines.defs.build import build_definitions

    (block,) = blocks("mermaid")
    labels = dict(re.findall(r'(\w+)\["([^"]+)"\]', block.text))
    arrows = re.findall(r'^\s*(\w+)(?:\["[^"]+"\])? --> (\w+)', block.text, re.M)
    drawn = {(labels[start], labels[end]) for start, end in arrows}
    configuration = load_configuration(ROOT / "configs")
    environment = read_environment({"RAG_HOME": str(tmp_path)})
    graph = build_definitions(environment, configuration).resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    real = {
        (parent.to_user_string(), key.to_user_string())
        for key in keys
        for parent in graph.get(key).parent_keys
    }
    assert drawn == real
    assert set(labels.values()) == {key.to_user_string() for key in keys}


def test_the_map_of_the_house_lists_what_is_there() -> None:
    (block,) = [block for block in blocks("text") if block.page == README]
    listed = set(re.findall(r"^  (\w+(?:/|\.py)) ", block.text, re.M))
    package = ROOT / "rag_pipelines"
    real = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    real |= {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    assert listed == real
