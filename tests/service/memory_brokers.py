"""Brokers that keep packages in memory, as the real ones do: tests/connectors compares the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.service.broker_packages import BrokerPackages, PackageNote, package_path
from pulsar_runtimes.service.errors import NotFoundError, RefusedError


class MemoryBrokers(BrokerPackages):
    """``kept`` has content and note of each package. Each upload is a second after the one before."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, PackageNote]] = {}
        self.away = False
        self.downloads: list[str] = []
        self.clock_ms = 1_000_000

    def _ask(self, name: str) -> tuple[bytes, PackageNote]:
        package_path(name)
        self.answer(name)
        if name not in self.kept:
            raise NotFoundError(f"{name}: there is no such package")
        return self.kept[name]

    def answer(self, about: str) -> None:
        if self.away:
            raise PfrunError(f"{about}: no broker answers")

    def download(self, name: str, target: BinaryIO, max_bytes: int) -> None:
        content = self._ask(name)[0]
        if len(content) > max_bytes:
            raise RefusedError(f"{name}: is larger than {max_bytes} bytes")
        self.downloads.append(name)
        target.write(content)

    def upload(self, name: str, content: BinaryIO, file_name: str, properties: Mapping[str, str] | None = None) -> None:
        package_path(name)
        self.answer(name)
        if name in self.kept:
            raise RefusedError(f"{name}: already exists")
        self.clock_ms += 1000
        self.kept[name] = content.read(), PackageNote(self.clock_ms, dict(properties or {}))

    def note(self, name: str) -> PackageNote:
        return self._ask(name)[1]

    def delete(self, name: str) -> None:
        self.answer(name)
        if self.kept.pop(name, None) is None:
            raise RefusedError(f"{name}: Failed to delete file")

    def names(self, kind: str, tenant: str, namespace: str) -> list[str]:
        self.answer(tenant)
        start = f"{kind}://{tenant}/{namespace}/"
        return sorted({name.removeprefix(start).partition("@")[0] for name in self.kept if name.startswith(start)})

    def versions(self, kind: str, tenant: str, namespace: str, name: str) -> list[str]:
        self.answer(tenant)
        start = f"{kind}://{tenant}/{namespace}/{name}@"
        return [each.removeprefix(start) for each in self.kept if each.startswith(start)]

    def namespaces(self) -> list[tuple[str, str]]:
        self.answer("the namespaces")
        return [("public", "default")]
