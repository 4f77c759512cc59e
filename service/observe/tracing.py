"""OpenTelemetry traces: the framework makes the spans and takes over W3C context, this sends them."""

from __future__ import annotations

from typing import Any

from cmow.service.errors import TracingError


def tracer_provider(endpoint: str, version: str) -> Any:
    """A provider that sends spans to the OTLP/HTTP collector at ``endpoint``, in batches, on a thread of its own.

    Raises ``TracingError`` where the extra ``otel`` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingError(f"traces to {endpoint} need the extra otel (pip install 'cmow[otel]'): {error}") from error
    resource = Resource.create({"service.name": "cmow", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider
