"""The thread runtime: Python functions in threads of the worker, on one Pulsar client that they share."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.instance.function_state import check_state_store
from pulsar_runtimes.instance.memory import MemoryBudget
from pulsar_runtimes.instance.support import check_supported
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory, check_language, read_strict_reference
from pulsar_runtimes.runtimes.memory_limit import parse_client_memory_limit

if TYPE_CHECKING:
    from pulsar_runtimes.runtimes.thread.runtime import ThreadRuntime


class ThreadRuntimeFactory(RuntimeFactory):
    """Runs Python functions inside the worker.

    The reference's thread runtime runs Java, inside a Java worker; this worker is Python, so its thread
    runtime runs Python. All functions act with the worker's own credentials and share its memory;
    ``pulsarClientMemoryLimit`` is for all of them together. ``strictReference``, an addition to the reference's
    keys, has it refuse Python as the reference does.
    """

    name: ClassVar[str] = "thread"
    capabilities: ClassVar[Capabilities] = Capabilities(languages=frozenset({Language.PYTHON}))

    def __init__(
        self,
        context: FactoryContext,
        *,
        thread_group_name: str = "",
        client_memory_bytes: int | None = None,
        strict_reference: bool = False,
    ) -> None:
        self.client_memory_bytes = client_memory_bytes
        self.budget = MemoryBudget(client_memory_bytes)
        self.wake = context.wake
        self.code_cache: Path = context.state_dir / "code"
        self._state_dir = context.state_dir
        self._thread_group_name = thread_group_name
        self._lock = threading.Lock()
        self._client: Any = None
        self._strict_reference = strict_reference
        self._closed = False

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        group = section.text("threadGroupName")
        limit = parse_client_memory_limit(section)
        strict = read_strict_reference(section, context)
        section.done()
        return cls(
            context,
            thread_group_name=group,
            client_memory_bytes=limit.bytes_of(context.memory_ceiling_bytes),
            strict_reference=strict,
        )

    def check(self, spec: InstanceSpec) -> None:
        if self._strict_reference:
            raise AdmissionError(f"{spec.function.key}: strictReference: the thread runtime runs Java only")
        check_language(self, spec)
        check_supported(spec.function)
        check_state_store(spec)
        if spec.function.runtime_flags:
            raise AdmissionError(
                f"{spec.function.key}: runtimeFlags (got {spec.function.runtime_flags!r}): a thread has no interpreter "
                "of its own to give them to; use the process runtime"
            )

    def create(self, spec: InstanceSpec) -> ThreadRuntime:
        from pulsar_runtimes.runtimes.thread.runtime import ThreadRuntime

        return ThreadRuntime(spec, self)

    def thread_name(self, spec: InstanceSpec) -> str:
        """``tenant/namespace/name-id``, after the group's name when ``threadGroupName`` gives one."""
        name = f"{spec.function.key}-{spec.instance_id}"
        return f"{self._thread_group_name}: {name}" if self._thread_group_name else name

    def render(self, spec: InstanceSpec) -> str:
        limit = self.budget.limit_bytes
        memory = "no client memory limit" if limit is None else f"client memory limit {limit} bytes, shared"
        return (
            f"# {spec.key}, in this worker's process\n"
            f"thread {self.thread_name(spec)!r}: {spec.function.class_name} of {spec.code_file}, "
            f"{spec.service_url}, {memory}\n"
        )

    def client(self, spec: InstanceSpec) -> Any:
        """The Pulsar client all instances share, made when the first one needs it."""
        from pulsar_runtimes.instance.client import connect

        with self._lock:
            if self._closed:
                raise AdmissionError("the thread runtime is closed")
            if self._client is None:
                self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._client = connect(spec, log_file=self._state_dir / "pulsar-client.log")
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client, self._closed = self._client, None, True
        if client is not None:
            client.shutdown()
