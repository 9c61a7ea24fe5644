"""What an instance and its launcher agree on beside the command line. Light to import."""

from __future__ import annotations

from pathlib import Path

NOTIFY_VARIABLE = "PFRUN_NOTIFY_FD"
"""Number of the inherited descriptor on which the instance tells its launcher what becomes of it."""

LAST_MESSAGES_VARIABLE = "PFRUN_LAST_MESSAGES_FD"
"""Number of the inherited descriptor of the memory in which the instance notes the messages that it takes."""

CODE_CACHE_VARIABLE = "PFRUN_CODE_CACHE"
"""Where archives are unpacked; without it, beside the archive, where the reference unpacks them."""

LOGGING_CONFIG_FILE = str(Path(__file__).with_name("console_logging.ini"))
"""The logging configuration pfrun gives its instances: everything to standard error, which is captured."""
