"""Which variant of retrieval answers a request: OpenFeature, over a file that is looked at while the service runs."""

from __future__ import annotations

import hashlib
import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.provider.no_op_provider import NoOpProvider

from rag_pipelines.config.flags import FlagRule, FlagsFile, RetrievalFlag, read_flags
from rag_pipelines.config.load import Configuration
from rag_pipelines.core.errors import ConfigError
from rag_pipelines.core.types import Principal

logger = logging.getLogger(__name__)
Stamp = tuple[int, int, int]
BUCKETS = 10_000
"""Shares are drawn to a hundredth of a percent."""


def chosen(index: str, flag: RetrievalFlag, context: EvaluationContext) -> tuple[str | None, Reason]:
    """The variant's name, None for the index's own settings, and why."""
    if not flag.enabled:
        return None, Reason.DISABLED
    for rule in flag.rules:
        if not _matches(rule, context):
            continue
        if rule.variant is not None:
            return rule.variant, Reason.TARGETING_MATCH
        drawn = bucket(index, flag.salt, str(context.attributes.get(f"{rule.by}_key", "")))
        reached = 0.0
        for name, share in rule.percent.items():
            reached += share
            if drawn < round(reached * BUCKETS / 100):
                return name, Reason.SPLIT
    return flag.default, Reason.DEFAULT


def bucket(index: str, salt: str, key: str) -> int:
    """From 0 to 9999; the same for the same key in every process, and another for another index or salt."""
    digest = hashlib.sha256("\0".join((index, salt, key)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def context_of(principal: Principal, request: str) -> EvaluationContext:
    """What rules are asked against. A subject is one of its tenant: two tenants may have an ana each."""
    subject = f"{principal.tenant}\0{principal.subject}"
    return EvaluationContext(
        subject,
        {
            "tenant": principal.tenant,
            "groups": list(principal.groups),
            "subject_key": subject,
            "tenant_key": principal.tenant,
            "request_key": request,
        },
    )


def _matches(rule: FlagRule, context: EvaluationContext) -> bool:
    groups = context.attributes.get("groups", ())
    held = set(groups) if isinstance(groups, list) else set()
    return (not rule.tenants or context.attributes.get("tenant") in rule.tenants) and (
        not rule.groups or not held.isdisjoint(rule.groups)
    )


class FileProvider(AbstractProvider):
    """Resolves string flags named `retrieval.<index>`; a variant's name is its value too, empty for none."""

    def __init__(self, flags: FlagsFile) -> None:
        super().__init__()
        self.flags = flags

    def get_metadata(self) -> Metadata:
        """Its name in traces."""
        return Metadata("rag_pipelines.file")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The variant for a context; the default where the index has no flag."""
        index = flag_key.removeprefix("retrieval.")
        flag = self.flags.retrieval.get(index)
        if flag is None:
            return FlagResolutionDetails(default_value, reason=Reason.DEFAULT)
        name, reason = chosen(index, flag, evaluation_context or EvaluationContext())
        return FlagResolutionDetails(name or default_value, reason=reason, variant=name)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """There are none."""
        _no_such_type(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """There are none."""
        _no_such_type(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """There are none."""
        _no_such_type(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """There are none."""
        _no_such_type(flag_key)


def _no_such_type(flag_key: str) -> NoReturn:
    raise TypeMismatchError(f"{flag_key} is a string flag: the name of a variant")


class Flags:
    """The file's flags behind an OpenFeature client of the application's own; close it when done.

    A new file that is broken changes nothing: the last good one stays in force, `fault` says what is wrong.
    """

    def __init__(self, path: Path, configuration: Configuration, poll_seconds: float) -> None:
        self.fault: str | None = None
        self.reads = 0
        self.refused = 0
        self._path = path
        self._configuration = configuration
        self._seconds = poll_seconds
        self._seen: Stamp | None = None
        self._provider = FileProvider(configuration.flags)
        # OpenFeature keeps providers by domain in one registry of the process.
        self._domain = f"rag-pipelines-{uuid.uuid4().hex}"
        api.set_provider_and_wait(self._provider, self._domain)
        self._client = api.get_client(self._domain)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-flags", daemon=True)

    @property
    def current(self) -> FlagsFile:
        """Those in force."""
        return self._provider.flags

    def variant(self, index: str, principal: Principal, request: str) -> str | None:
        """The name of the variant that answers this request, if it is not the index's own settings."""
        if index not in self._provider.flags.retrieval:
            return None
        details = self._client.get_string_details(f"retrieval.{index}", "", context_of(principal, request))
        return details.variant

    def start(self) -> None:
        """Begin to look at the file, first at what changed since the configuration was read."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """End after the look that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        api.set_provider(NoOpProvider(), self._domain)

    def look(self) -> None:
        """Read the file if it is another than before."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            flags = read_flags(self._path, self._configuration.indexes, self._configuration.families)
        except ConfigError as error:
            self.refused += 1
            self.fault = str(error)
            logger.error("flags are not changed, the last good ones stay in force: %s", error)
            return
        self._provider.flags, self.fault = flags, None
        self.reads += 1
        logger.info("flags read: path=%s indexes=%s", self._path, ",".join(flags.retrieval) or "none")

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.look()
            except Exception:
                logger.exception("flags cannot be looked at")

    def _stamp(self) -> Stamp | None:
        """Of the file behind a link, too: that is how a mounted ConfigMap changes."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
