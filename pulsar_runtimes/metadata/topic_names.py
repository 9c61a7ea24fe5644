"""Where the state of record is kept: the full names of its topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pulsar_runtimes.config.worker import WorkerConfig


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The topics of one cluster of workers. ``namespace`` is ``tenant/namespace``; the defaults are as shipped."""

    namespace: str = "public/functions"
    cluster: str = "standalone"
    metadata_name: str = "metadata"
    assignment_name: str = "assignments"
    coordination_name: str = "coordinate"

    @classmethod
    def from_config(cls, config: WorkerConfig) -> Self:
        """What a configuration says; a key that is absent or blank has the value that Apache Pulsar ships."""
        return cls(
            namespace=config.pulsar_functions_namespace or cls().namespace,
            cluster=config.pulsar_functions_cluster or cls().cluster,
            metadata_name=config.function_metadata_topic_name or cls().metadata_name,
            assignment_name=config.function_assignment_topic_name or cls().assignment_name,
            coordination_name=config.cluster_coordination_topic_name or cls().coordination_name,
        )

    @property
    def metadata(self) -> str:
        """The registered functions."""
        return self._full(self.metadata_name)

    @property
    def assignments(self) -> str:
        """Which worker runs which instance."""
        return self._full(self.assignment_name)

    @property
    def coordination(self) -> str:
        """Who is there, and who leads; it holds no messages."""
        return self._full(self.coordination_name)

    def _full(self, name: str) -> str:
        return f"persistent://{self.namespace}/{name}"
