"""The example function of function-config.yml: puts a mark behind every message."""

from pulsar import Function


class Exclamation(Function):
    def process(self, input, context):
        mark = context.get_user_config_value("mark") or "!"
        return f"{input}{mark}"
