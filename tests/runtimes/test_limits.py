"""An instance is held to its cpu and ram by what the machine allows, and what it does not allow is told.

Real groups are made where the launcher would make them, which is never below a group that another program has made.
Where that leaves out a controller, a stand-in for the kernel's files shows what would be written.
"""

from __future__ import annotations

import errno
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.model.function import Language
from pulsar_runtimes.runtimes.process import cgroup
from pulsar_runtimes.runtimes.process.limits import STACKS_BYTES, Limit, Limiter, LimitError, find_limiter

MIB = 1 << 20
NAME = f"test-{os.getpid()}"
ROOT = Path(__file__).parents[2]

GROW = """
    kept = []
    for _ in range(512):
        kept.append(bytearray(b"x") * (1 << 20))
    print("nothing stopped it")
"""

SPIN = """
    import time
    began, used = time.monotonic(), time.process_time()
    while (wall := time.monotonic() - began) < 1.5:
        pass
    print((time.process_time() - used) / wall)
"""


ENTER = """
import pickle, sys
from pulsar_runtimes.model.function import Language
limit = pickle.loads(bytes.fromhex(sys.argv[1]))
if limit is not None:
    limit.enter(Language[sys.argv[2]])
exec(sys.argv[3])
"""


def run(code: str, limit: Limit | None, language: Language = Language.PYTHON) -> subprocess.Popen[str]:
    """A child that enters ``limit``, as an instance does, then runs ``code``.

    A fresh interpreter enters it: between fork and exec of this process, which has threads of every kind by the time
    all tests run together, nothing is safe.
    """
    arguments = [pickle.dumps(limit).hex(), language.name, textwrap.dedent(code)]
    command = [sys.executable, "-c", ENTER, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


# With the kernel that is here


@pytest.fixture
def limiter() -> Iterator[Limiter]:
    limiter = find_limiter(NAME)
    yield limiter
    limiter.close()
    assert not left_behind(NAME)


def left_behind(name: str) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"**/pfrun-launcher-{name}-*"))


def need(limiter: Limiter, controller: str) -> None:
    """Skip where the real thing is not to be had."""
    held = [part for part in limiter.describe().split("; ") if part.startswith("cgroup v")]
    if not any(controller in part.rpartition("(")[2] for part in held):
        pytest.skip(f"no {controller} group here: {limiter.describe()}")


def test_a_child_that_grows_past_its_memory_is_killed_and_that_is_recognised(limiter: Limiter) -> None:
    need(limiter, "memory")
    limit = limiter.open("grows", cpu=0, ram_bytes=64 * MIB)
    child = run(GROW, limit)
    assert (child.communicate()[0], child.returncode) == ("", -signal.SIGKILL)
    kills = limit.oom_kills()
    assert kills in (1, 2)  # the first of a whole group that is killed is counted twice
    peak = limit.peak_bytes()
    assert peak is None or 32 * MIB < peak <= 64 * MIB
    limit.close()
    assert (limit.oom_kills(), limit.peak_bytes()) == (kills, peak), "what was counted is kept"


def test_a_child_within_its_memory_ends_by_itself(limiter: Limiter) -> None:
    need(limiter, "memory")
    limit = limiter.open("fits", cpu=0, ram_bytes=1 << 30)
    child = run(GROW, limit)
    assert child.communicate()[0] == "nothing stopped it\n"
    assert limit.oom_kills() == 0
    limit.close()


def test_a_child_with_a_fifth_of_a_core_gets_a_fifth_of_a_core(limiter: Limiter) -> None:
    need(limiter, "cpu")
    bound, free = limiter.open("bound", cpu=0.2, ram_bytes=0), limiter.open("free", cpu=0, ram_bytes=0)
    children = [run(SPIN, bound), run(SPIN, free)]
    used, used_freely = [float(child.communicate()[0]) for child in children]
    bound.close()
    free.close()
    assert used < 0.3  # whatever else runs here, as the quota is a ceiling
    if used_freely < 0.4:
        pytest.skip(f"this machine is too busy to tell: a child without a limit got {used_freely:.2f} of a core")
    assert used_freely > 1.5 * used


def test_a_launcher_that_was_killed_leaves_groups_and_the_next_one_removes_them(limiter: Limiter) -> None:
    need(limiter, "cpu")
    name = f"{NAME}-killed"
    code = f"""
        import os, signal
        from pulsar_runtimes.runtimes.process.limits import STACKS_BYTES, find_limiter
        limiter = find_limiter({name!r})
        limiter.open("left", 0.5, 0)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    child = run(code, None)
    assert (child.communicate()[1], child.returncode) == ("", -signal.SIGKILL)
    assert left_behind(name)
    find_limiter(f"{NAME}-next").close()
    assert not left_behind(name)


def test_a_group_that_something_still_runs_in_is_not_closed_before_that_has_ended(limiter: Limiter) -> None:
    """Version 2 kills what is left; version 1 leaves it to whoever started it."""
    need(limiter, "cpu")
    limit = limiter.open("busy", cpu=0, ram_bytes=0)
    child = run("print('up', flush=True); input()", limit)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    limit.close()
    child.kill()
    child.communicate()
    limiter.close()
    assert not left_behind(NAME)


# With limits of processes only


@pytest.fixture
def without_groups(tmp_path: Path) -> Limiter:
    return find_limiter(NAME, proc_root=tmp_path / "proc", cgroup_root=tmp_path / "cgroup")


def test_without_groups_a_child_that_grows_gets_a_memory_error(without_groups: Limiter) -> None:
    limit = without_groups.open("grows", cpu=0.2, ram_bytes=128 * MIB)
    child = run(GROW, limit)
    output, errors = child.communicate()
    assert (output, child.returncode) == ("", 1)
    assert errors.rstrip().endswith("MemoryError")
    limit.close()
    assert (limit.oom_kills(), limit.peak_bytes()) == (0, None)


@pytest.mark.parametrize(
    ("language", "ram_bytes", "limited"),
    [(Language.PYTHON, 1 << 30, True), (Language.GO, 1 << 30, True), (Language.JAVA, 1 << 30, False)],
    ids=lambda value: value.name if isinstance(value, Language) else None,
)
def test_a_jvm_gets_no_rlimit_as_its_own_bounds_would_break(
    without_groups: Limiter, language: Language, ram_bytes: int, limited: bool
) -> None:
    assert (_data_limit(without_groups.open("one", 0, ram_bytes), language) == ram_bytes + STACKS_BYTES) is limited


def test_no_ram_is_no_rlimit(without_groups: Limiter) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)[0]
    assert _data_limit(without_groups.open("one", 1.0, 0), Language.PYTHON) == before


def _data_limit(limit: Limit, language: Language) -> int:
    child = run("import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0])", limit, language)
    output, errors = child.communicate()
    assert not errors
    return int(output)


# With a stand-in for the kernel

V2_FILES = ("cgroup.procs", "cgroup.subtree_control", "cgroup.kill", "memory.oom.group", "memory.swap.max")
V1_FILES = {
    "memory": ("cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "cpu": ("cgroup.procs", "cpu.cfs_period_us", "cpu.cfs_quota_us"),
}


class FakeKernel:
    """Control files in a directory: a new group gets its files, and a group in use does not go away."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc, self.cgroup = root / "proc", root / "cgroup"
        self.delegated: set[Path] = set()
        self.refused: dict[str, int] = {}
        (self.proc / "self").mkdir(parents=True)
        self.cgroup.mkdir()
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        monkeypatch.setattr(os, "mkdir", self._make)
        monkeypatch.setattr(os, "rmdir", self._remove)
        monkeypatch.setattr(os, "getxattr", self._attribute)
        monkeypatch.setattr(cgroup, "write", self._write)

    def find(self, **options: Any) -> Limiter:
        return find_limiter("w", proc_root=self.proc, cgroup_root=self.cgroup, **options)

    def stand_in(self, *lines: str) -> None:
        (self.proc / "self/cgroup").write_text("".join(f"{line}\n" for line in lines))

    def mount_v2(self, controllers: str = "cpu memory", at: str = ".") -> Path:
        root = self.cgroup / at
        if not root.is_dir():
            self._mkdir(root)
        self._fill_v2(root, controllers)
        return root

    def mount_v1(self, controller: str) -> Path:
        root = self.cgroup / controller
        self._mkdir(root)
        for name in V1_FILES[controller]:
            (root / name).touch()
        return root

    def _fill_v2(self, group: Path, controllers: str) -> None:
        for name in V2_FILES:
            (group / name).touch()
        (group / "cgroup.controllers").write_text(controllers)
        for controller in controllers.split():
            (group / f"{controller}.max").touch()

    def _make(self, path: Any, mode: int = 0o777, **options: Any) -> None:
        self._mkdir(path, mode, **options)
        group = Path(path)
        if not group.is_relative_to(self.cgroup):
            return
        if (group.parent / "cgroup.subtree_control").exists():
            self._fill_v2(group, (group.parent / "cgroup.subtree_control").read_text())
        for names in V1_FILES.values():
            if (group.parent / names[1]).exists():
                for name in names:
                    (group / name).touch()

    def _remove(self, path: Any, **options: Any) -> None:
        group = Path(path)
        if group.is_relative_to(self.cgroup):
            if (group / "cgroup.procs").read_text() or any(child.is_dir() for child in group.iterdir()):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(group))
            for file in group.iterdir():
                file.unlink()
        self._rmdir(path, **options)

    def _attribute(self, path: Any, name: str) -> bytes:
        if Path(path) in self.delegated:
            return b"1"
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), str(path))

    def _write(self, path: Path, text: str) -> None:
        number = self.refused.get(path.name)
        if path.name == "cgroup.subtree_control":
            if (path.parent / "cgroup.procs").read_text():
                number = errno.EBUSY
            text = text.replace("+", "")
        if number or not path.exists():
            number = number or errno.ENOENT
            raise OSError(number, os.strerror(number), str(path))
        if path.name == "cgroup.procs":
            for other in self.cgroup.rglob("cgroup.procs"):
                other.write_text(" ".join(pid for pid in other.read_text().split() if pid != text))
            text = f"{path.read_text()} {text}"
        if path.name == "cgroup.kill":
            (path.parent / "cgroup.procs").write_text("")
        path.write_text(text)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    return FakeKernel(tmp_path, monkeypatch)


def group_of(kernel: FakeKernel, instance: str) -> Path:
    (group,) = kernel.cgroup.rglob(f"instance-{instance}")
    return group


def values(group: Path, *names: str) -> list[str]:
    return [(group / name).read_text() for name in names]


def test_version_2_gets_memory_swap_the_whole_group_and_the_quota(kernel: FakeKernel) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    limiter = kernel.find()
    limit = limiter.open("public/f:0", cpu=0.25, ram_bytes=64 * MIB)
    group = group_of(kernel, "public_f_0")
    names = ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.max")
    assert values(group, *names) == [str(64 * MIB), "0", "1", "25000 100000"]
    assert limiter.describe() == f"cgroup v2 at {group.parent} (memory and cpu)"
    limit.close()
    limit.close()
    assert not group.exists()
    limiter.close()
    limiter.close()
    assert not list(kernel.cgroup.glob("pfrun*"))


def test_version_1_gets_memory_with_swap_and_the_quota(kernel: FakeKernel) -> None:
    memory, cpu = kernel.mount_v1("memory"), kernel.mount_v1("cpu")
    kernel.stand_in("5:pids:/", "4:memory:/", "1:cpu,cpuacct:/")
    limiter = kernel.find()
    limiter.open("f", cpu=1.5, ram_bytes=64 * MIB)
    (of_memory,), (of_cpu,) = memory.rglob("instance-f"), cpu.rglob("instance-f")
    assert values(of_memory, *V1_FILES["memory"][1:]) == [str(64 * MIB), str(64 * MIB)]
    assert values(of_cpu, *V1_FILES["cpu"][1:]) == ["100000", "150000"]
    assert limiter.describe() == f"cgroup v1 at {of_memory.parent} (memory); cgroup v1 at {of_cpu.parent} (cpu)"
    limiter.close()
    assert not list(kernel.cgroup.rglob("pfrun*"))


def test_zero_limits_nothing(kernel: FakeKernel) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    limiter = kernel.find()
    limiter.open("f", cpu=0.0, ram_bytes=0)
    assert values(group_of(kernel, "f"), "memory.max", "cpu.max") == ["", ""]
    limiter.close()


def test_a_quota_above_that_of_a_group_above_is_left_to_that_group(kernel: FakeKernel) -> None:
    kernel.mount_v1("memory"), kernel.mount_v1("cpu")
    kernel.stand_in("4:memory:/", "1:cpu:/")
    limiter = kernel.find()
    kernel.refused["cpu.cfs_quota_us"] = errno.EINVAL
    limiter.open("f", cpu=64, ram_bytes=0).close()
    limiter.close()


def test_the_counts_of_the_kernel_are_read(kernel: FakeKernel) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    limiter = kernel.find()
    limit = limiter.open("f", cpu=0, ram_bytes=MIB)
    group = group_of(kernel, "f")
    assert (limit.oom_kills(), limit.peak_bytes()) == (0, None), "an old kernel has no such files"
    (group / "memory.events").write_text("low 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n")
    (group / "memory.peak").write_text("12345\n")
    assert (limit.oom_kills(), limit.peak_bytes()) == (3, 12345)
    limiter.close()


def test_processes_in_a_delegated_group_move_aside_once(kernel: FakeKernel) -> None:
    """A group of version 2 cannot both hold processes and hand its controllers down."""
    root = kernel.mount_v2()
    cgroup.write(root / "cgroup.subtree_control", "+memory +cpu")
    service = root / "pfrun.service"
    service.mkdir()
    (service / "cgroup.procs").write_text("11 12")
    kernel.stand_in("0::/pfrun.service")
    assert "pfrun.service was made by another program and is not delegated" in kernel.find().describe()

    kernel.delegated.add(service)
    first = kernel.find()
    assert (service / "pfrun-main/cgroup.procs").read_text().split() == ["11", "12"]

    kernel.stand_in("0::/pfrun.service/pfrun-main")  # where the launcher after this one starts
    second = kernel.find()
    for limiter in (first, second):
        assert limiter.describe().startswith(f"cgroup v2 at {service}/pfrun-launcher-w-")
        limiter.close()


def test_a_group_that_the_operator_names_is_used_instead(kernel: FakeKernel) -> None:
    memory, cpu = kernel.mount_v1("memory"), kernel.mount_v1("cpu")
    (memory / "other").mkdir()
    kernel.stand_in("4:memory:/other", "1:cpu:/")
    limiter = kernel.find(parent="/pfrun")
    assert f"cgroup v1 at {memory}/pfrun/pfrun-launcher-" in limiter.describe()
    assert f"cgroup v1 at {cpu}/pfrun/pfrun-launcher-" in limiter.describe()
    limiter.close()


def test_a_controller_without_a_group_is_told_and_memory_is_left_to_rlimits(kernel: FakeKernel) -> None:
    cpu = kernel.mount_v1("cpu")
    (kernel.mount_v1("memory") / "other").mkdir()
    kernel.mount_v2("", at="unified")
    kernel.stand_in("4:memory:/other", "1:cpu:/", "0::/")
    limiter = kernel.find()
    first, second = limiter.describe().split("; ")
    assert first.startswith(f"cgroup v1 at {cpu}/pfrun-launcher-w-")
    assert second.startswith("rlimits: memory by RLIMIT_DATA of each process, not for Java (no cgroup may be created: ")
    assert second.endswith("/memory/other was made by another program and is not delegated (systemd: Delegate=yes))")
    limiter.close()


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param(None, "proc/self/cgroup: No such file or directory", id="nothing is mounted"),
        pytest.param([], "no hierarchy has it here", id="no hierarchy"),
        pytest.param(["0::/"], "there is no ", id="version 2 is not visible"),
        pytest.param(["4:memory:/", "1:cpu:/"], "there is no ", id="version 1 is not visible"),
        pytest.param(["0::/../other"], "stands outside of what is mounted", id="outside of the namespace"),
    ],
)
def test_where_no_group_may_be_made_the_reason_is_told(kernel: FakeKernel, lines: list[str] | None, why: str) -> None:
    if lines is not None:
        kernel.stand_in(*lines)
    described = kernel.find().describe()
    assert described.startswith("rlimits: memory by RLIMIT_DATA of each process, not for Java; cpu is not bounded (")
    assert why in described
    assert "\n" not in described


@pytest.mark.parametrize("file", ["memory.max", "cpu.max", "cgroup.subtree_control"])
def test_what_cannot_be_written_is_found_out_by_trying_and_leaves_nothing(kernel: FakeKernel, file: str) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    kernel.refused[file] = errno.EACCES
    described = kernel.find().describe()
    assert described.startswith("rlimits: ")
    assert f"{file}: Permission denied" in described
    assert not list(kernel.cgroup.glob("pfrun*"))


def test_an_instance_that_gets_no_group_is_an_error_of_one_line_and_leaves_nothing(kernel: FakeKernel) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    limiter = kernel.find()
    kernel.refused["memory.max"] = errno.ENOSPC
    with pytest.raises(LimitError, match=r"no cgroup can be made for f: .*/memory\.max: No space left on device"):
        limiter.open("f", cpu=0, ram_bytes=MIB)
    assert not list(kernel.cgroup.rglob("instance-*"))
    limiter.close()


def test_a_group_that_is_gone_cannot_be_entered(kernel: FakeKernel) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    limiter = kernel.find()
    limit = limiter.open("f", cpu=0, ram_bytes=MIB)
    group_of(kernel, "f").rename(kernel.proc / "gone")
    with pytest.raises(LimitError, match=r"its cgroup cannot be entered: .*/cgroup\.procs: No such file"):
        limit.enter()
    limiter.close()


def test_version_2_kills_what_is_left_when_a_limit_is_closed(kernel: FakeKernel) -> None:
    kernel.mount_v2()
    kernel.stand_in("0::/")
    limiter = kernel.find()
    limit = limiter.open("f", cpu=0, ram_bytes=MIB)
    group = group_of(kernel, "f")
    limit.enter()
    assert (group / "cgroup.procs").read_text().split() == ["0"]
    limit.close()
    assert not group.exists()
    limiter.close()


def test_leftovers_go_but_not_those_of_a_living_launcher_or_with_processes_or_of_others(kernel: FakeKernel) -> None:
    root = kernel.mount_v2()
    kernel.stand_in("0::/")
    living = kernel.find()
    for name in ("pfrun-launcher-dead", "pfrun-launcher-busy", "pfrun-kube"):
        (root / name / "instance-f").mkdir(parents=True)
    (root / "pfrun-launcher-busy/instance-f/cgroup.procs").write_text("17")
    limit = living.open("f", cpu=0, ram_bytes=MIB)
    kernel.find().close()
    assert not (root / "pfrun-launcher-dead").exists()
    assert (root / "pfrun-launcher-busy/instance-f").exists()
    assert (root / "pfrun-kube/instance-f").exists()
    limit.enter()
    living.close()
