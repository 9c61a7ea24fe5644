"""Whether the worker's broker can serve a function. Pure; the runtime factory has checks of its own."""

from __future__ import annotations

from pulsar_runtimes.brokers.base import BrokerLimits
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import FunctionSpec, Language, ProcessingGuarantees


def check_broker(function: FunctionSpec, broker: str, limits: BrokerLimits, *, as_whole: bool = False) -> None:
    """``AdmissionError`` naming everything ``function`` needs that the broker lacks.

    ``as_whole``: the runtime runs all replicas alike, and so cannot number their consumers apart.
    """
    lacks = []
    if function.language not in limits.languages:
        lacks.append(f"{function.language.name} functions")
    patterns = [topic for topic, spec in function.source.input_specs.items() if spec.is_regex_pattern]
    if (patterns or function.source.topics_pattern) and not limits.patterns:
        lacks.append("input topics given by a pattern")
    if function.language is Language.JAVA and not limits.schemas_from_registry:
        # Its instance asks for the schema of each topic that names none, and dies when nobody answers.
        untyped = [topic for topic, spec in function.source.input_specs.items() if not spec.schema_type]
        if function.sink.topic and not function.sink.schema_type:
            untyped.append(function.sink.topic)
        if untyped:
            lacks.append(f"a Java function without a schemaType for {', '.join(untyped)}")
    if function.processing_guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE and not limits.deduplication:
        lacks.append("EFFECTIVELY_ONCE")
    if as_whole and function.parallelism > 1 and not limits.tells_consumers_apart:
        lacks.append("several replicas, whose consumers it takes for one")
    if lacks:
        raise AdmissionError(
            f"{function.key}: the broker {broker!r} cannot serve {' and '.join(lacks)}; "
            "set pulsarServiceUrl to a real Apache Pulsar"
        )
