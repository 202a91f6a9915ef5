"""What a request says of its own answer, against what the index says of all."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rag_pipelines.config.retrieval import ContextConfig


@dataclass(frozen=True, slots=True)
class Options:
    """The fields of `retrieval.context`; None leaves one to the index."""

    parents: bool | None = None
    neighbours: int | None = None
    mmr_lambda: float | None = None
    per_document: int | None = None
    tokens: int | None = None

    def over(self, configured: ContextConfig) -> ContextConfig:
        """The configured settings with those of the request in their place. Raises ValidationError."""
        own = {name: value for name, value in asdict(self).items() if value is not None}
        return ContextConfig.model_validate({**configured.model_dump(), **own}) if own else configured
