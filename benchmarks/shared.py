"""A network that several processes of this machine train, without a run around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from threadpoolctl import threadpool_limits

from darknet_py.arrays import Codes
from darknet_py.network import Network
from darknet_py.ranks import ALONE
from darknet_py.ranks.processes import StartedProcesses, join


class SharedTraining:
    """`net` as the first of several ranks; the others follow what it does."""

    def __init__(self, net: Network, ranks: StartedProcesses) -> None:
        self.net = net
        self.ranks = ranks

    def train_batch(self, inputs: Codes, targets: Codes) -> None:
        """`Network.train_batch` by all of them."""
        self.ranks.decide((inputs, targets))
        self.net.train_batch(inputs, targets)


@contextmanager
def shared_training(net: Network, processes: int) -> Iterator[SharedTraining]:
    """Train `net` by so many processes within. Raises TrainingError where one cannot go on."""
    code = f"from {__name__} import work; work(*place)"
    with StartedProcesses(processes, net.parameters.nbytes, 1, code) as ranks:
        ranks.decide(net)
        ranks.total(0)
        net.step.divide(ranks)
        try:
            yield SharedTraining(net, ranks)
            ranks.decide(None)
        finally:
            net.step.divide(ALONE)


def work(*place: int) -> None:
    """What the other processes do; place: see `ranks.processes.join`."""
    ranks = join(*place)
    try:
        net: Network = ranks.decide(cast("Network", None))
        ranks.total(0)
        net.step.divide(ranks)
        with threadpool_limits(1, user_api="blas"):
            while (datum := ranks.decide(None)) is not None:
                net.train_batch(*datum)
    except Exception as error:
        ranks.fail(f"{type(error).__name__}: {error}")
