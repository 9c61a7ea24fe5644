"""What can be asked of the admin API, and what each of it needs: the permission matrix.

Source: the checks in ``ComponentImpl``, ``FunctionsImpl``, ``SinksImpl``, ``SourcesImpl`` and ``WorkerImpl`` of
Apache Pulsar 4.0.8, compared with a running one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Permission(enum.Enum):
    """What a role may be given on a namespace: to work with its functions, its sinks or its sources."""

    FUNCTIONS = "functions"
    SINKS = "sinks"
    SOURCES = "sources"


class Need(enum.Enum):
    """What a caller must be. From ``NAMESPACE`` on it matters with ``authorizationEnabled`` only."""

    NOTHING = enum.auto()
    """Anybody, known or not."""
    KNOWN_UNLESS_OPEN = enum.auto()
    """As ``KNOWN``, or anybody when ``authenticateMetricsEndpoint`` is false."""
    KNOWN = enum.auto()
    """Anybody whose role is known."""
    NAMESPACE = enum.auto()
    """A super user, an admin of the path's tenant, or a role with the route's permission on its namespace."""
    PACKAGE = enum.auto()
    """For a path of four parts the same on the namespace that they begin with; else a super user."""
    SUPER_USER = enum.auto()


class Operation(enum.Enum):
    """What a route does. Those of functions are those of sinks and sources as well."""

    PROBE = "see whether the worker is there"
    PAGE = "load the status page, which asks for its figures by itself"
    OVERVIEW = "see all functions at once"
    METRICS = "read the metrics page"
    DESCRIBE = "read the description of the API"

    REGISTER = "register"
    UPDATE = "update"
    DEREGISTER = "delete"
    GET = "get"
    LIST = "list"
    STATUS = "get the status"
    STATS = "get the stats"
    LOGS = "read the logs"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    TRIGGER = "trigger"
    GET_STATE = "read state"
    PUT_STATE = "write state"
    DOWNLOAD = "download the package"

    DOWNLOAD_PATH = "download a package by its path"
    UPLOAD = "upload a package"
    LIST_PACKAGES = "list what packages are kept"
    REMOVE_PACKAGES = "remove packages that nothing needs"
    LIST_BUILTIN_FUNCTIONS = "list built-in functions"
    LIST_CONNECTORS = "list connectors"
    RELOAD_BUILTINS = "reload what is built in"
    LEAD = "change the record on the leader"

    CLUSTER = "see the workers"
    LEADER_READY = "see whether the leader is ready"
    ASSIGNMENTS = "see the assignments"
    WORKER_CONNECTORS = "see the worker's connectors"
    REBALANCE = "rebalance"
    DRAIN = "drain a worker"
    DRAIN_STATUS = "see how a drain goes"
    WORKER_STATS = "see the worker's stats"


NEEDS: Mapping[Operation, Need] = {
    Operation.PROBE: Need.NOTHING,
    Operation.PAGE: Need.NOTHING,
    Operation.OVERVIEW: Need.SUPER_USER,
    Operation.METRICS: Need.KNOWN_UNLESS_OPEN,
    Operation.DESCRIBE: Need.KNOWN,
    Operation.REGISTER: Need.NAMESPACE,
    Operation.UPDATE: Need.NAMESPACE,
    Operation.DEREGISTER: Need.NAMESPACE,
    Operation.GET: Need.NAMESPACE,
    Operation.LIST: Need.NAMESPACE,
    Operation.STATUS: Need.NAMESPACE,
    Operation.STATS: Need.NAMESPACE,
    Operation.LOGS: Need.NAMESPACE,
    Operation.START: Need.NAMESPACE,
    Operation.STOP: Need.NAMESPACE,
    Operation.RESTART: Need.NAMESPACE,
    Operation.TRIGGER: Need.NAMESPACE,
    Operation.GET_STATE: Need.NAMESPACE,
    Operation.PUT_STATE: Need.NAMESPACE,
    Operation.DOWNLOAD: Need.NAMESPACE,
    Operation.DOWNLOAD_PATH: Need.PACKAGE,
    Operation.UPLOAD: Need.SUPER_USER,
    Operation.LIST_PACKAGES: Need.SUPER_USER,
    Operation.REMOVE_PACKAGES: Need.SUPER_USER,
    Operation.LIST_BUILTIN_FUNCTIONS: Need.SUPER_USER,
    Operation.LIST_CONNECTORS: Need.KNOWN,
    Operation.RELOAD_BUILTINS: Need.SUPER_USER,
    Operation.LEAD: Need.SUPER_USER,
    Operation.CLUSTER: Need.SUPER_USER,
    Operation.LEADER_READY: Need.KNOWN,
    Operation.ASSIGNMENTS: Need.SUPER_USER,
    Operation.WORKER_CONNECTORS: Need.SUPER_USER,
    Operation.REBALANCE: Need.SUPER_USER,
    Operation.DRAIN: Need.SUPER_USER,
    Operation.DRAIN_STATUS: Need.SUPER_USER,
    Operation.WORKER_STATS: Need.SUPER_USER,
}
