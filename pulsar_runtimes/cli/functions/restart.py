"""``pfrun functions restart``."""

from __future__ import annotations

from .change_command import change_command

command = change_command("restart", "Stop a function, or an instance, and start it anew.", "will be restarted")
