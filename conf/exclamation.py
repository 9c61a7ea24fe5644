"""The example function of function-config.yml: puts a mark behind every message."""

from pulsar import Function


class Exclamation(Function):
    def process(self, input, context):  # noqa: A002 - the name that Pulsar's base class gives it
        mark = context.get_user_config_value("mark") or "!"
        return f"{input}{mark}"
