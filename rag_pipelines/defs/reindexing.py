"""The job with which the owners of a source have it done again."""

from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from rag_pipelines.catalog import versions
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.fingerprints import fingerprint
from rag_pipelines.defs.keys import QUEUE_TAG, REDO, REINDEX
from rag_pipelines.defs.metadata import published_metadata, version_metadata
from rag_pipelines.defs.requests import told
from rag_pipelines.defs.resources import Rag, explained
from rag_pipelines.pipeline.reindex import reindex
from rag_pipelines.pipeline.workspace import indexes_of

DESCRIPTION = """Bring documents of one source up to date now, without waiting for its schedule.

Open *Launchpad*, fill in three fields and press *Launch run*:

- **source**: the source that the documents belong to.
- **uri_prefix**: only documents whose address begins like this, such as `hr/leave`. Empty: all of them.
- **force**: off, only what changed or was refused is done again. On, every one of these documents is fetched,
  read and cut again, which helps after a repair of the parser or of the source. Passages whose text stays the
  same keep their vectors.

The result is published like that of a sync.
"""


def reindex_job(configuration: Configuration) -> dg.JobDefinition:
    """A job of one op with a typed form; the first source stands in it until somebody chooses another."""
    form = _form(configuration)
    first = next(iter(configuration.sources))

    @dg.op(name=REDO, required_resource_keys={"rag"}, description="List, redo, stage and publish.")
    def reindex_documents(context: dg.OpExecutionContext, config: form) -> None:  # type: ignore[valid-type]
        rag: Rag = context.resources.rag
        asked: Any = config
        source = asked.source.value
        with told(context, rag.workspace), explained(context):
            counts = reindex(
                rag.workspace, source, asked.uri_prefix, asked.force, context.run_id, rag.progress
            )
        context.add_output_metadata({name: int(value) for name, value in counts.items()})
        for index in indexes_of(rag.workspace, [source]):
            rows = versions.versions_of(rag.workspace.catalog, index)
            metadata = published_metadata(rag.workspace, index) | version_metadata(rows)
            context.log_event(dg.AssetMaterialization([index, "published"], metadata=metadata))

    @dg.job(
        name=REINDEX,
        description=DESCRIPTION,
        tags=QUEUE_TAG,
        config={"ops": {REDO: {"config": {"source": first, "uri_prefix": "", "force": False}}}},
    )
    def reindex_source() -> None:
        reindex_documents()

    return reindex_source


def _form(configuration: Configuration) -> type[dg.Config]:
    names = list(configuration.sources)
    # Dagster remembers an enum by its name for as long as the process lives.
    mark = fingerprint("sources", 1, names)
    sources = Enum(f"Source_{mark}", {name: name for name in names})  # type: ignore[misc]
    return create_model(
        "Reindex",
        __base__=dg.Config,
        source=(sources, Field(description="The source that the documents belong to.")),
        uri_prefix=(
            str,
            Field(
                default="", description="Only documents whose address begins like this; empty: all of them."
            ),
        ),
        force=(
            bool,
            Field(
                default=False,
                description="Fetch, read and cut these documents again even where nothing changed.",
            ),
        ),
    )
