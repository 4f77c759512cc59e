"""The Ray cluster to work on: the one that ``RAY_ADDRESS`` names, or one of our own on this machine. It needs ray.

A cluster of our own is as small as Ray makes one: no dashboard, no reports to Ray's makers, a fixed object store. It
ends with this process, however that ends. Its start takes about 5 processor seconds in eight processes. Ray gives one
of these 15 seconds to come up, which no setting changes (ray-project/ray#65983): beside some ten busy processes for
each processor it does not start. A cluster begun when there was time for it, named by ``RAY_ADDRESS``, is the way out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from cmow.service.errors import BulkError
from cmow.service.machine.cpu import usable_cpus

ADDRESS = "RAY_ADDRESS"
STORE_BYTES = 512 * 2**20  # object store of a cluster of our own: some hundreds of scored blocks
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # a worker comes no later than this process would
}


@contextmanager
def cluster(cpus: int) -> Iterator[None]:
    """Ray, to the end of the block; a cluster of our own has ``cpus`` CPUs (0: those of this process).

    Raises ``BulkError`` where it does not start or is not there.
    """
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of every plan and every bar
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    own = {"num_cpus": cpus or usable_cpus(), "object_store_memory": STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(logging_level=logging.ERROR, **({} if ADDRESS in os.environ else own))
    except Exception as error:  # Ray raises no narrower class where a part of it does not come up
        ray.shutdown()
        raise BulkError(f"Ray does not start{_advice(error)}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _advice(error: Exception) -> str:
    if "timed out during startup" not in str(error):
        return ""
    return f" within its own time limit, on a machine this busy (a running cluster can be named by {ADDRESS})"
