"""Clusters by name."""

from __future__ import annotations

from typing import Any

from archwright.errors import StudyError, unknown
from archwright.execute import _ray, _slurm  # noqa: F401 - they register what they define
from archwright.execute._cluster import CLUSTERS, Cluster


def cluster_of(executor: object, **settings: Any) -> Cluster | None:
    """Return the cluster on which trials run; `None` for processes of this machine.

    Args:
        executor: The name of an executor: "processes", "ray" or "slurm"; or a cluster.
        **settings: The settings, for a name.

    Raises:
        UnknownName: No executor has that name.
        StudyError: A setting is unknown, or its value is not allowed.

    Example:
        >>> from archwright.execute import cluster_of
        >>> cluster_of("ray", gpus=0.5)
        Ray(address=None, cpus=1.0, gpus=0.5, checkpoints=None)
    """
    if isinstance(executor, Cluster) and CLUSTERS.name_of(executor) is not None:
        return executor
    if not isinstance(executor, str):
        raise StudyError(f"an executor is a name, aw.Ray(...) or aw.Slurm(...), not {executor!r}")
    if executor not in ("processes", *CLUSTERS.names()):
        raise unknown("executor", executor, ["processes", *CLUSTERS.names()])
    if executor == "processes" and settings:
        raise StudyError(f"the executor 'processes' has no settings, and {', '.join(settings)} was given")
    return None if executor == "processes" else CLUSTERS.create(executor, **settings)
