"""The functions that real-broker tests run. Each does one thing."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

from pulsar import Function


class Exclaim(Function):
    def process(self, input, context):
        return f"{input}!"


class Slow(Function):
    """Takes a moment for each message, so that a stop comes in the middle of some."""

    def process(self, input, context):
        time.sleep(0.01)
        return input


class Picky(Function):
    """Raises for some messages."""

    def process(self, input, context):
        if input.startswith("bad"):
            raise ValueError(f"cannot take {input}")
        return input


class Unbuildable(Function):
    def __init__(self):
        raise RuntimeError("no table of that name")

    def process(self, input, context):
        return input


class BlocksInConstructor(Function):
    def __init__(self):
        time.sleep(3600)

    def process(self, input, context):
        return input


class Blocks(Function):
    """Never comes back from a message, and cannot be interrupted: it waits inside one call."""

    def process(self, input, context):
        time.sleep(3600)


class Spins(Function):
    """Never comes back either, but between two bytecodes it can be interrupted."""

    def process(self, input, context):
        while True:
            time.sleep(0.01)


class Exits(Function):
    """Leaves the interpreter on "exit", and the process on "die"."""

    def process(self, input, context):
        if input == "exit":
            sys.exit("asked to exit")
        if input == "die":
            os._exit(7)
        return input


class Stubborn(Function):
    """Ignores the polite signal, and is busy for ever once it has a message."""

    def __init__(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def process(self, input, context):
        time.sleep(3600)


class Talks(Function):
    """Writes in each way there is."""

    def process(self, input, context):
        print(f"printed {input}")
        print(f"on stderr {input}", file=sys.stderr)
        os.write(1, f"native {input}\n".encode())
        subprocess.run(["echo", f"by a child {input}"], check=True)
        logging.getLogger("of.its.own").warning("logged %s", input)
        context.get_logger().info("told %s", input)
        return input


class Breeds(Function):
    """Starts a child, one in a group of its own, and tells both process ids."""

    def process(self, input, context):
        plain = subprocess.Popen(["sleep", "3600"])
        grouped = subprocess.Popen(["sleep", "3600"], preexec_fn=os.setpgrp)
        return json.dumps([os.getpid(), plain.pid, grouped.pid])


class Surroundings(Function):
    """What a function can see of the process it is in."""

    def process(self, input, context):
        return json.dumps(
            {
                "pid": os.getpid(),
                "parent": os.getppid(),
                "group": os.getpgid(0),
                "session": os.getsid(0),
                "thread": threading.current_thread().name,
                "threads": [thread.name for thread in threading.enumerate()],
                "dev_mode": sys.flags.dev_mode,
                "optimize": sys.flags.optimize,
                "filters": bool(warnings.filters),
                "secret": context.get_secret("PASSWORD"),
            }
        )


class CountWords(Function):
    """Keeps how often each word came, and the last message; answers with the counts of its words."""

    def process(self, input, context):
        context.put_state("last", input)
        for word in input.split():
            context.incr_counter(word, 1)
        return json.dumps({word: context.get_counter(word) for word in input.split()})


class Hog(Function):
    """Takes as much memory as the message says, in MiB, and uses all of it."""

    def process(self, input, context):
        held = bytearray(b"x") * (int(input) << 20)
        return f"{len(held) >> 20} MiB"
