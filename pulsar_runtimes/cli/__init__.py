"""The commands of ``pfrun``, one file each. The only door to ``click``."""
