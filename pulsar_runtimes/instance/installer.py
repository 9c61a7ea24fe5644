"""A program, run by a virtual environment's interpreter: pip, which the kernel ends together with the instance.

Arguments: the instance's process id, the program to run, its arguments. Uses the standard library only, as nothing
else is there.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    instance, program, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != int(instance):  # it died before the kernel had been asked to tell us
        sys.exit(1)
    sys.argv = [program, *arguments]
    if program == "pip":
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
