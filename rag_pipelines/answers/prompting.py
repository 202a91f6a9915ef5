"""Versioned templates -> prompts. The one place where passages, which anybody may have written, meet instructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipelines.answers.values import Prompt
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.ids import content_hash
from rag_pipelines.core.types import Passage
from rag_pipelines.governance.untrusted import INSTRUCTION, delimit, new_nonce

if TYPE_CHECKING:
    from jinja2 import Environment, Template

BUNDLED = Path(__file__).parent / "prompts"
BLOCKS = ("system", "user")
TRIED = 8
"""Passages with which a template is tried when it is read."""

NO_ANSWER = "NO ANSWER"
"""What a model is told to reply where the passages do not answer."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """A passage as the template shows it: its number on a line of its own, then the fence around title and text."""

    number: int
    fenced: str


class PromptTemplate:
    """A template that was read and compiled; its hash names what models were told, word by word."""

    def __init__(self, name: str, source: str) -> None:
        """Raises ConfigError where it cannot be compiled, lacks a block or does not say what is untrusted."""
        self.name = name
        self.hash = content_hash(source)
        self._template = _compiled(name, source)
        self._check_fences()

    def prompt(self, question: str, passages: Sequence[Passage], withheld: Set[int] = frozenset()) -> Prompt:
        """The two messages, less passages of these numbers. Raises ConfigError where the template asks for others."""
        nonce = new_nonce()
        shown = ((number, one) for number, one in enumerate(passages, 1) if number not in withheld)
        fenced = [_fenced(number, one, nonce) for number, one in shown]
        return self._rendered(question, fenced, INSTRUCTION.format(nonce=nonce))

    def _rendered(self, question: str, passages: Sequence[Fenced], fences: str) -> Prompt:
        from jinja2 import TemplateError

        values = {"question": question, "fences": fences, "passages": passages}
        try:
            system, user = (
                "".join(self._template.blocks[name](self._template.new_context(values))).strip()
                for name in BLOCKS
            )
        except TemplateError as error:
            raise ConfigError(f"answers.template {self.name}: {error}") from error
        return Prompt(self.name, self.hash, system, user)

    def _check_fences(self) -> None:
        """Filled in once for a try, since a name in the source could stand in a branch that is never taken."""
        fences = INSTRUCTION.format(nonce=new_nonce())
        tried = self._rendered("?", [Fenced(number, f"[{number}]") for number in range(1, TRIED + 1)], fences)
        if fences not in tried.system and fences not in tried.user:
            raise ConfigError(
                f"answers.template {self.name}: does not say {{{{ fences }}}}, without which a model cannot tell text "
                "of documents from instructions; write it into the block 'system'"
            )


def read_template(name: str, root: Path) -> PromptTemplate:
    """A bundled template by its name, or one's own by a path that ends in .jinja and resolves against `root`."""
    path = root / name if name.endswith(".jinja") else BUNDLED / f"{Path(name).name}.jinja"
    try:
        return PromptTemplate(name, path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(path.stem for path in BUNDLED.glob("*.jinja")))
        raise ConfigError(
            f"answers.template: {path} cannot be read ({error.strerror}); bundled are {known}, your own is a path "
            "that ends in .jinja"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"answers.template: {path} is not UTF-8 text") from error


def _fenced(number: int, passage: Passage, nonce: str) -> Fenced:
    text = f"{passage.title}\n\n{passage.text}" if passage.title else passage.text
    return Fenced(number, f"[{number}]\n{delimit(text, nonce)}")


def within(passages: Sequence[Passage], room: int, count: Callable[[str], int]) -> tuple[Passage, ...]:
    """As many of the passages as have room, best first, and the first in any case."""
    kept: list[Passage] = []
    for passage in passages:
        room -= count(passage.text)
        if room < 0 and kept:
            break
        kept.append(passage)
    return tuple(kept)


def _compiled(name: str, source: str) -> Template:
    from jinja2 import TemplateError

    try:
        template = _environment().from_string(source)
    except TemplateError as error:
        raise ConfigError(f"answers.template {name}: {error}") from error
    missing = [block for block in BLOCKS if block not in template.blocks]
    if missing:
        raise ConfigError(f"answers.template {name}: has no block {missing[0]!r}")
    return template


@cache
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # Prompts are plain text: escaping would change what passages say.
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
