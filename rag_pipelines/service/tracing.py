"""Where spans go: the OpenTelemetry SDK, set up by the standard OTEL_* variables."""

from __future__ import annotations

from contextlib import ExitStack

from opentelemetry import trace
from opentelemetry.trace import Tracer

from rag_pipelines import __version__
from rag_pipelines.config.telemetry import TelemetryConfig
from rag_pipelines.core.stages import SCOPE


def open_tracing(config: TelemetryConfig, closing: ExitStack) -> Tracer:
    """A tracer that exports by OTLP over HTTP, flushed with `closing`; the process's own where traces are off.

    The provider is the application's and not the process's: a second application does not take the first one's.
    """
    if not config.traces:
        return trace.get_tracer(SCOPE, __version__)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource.create({"service.name": "rag-pipelines", "service.version": __version__})
    # Merged last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    closing.callback(provider.shutdown)
    return provider.get_tracer(SCOPE, __version__)
