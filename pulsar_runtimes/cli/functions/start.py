"""``pfrun functions start``."""

from __future__ import annotations

from .change_command import change_command

command = change_command("start", "Start what was stopped of a function.", "will be started")
