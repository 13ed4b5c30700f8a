"""How many threads train a network: chosen by the width of its layers, and tried as a run goes."""

from __future__ import annotations

import numpy as np

from darknet_py.arrays import Array
from darknet_py.autotune import Autotuner
from darknet_py.machine import processors
from darknet_py.network import Network

# Below this width a second thread never saved time, between the two it does on an idle machine.
NARROW, WIDE = 128, 256
# Operations after which comparing products is given up: about 2 seconds.
COMPARED = 2e11


def shares_work(net: Network) -> bool:
    """Whether the threads are those of the engine rather than of BLAS."""
    return net.tier.team is not None and net.dtype == np.float32


def thread_choices(net: Network) -> list[int]:
    """The numbers of BLAS threads to try, the most likely first.

    One for narrow networks; else every processor that this process may use, and one. Where the
    number of threads would change the last bits of a product there is no choice, so that a run is
    the same each time. The engine's threads change no bits: all of them or one, whatever the width.
    """
    everyone = processors()
    if shares_work(net):
        return [everyone, 1] if everyone > 1 else [1]
    width = _width(net)
    if everyone == 1 or width < NARROW:
        return [1]
    if _products_agree(net, _matrices(net), (1, everyone)):
        return [everyone, 1]
    return [everyone] if width >= WIDE else [1]


def _matrices(net: Network) -> set[tuple[int, int]]:
    """The sizes of the network's matrices."""
    shapes = [tensor.shape for tensor in net.tensors() if len(tensor.shape) == 2]
    return {(rows, columns) for rows, columns in shapes}


def _width(net: Network) -> int:
    """The smaller side of the matrix with the largest one."""
    return max(map(min, _matrices(net)), default=1)


def _products_agree(net: Network, shapes: set[tuple[int, int]], counts: tuple[int, int]) -> bool:
    """Whether a batch's products have the same bits with either number of threads.

    False where finding that out would take too long.
    """
    from threadpoolctl import threadpool_limits

    rows = net.options.time_steps * net.streams
    if 12 * rows * sum(a * b for a, b in shapes) > COMPARED:
        return False
    rng = np.random.default_rng(0)

    def products(x: Array, delta: Array, weights: Array) -> list[Array]:
        step = slice(0, net.streams)
        all_steps = [x @ weights.T, delta @ weights, delta.T @ x]
        return [*all_steps, x[step] @ weights.T.copy(), delta[step] @ weights]

    for outputs, inputs in shapes:
        x, delta, weights = (
            rng.standard_normal(shape, np.float32)
            for shape in ((rows, inputs), (rows, outputs), (outputs, inputs))
        )
        found = []
        for count in counts:
            with threadpool_limits(count, user_api="blas"):
                found.append(products(x, delta, weights))
        if not all(map(np.array_equal, *found)):
            return False
    return True


def scoring_threads(net: Network) -> int | None:
    """BLAS threads for products of a few dozen rows: one, but for wide networks; None is as it is.

    They are too small for a second thread to pay, and on a busy machine each would wait for it.
    """
    return 1 if _width(net) < 2 * WIDE else None


class Threads:
    """A context in which BLAS, or the compiled engine, uses the number of threads with which
    batches are fastest.

    Where another process keeps a processor busy, a product on all of them waits for it and takes
    several times as long as on one. So one thread and all of them are tried in turn.
    """

    def __init__(self, net: Network, fixed: int | None = None) -> None:
        # On a busy machine a first batch on all processors could take a hundred times as long.
        self.autotuner = Autotuner([fixed] if fixed else thread_choices(net))
        self._team = net.tier.team if shares_work(net) else None

    @property
    def count(self) -> int:
        """Threads in use."""
        return self.autotuner.choice

    def batch_done(self, seconds: float) -> None:
        """Take note of a batch's time, and change the number of threads if that is due."""
        before = self.count
        self.autotuner.batch_done(seconds)
        if self.count != before:
            self._set()

    def _set(self) -> None:
        if self._team:
            self._team.threads = self.count
            return
        for library in self._libraries:
            library.set_num_threads(self.count)

    def __enter__(self) -> Threads:
        from threadpoolctl import ThreadpoolController

        controller = ThreadpoolController()
        self._libraries = controller.select(user_api="blas").lib_controllers
        # The engine's products are not BLAS's.
        limit = 1 if self._team else self.count
        self._limit = controller.limit(limits=limit, user_api="blas")
        self._set()
        return self

    def __exit__(self, *_: object) -> None:
        self._limit.restore_original_limits()
