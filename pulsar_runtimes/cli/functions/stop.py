"""``pfrun functions stop``."""

from __future__ import annotations

from .change_command import change_command

command = change_command("stop", "Stop a function, or one of its instances.", "will be stopped")
