"""From a finished search to an answer whose every sentence was checked before anybody sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import httpx

from rag_pipelines.answers.breaker import Breaker
from rag_pipelines.answers.chat import ChatProvider
from rag_pipelines.answers.costs import Meter
from rag_pipelines.answers.extractive import Extractive
from rag_pipelines.answers.failover import Begun, Failover, Progress
from rag_pipelines.answers.failures import OK, told
from rag_pipelines.answers.prompting import NO_ANSWER, read_template, within
from rag_pipelines.answers.providers import Provider
from rag_pipelines.answers.reading import Reading
from rag_pipelines.answers.support import Supporter
from rag_pipelines.answers.values import Answered, Draft, Sentence, Task, Written, marked
from rag_pipelines.config.answers import EXTRACTIVE, AnswersConfig
from rag_pipelines.core.types import Passage
from rag_pipelines.retrieval.result import SearchResult

logger = logging.getLogger(__name__)
Unsupported = Literal["drop", "mark"]


@dataclass(frozen=True, slots=True)
class Start:
    """What an answer will be made of, before a provider is asked."""

    index: str
    version: int
    passages: tuple[Passage, ...]


Event = Start | Sentence | Answered


class Answerer:
    """Opened once a process, with the template read and a breaker for each provider; close it in its event loop."""

    def __init__(self, config: AnswersConfig, root: Path) -> None:
        """`root` is the project's, against which a template's path resolves. Raises ConfigError."""
        self.config = config
        self._template = read_template(config.template, root)
        self._client = httpx.AsyncClient() if config.providers else None
        self._breakers = {one.name: Breaker(config.breaker) for one in config.providers}

    async def close(self) -> None:
        """Release connections."""
        if self._client is not None:
            await self._client.aclose()

    async def answer(
        self,
        question: str,
        found: SearchResult,
        reading: Reading,
        *,
        stream: bool = False,
        unsupported: Unsupported | None = None,
    ) -> AsyncGenerator[Event, None]:
        """A Start, sentences, and the whole; closing the iterator ends a call that is under way.

        Sentences come while they are written only with `stream`. No provider is called where the search judges that
        the question is not answered or finds nothing. Raises AnswerFailed, EmbeddingError and ConfigError.
        """
        passages = await asyncio.to_thread(within, found.passages, self.config.passage_tokens, reading.tokens)
        yield Start(found.index, found.version, passages)
        blank = Answered(
            found.index, found.version, False, found.confidence, "", (), passages, Written(), None,
            variant=found.variant,
        )  # fmt: skip
        if found.answerable is False:
            yield replace(blank, reason="the search judges that the index does not answer this question")
            return
        if not passages:
            yield replace(blank, reason="the search found no passages")
            return
        providers = self._providers(reading)
        prompt = remade = None
        if self._client is not None:
            remade = partial(self._template.prompt, question, passages)
            prompt = remade(frozenset())
        task = Task(question, passages, prompt, stream, remade=remade)
        progress = Progress(Meter(reading.tokens))
        supporter = Supporter(self.config.support, reading, passages)
        wanted = unsupported or self.config.unsupported
        failover = Failover(providers, self._breakers, self.config)
        writing = _Writing(blank, progress)
        async with aclosing(failover.answer(task, progress)) as items:
            async for item in items:
                if isinstance(item, Begun):
                    writing.begin(item.provider)
                elif isinstance(item, Draft):
                    supported = await asyncio.to_thread(supporter.check, item.text, item.citations)
                    sentence = writing.add(item, supported, wanted)
                    if sentence is not None:
                        progress.given = True
                        yield sentence
                else:
                    writing.model, writing.cut = item.model or writing.model, item.cut
        yield writing.whole(prompt.template if prompt else None, prompt.hash if prompt else None)

    def _providers(self, reading: Reading) -> list[Provider]:
        config = self.config
        found: list[Provider] = []
        if self._client is not None:
            found += [ChatProvider(one, self._client, config.max_answer_chars) for one in config.providers]
        if not found or config.fallback == EXTRACTIVE:
            found.append(Extractive(config.extractive, reading))
        return found


class _Writing:
    """An answer as it grows."""

    def __init__(self, blank: Answered, progress: Progress) -> None:
        self._blank = blank
        self._progress = progress
        self._provider: Provider | None = None
        self._sentences: list[Sentence] = []
        self._dropped = 0
        self._declined = False
        self.model: str | None = None
        self.cut = False

    def begin(self, provider: Provider) -> None:
        self._provider, self.model = provider, provider.model
        self._sentences, self._dropped, self._declined = [], 0, False

    def add(self, draft: Draft, supported: bool, wanted: Unsupported) -> Sentence | None:
        """The sentence where it is shown; None where it is left out."""
        if not draft.citations and draft.text.strip(" .!*\"'").upper() == NO_ANSWER:
            self._declined = True
            return None
        if not supported and wanted == "drop":
            self._dropped += 1
            return None
        self._sentences.append(Sentence(draft.text, draft.citations, supported))
        return self._sentences[-1]

    def whole(self, template: str | None, digest: str | None) -> Answered:
        provider, progress = self._provider, self._progress
        quoted = provider is None or provider.name == EXTRACTIVE
        written = Written(
            provider.name if provider is not None else None,
            self.model,
            tuple(progress.attempts),
            progress.meter.usage,
            None if quoted else template,
            None if quoted else digest,
            progress.meter.bills,
        )
        return replace(
            self._blank,
            answerable=any(sentence.supported for sentence in self._sentences),
            text=marked(self._sentences),
            sentences=tuple(self._sentences),
            written=written,
            reason=self._reason(),
            dropped=self._dropped,
        )

    def _reason(self) -> str | None:
        if not any(sentence.supported for sentence in self._sentences):
            if self._declined:
                return "the model found no answer in the passages"
            return "no sentence was left that its citations support"
        failed = [one for one in self._progress.attempts if one.outcome != OK]
        if failed and self._provider is not None and self._provider.name == EXTRACTIVE:
            return f"no model answered, so sentences are quoted: {told(failed)}"
        if self.cut:
            return "the answer reached its limit of tokens and ends early"
        return None
