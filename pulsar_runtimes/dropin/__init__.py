"""pfrun's Python instance under Apache Pulsar's own worker, which runs ``python3 FILE`` and finds FILE by a setting.

Set ``pythonInstanceLocation`` in its ``functionRuntimeFactoryConfigs`` to what ``python -m pulsar_runtimes.dropin``
prints, and start it with a ``PATH`` on which ``python3`` is the Python that has pfrun.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("python_instance_main.py")
