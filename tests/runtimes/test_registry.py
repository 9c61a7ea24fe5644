"""Finding plug-ins by name, with throw-away distributions on ``sys.path``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pulsar_runtimes.model.errors import RegistryError
from pulsar_runtimes.runtimes.registry import RUNTIME_FACTORIES, PlugPoint
from pulsar_runtimes.testing import FakeRuntimeFactory

GROUP = "pfrun_test.animals"
SETTING = "animalClassName"
ANIMALS = PlugPoint(
    group=GROUP,
    base=FakeRuntimeFactory,
    what="animal",
    setting=SETTING,
    aliases={"org.apache.pulsar.Dog": "dog", "org.apache.pulsar.Ghost": "ghost"},
)
PROCESS = "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory"

GOOD = """
from pulsar_runtimes.testing import FakeRuntimeFactory
class Dog(FakeRuntimeFactory):
    class Puppy(FakeRuntimeFactory):
        pass
number = 7
def build(): ...
class Stranger: ...
"""

Distribute = Callable[..., Path]


@pytest.fixture
def distribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distribute]:
    """Installs a distribution: its entry points of ``GROUP`` and its modules, in a directory of its own."""

    def install(
        name: str,
        entry_points: Mapping[str, str],
        modules: Mapping[str, str] | None = None,
        *,
        version: str = "1.0",
        form: str = "dist-info",
        group: str = GROUP,
    ) -> Path:
        root = tmp_path / f"{name}-{form}"
        info = root / (f"{name}-{version}.dist-info" if form == "dist-info" else f"{name}.egg-info")
        info.mkdir(parents=True)
        metadata = "METADATA" if form == "dist-info" else "PKG-INFO"
        (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        for module, code in (modules or {}).items():
            path = root / f"{module.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(root)
        return root

    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield install
    for module in set(sys.modules) - before:
        if module.startswith("pftest_"):
            del sys.modules[module]


def refusal(name: str, plug_point: PlugPoint[FakeRuntimeFactory] = ANIMALS) -> str:
    with pytest.raises(RegistryError) as caught:
        plug_point.find(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("dog", "Dog"),
        ("org.apache.pulsar.Dog", "Dog"),
        ("pftest_good:Dog", "Dog"),
        ("pftest_good.Dog", "Dog"),
        ("pftest_good:Dog.Puppy", "Dog.Puppy"),
    ],
)
def test_a_name_leads_to_its_class(distribute: Distribute, name: str, found: str) -> None:
    distribute("kennel", {"dog": "pftest_good:Dog"}, {"pftest_good": GOOD})
    assert ANIMALS.find(name).__qualname__ == found


def test_an_entry_point_comes_before_a_path(distribute: Distribute) -> None:
    distribute("kennel", {"pftest_good.Dog": "pftest_good:Dog.Puppy"}, {"pftest_good": GOOD})
    assert ANIMALS.find("pftest_good.Dog").__qualname__ == "Dog.Puppy"


def test_extras_of_an_entry_point_are_passed_over(distribute: Distribute) -> None:
    distribute("kennel", {"dog": "pftest_good:Dog [leash]"}, {"pftest_good": GOOD})
    assert ANIMALS.find("dog").__qualname__ == "Dog"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dogs", "no animal named 'dogs'; installed: cat, dog; did you mean 'dog'?"),
        ("", "no animal named ''; installed: cat, dog"),
        (
            "org.apache.pulsar.Dok",
            (
                "a Java class cannot be loaded (got 'org.apache.pulsar.Dok'); installed: cat, dog; "
                "did you mean 'org.apache.pulsar.Dog'?"
            ),
        ),
        (
            "org.apache.pulsar.Ghost",
            (
                "org.apache.pulsar.Ghost is built in as 'ghost', but nothing installed registers that name; "
                "reinstall pulsar-runtimes"
            ),
        ),
        (
            "pftest_none.animals:Dog",
            "animal 'pftest_none.animals:Dog': there is no module 'pftest_none'; is it on PYTHONPATH?",
        ),
        (
            "pftest_good.animals:Dog",
            "animal 'pftest_good.animals:Dog': there is no module 'pftest_good.animals'; is it on PYTHONPATH?",
        ),
        ("pftest_good:", "animal 'pftest_good:': must be module:Class (got 'pftest_good:')"),
        (
            "pftest_good:Dogg",
            "animal 'pftest_good:Dogg': pftest_good has no 'Dogg'; did you mean 'Dog'?",
        ),
        (
            "pftest_good:number",
            (
                "pftest_good:number: must be a subclass of pulsar_runtimes.testing.fakes.FakeRuntimeFactory "
                "(got a value of type int)"
            ),
        ),
        (
            "pftest_good:build",
            (
                "pftest_good:build: must be a subclass of pulsar_runtimes.testing.fakes.FakeRuntimeFactory "
                "(got the function build)"
            ),
        ),
        (
            "pftest_good:Stranger",
            (
                "pftest_good:Stranger: must be a subclass of pulsar_runtimes.testing.fakes.FakeRuntimeFactory "
                "(got the class pftest_good.Stranger)"
            ),
        ),
    ],
)
def test_a_wrong_name_is_answered(distribute: Distribute, name: str, message: str) -> None:
    distribute("kennel", {"dog": "pftest_good:Dog", "cat": "pftest_good:Cat"}, {"pftest_good": GOOD})
    assert refusal(name) == f"{SETTING}: {message}"


@pytest.mark.parametrize(
    ("target", "modules", "message"),
    [
        ("pftest_gone:Dog", {}, "there is no module 'pftest_gone'; reinstall kennel"),
        (
            "pftest_needy:Dog",
            {"pftest_needy": "import pftest_docker\n"},
            (
                "pftest_needy is there, but it imports 'pftest_docker', which is not; "
                "install what provides 'pftest_docker'"
            ),
        ),
        (
            "pftest_old:Dog",
            {"pftest_old": "from json import dump_all\n"},
            "pftest_old cannot be imported (ImportError: cannot import name 'dump_all' from 'json'",
        ),
        (
            "pftest_broken:Dog",
            {"pftest_broken": "raise ValueError('two\\nlines')\n"},
            "pftest_broken cannot be imported (ValueError: two lines)",
        ),
        (
            "pftest_quits:Dog",
            {"pftest_quits": "raise SystemExit('no')\n"},
            "pftest_quits cannot be imported (SystemExit: no)",
        ),
        ("pftest_plain", {}, "must be module:Class (got 'pftest_plain')"),
    ],
)
def test_an_entry_point_that_fails_is_reported_with_its_distribution(
    distribute: Distribute, target: str, modules: Mapping[str, str], message: str
) -> None:
    distribute("kennel", {"dog": target}, modules)
    assert refusal("dog").startswith(f"{SETTING}: animal 'dog' of kennel 1.0: {message}")


def test_the_cause_of_a_failed_import_is_chained(distribute: Distribute) -> None:
    distribute("kennel", {"dog": "pftest_broken:Dog"}, {"pftest_broken": "1 / 0\n"})
    with pytest.raises(RegistryError) as caught:
        ANIMALS.find("dog")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_name_that_two_distributions_claim_names_both(distribute: Distribute) -> None:
    distribute("kennel", {"dog": "pftest_good:Dog"}, {"pftest_good": GOOD})
    distribute("pound", {"dog": "pftest_pound:Dog"}, version="2.1")
    assert refusal("dog") == (
        f"{SETTING}: the animal 'dog' is claimed by kennel 1.0 (pftest_good:Dog) and by "
        "pound 2.1 (pftest_pound:Dog); uninstall all but one, or write module:Class"
    )
    assert ANIMALS.find("pftest_good:Dog").__name__ == "Dog"


def test_one_distribution_seen_twice_is_no_clash(distribute: Distribute) -> None:
    """An editable install's dist-info, and the egg-info in the checkout that is the working directory."""
    distribute("the_kennel", {"dog": "pftest_good:Dog"}, {"pftest_good": GOOD})
    distribute("The-Kennel", {"dog": "pftest_good:Dog"}, form="egg-info")
    assert ANIMALS.find("dog").__name__ == "Dog"
    assert [plugin.name for plugin in ANIMALS.installed()] == ["dog"]


def test_installed_imports_nothing(distribute: Distribute) -> None:
    distribute("kennel", {"dog": "pftest_good:Dog", "cat": "pftest_broken:Cat"}, {"pftest_broken": "1 / 0\n"})
    assert [(plugin.name, plugin.source, plugin.target, plugin.error) for plugin in ANIMALS.installed()] == [
        ("cat", "kennel 1.0", "pftest_broken:Cat", ""),
        ("dog", "kennel 1.0", "pftest_good:Dog", ""),
    ]
    assert "pftest_broken" not in sys.modules


def test_describe_says_which_plugins_cannot_be_used(distribute: Distribute) -> None:
    distribute(
        "kennel",
        {"dog": "pftest_good:Dog", "cat": "pftest_broken:Cat"},
        {"pftest_good": GOOD, "pftest_broken": "1 / 0\n"},
    )
    distribute("pound", {"dog": "pftest_good:Dog"})
    cat, dog, other_dog = ANIMALS.describe()
    assert cat.error == (
        "animal 'cat' of kennel 1.0: pftest_broken cannot be imported (ZeroDivisionError: division by zero)"
    )
    assert dog.error == other_dog.error
    assert dog.error.startswith("the animal 'dog' is claimed by ")


def test_a_factory_that_leaves_members_out_is_refused_with_their_names(distribute: Distribute) -> None:
    code = """
from pulsar_runtimes.runtimes.base import RuntimeFactory
class Half(RuntimeFactory):
    name = "half"
    def render(self, spec): return ""
"""
    distribute("kennel", {}, {"pftest_half": code})
    with pytest.raises(RegistryError) as caught:
        RUNTIME_FACTORIES.find("pftest_half:Half")
    assert str(caught.value) == (
        "functionRuntimeFactoryClassName: pftest_half:Half: the class leaves out capabilities, create, from_config; "
        "define what pulsar_runtimes.runtimes.base.RuntimeFactory asks for"
    )


def test_the_factories_of_pfrun_are_registered_like_everybodys() -> None:
    plugins = {plugin.name: plugin for plugin in RUNTIME_FACTORIES.installed()}
    assert {"thread", "process", "kubernetes"} <= set(plugins)
    assert set(RUNTIME_FACTORIES.aliases.values()) == {"thread", "process", "kubernetes"}
    assert all(plugins[name].distribution == "pulsar-runtimes" for name in RUNTIME_FACTORIES.aliases.values())


def test_a_third_party_can_stand_in_for_a_java_name_only_by_clashing(distribute: Distribute) -> None:
    distribute("usurper", {"process": "pftest_good:Dog"}, group=RUNTIME_FACTORIES.group)
    with pytest.raises(RegistryError, match=r"claimed by pulsar-runtimes .* and by usurper 1\.0"):
        RUNTIME_FACTORIES.find(PROCESS)


def test_importing_the_registry_scans_nothing() -> None:
    code = "import sys, pulsar_runtimes.runtimes.registry; sys.exit('importlib.metadata' in sys.modules)"
    assert subprocess.run([sys.executable, "-S", "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
