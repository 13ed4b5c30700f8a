"""One network in several threads: the results of a single thread, or an error; never others."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.engine import choose
from darknet_py.errors import DarknetError
from darknet_py.inference.evaluation import hidden_vectors, trace
from darknet_py.inference.generation import Session, generate_samples
from darknet_py.network import Guard, Network
from darknet_py.numpy_step import NumpyStep
from darknet_py.rand import Rand
from tests.support.networks import draw_symbols, make_network

Call = Callable[[Network], Any]

TEXT = [int(n) for n in np.random.default_rng(5).integers(0, 7, 60)]
SECTIONS = (
    "[net] inputs=7 batch=2 time_steps=5 learning_rate=.05 tokenized=1",
    "[rnn] output=6 activation=tanh",
    "[activation] activation=tanh",
    "[gru] output=6",
    "[connected] output=7 activation=linear",
    "[softmax]",
)


def network(engine: str = "numpy") -> Network:
    return make_network(*SECTIONS, dtype=np.float32, tier=choose(engine))


def _session(net: Network) -> list[Any]:
    session = Session(net, 3)
    session.feed(TEXT[:9])
    return [session.probabilities().tobytes(), list(session.write(8)), session.likeliest(3)]


READING: dict[str, Call] = {
    "evaluate": lambda net: dn.evaluate(net, TEXT[10:50]),
    "streams": lambda net: dn.evaluate(net, TEXT[3:], streams=3),
    "generate": lambda net: list(dn.generate(net, TEXT[:20], 15)),
    "samples": lambda net: generate_samples(net, TEXT[:9], 12),
    "session": _session,
    "trace": lambda net: list(trace(net, TEXT[:40])),
    "vectors": lambda net: [v.tobytes() for _, v in hidden_vectors(net, [b"1 2 3", b"4"], layer=2)],
}
CHANGING: dict[str, Call] = {
    "train_batch": lambda net: net.train_batch(*draw_symbols(net)),
    "predict": lambda net: net.predict(draw_symbols(net)[0]).tobytes(),
    "reset_state": lambda net: net.reset_state(),
    "initialize": lambda net: net.initialize(Rand(1)),
    "take_parameters": lambda net: net.take_parameters(network(), "other"),
    "load_weights": lambda net: net.load_weights(saved(network())),
    "read_saved": lambda net: net.read_saved(saved(network())),
    "holding": lambda net: net.holding(net.parameters.copy()).__enter__(),
}
KEEPING: dict[str, Call] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "save_weights": lambda net: saved(net),
    "export": lambda net: dn.export(net, "net.npz", force=True),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the calls write their files."""
    monkeypatch.chdir(tmp_path)


def saved(net: Network) -> str:
    net.save_weights("saved.weights")
    return "saved.weights"


class Other:
    """A call in a thread of its own."""

    def __init__(self, call: Call, net: Network) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(call, net))
        self._thread.start()

    def _run(self, call: Call, net: Network) -> None:
        try:
            self.result = call(net)
        except Exception as error:
            self.error = error

    def come_as_far_as_it_can(self) -> None:
        """Wait until it has ended or waits for its turn."""
        while self._thread.is_alive():
            frame = sys._current_frames().get(self._thread.ident or 0)
            if frame is not None and frame.f_code is Guard._acquire.__code__:
                return

    def outcome(self) -> Any:
        self._thread.join()
        return self.result if self.error is None else self.error


def in_the_middle(net: Network, call: Call, patch: pytest.MonkeyPatch) -> list[Other]:
    """Let another thread do a call when a layer, or a step, has first computed something."""
    others: list[Other] = []
    mine = threading.current_thread()

    def interrupted(compute: Callable[..., Any]) -> Callable[..., Any]:
        def computed(*given: Any) -> Any:
            done = compute(*given)
            if not others and threading.current_thread() is mine:
                others.append(Other(call, net))
                others[0].come_as_far_as_it_can()
            return done

        return computed

    for owner, name in ((net.layers[1], "forward"), (NumpyStep, "__call__")):
        patch.setattr(owner, name, interrupted(getattr(owner, name)))
    return others


@pytest.mark.parametrize("second", READING)
@pytest.mark.parametrize("first", READING)
def test_calls_that_overlap_give_what_they_give_alone(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [READING[name](network()) for name in (first, second)]
    net = network()
    others = in_the_middle(net, READING[second], monkeypatch)
    assert [READING[first](net), others[0].outcome()] == alone


@pytest.mark.parametrize("name", ["train_batch", "predict", "reset_state", "load_weights"])
def test_a_change_waits_for_an_evaluation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = READING["evaluate"](network()), CHANGING[name](network())
    net = network()
    others = in_the_middle(net, CHANGING[name], monkeypatch)
    assert (READING["evaluate"](net), others[0].outcome()) == alone


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_many_threads_at_once(engine: str) -> None:
    """All of them set off together and change turns as often as the interpreter can."""
    calls = [*READING.values()] * 2
    alone = [call(network(engine)) for call in calls]
    net = network(engine)
    barrier = threading.Barrier(len(calls))

    def use(call: Call) -> Call:
        def together(net: Network) -> Any:
            barrier.wait()
            return [call(net) for _ in range(5)]

        return together

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        others = [Other(use(call), net) for call in calls]
        assert [other.outcome() for other in others] == [[result] * 5 for result in alone]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("name", [*READING, *CHANGING, *KEEPING])
def test_while_one_thread_trains_another_gets_an_error(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network()
    call = {**READING, **CHANGING, **KEEPING}[name]
    before = net.parameters.copy()
    found: list[Any] = []

    def interrupted(*datum: Any) -> float:
        found.append(Other(call, net).outcome())
        return 0.5

    monkeypatch.setattr(net.trainer, "train_datum", interrupted)
    assert net.train_batch(*draw_symbols(net)) == 0.5
    assert type(found[0]) is DarknetError
    assert "train_batch" in str(found[0])
    assert "\n" not in str(found[0])
    assert np.array_equal(net.parameters, before)
    # When it has returned, the network is free again.
    assert not isinstance(Other(call, net).outcome(), Exception)


@pytest.mark.parametrize("name", CHANGING)
def test_while_one_thread_predicts_no_other_changes_the_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = CHANGING["predict"](network())
    net = network()
    others = in_the_middle(net, CHANGING[name], monkeypatch)
    assert CHANGING["predict"](net) == alone
    assert type(others[0].outcome()) is DarknetError
    assert "predict" in str(others[0].outcome())


@pytest.mark.parametrize("name", [*READING, *KEEPING])
def test_while_one_thread_predicts_others_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = {**READING, **KEEPING}[name]
    alone = CHANGING["predict"](network()), call(network())
    net = network()
    others = in_the_middle(net, call, monkeypatch)
    assert CHANGING["predict"](net) == alone[0]
    if name in READING:
        assert others[0].outcome() == alone[1]
    assert not isinstance(others[0].outcome(), Exception)


@pytest.mark.parametrize("name", READING)
def test_the_thread_that_changes_a_network_may_use_it(name: str) -> None:
    net, other = network(), network()
    other.parameters[...] *= 0.5
    with net.holding(other.parameters.copy()):
        assert READING[name](net) == READING[name](other)
        assert isinstance(Other(READING[name], net).outcome(), DarknetError)
    assert READING[name](net) == READING[name](network())


def test_texts_that_are_written_in_turns() -> None:
    net = network()
    alone = [list(dn.generate(net, TEXT[:n], 30, seed=n)) for n in (3, 4)]
    drawn = zip(*(dn.generate(net, TEXT[:n], 30, seed=n) for n in (3, 4)), strict=True)
    assert [list(text) for text in zip(*drawn, strict=True)] == alone


def test_a_text_may_be_continued_by_another_thread() -> None:
    net = network()
    alone = list(dn.generate(net, TEXT[:5], 30))
    text = dn.generate(net, TEXT[:5], 30)
    begun = [next(text) for _ in range(4)]
    assert begun + Other(lambda _: list(text), net).outcome() == alone


@pytest.mark.parametrize("name", ["train_batch", "load_weights", "initialize", "take_parameters"])
def test_a_text_ends_where_the_parameters_change(name: str) -> None:
    net = network()
    session = Session(net, 3)
    session.feed(TEXT[:9])
    texts: list[Iterator[Any]] = [
        dn.generate(net, TEXT[:5], 30),
        trace(net, TEXT * 10),
        hidden_vectors(net, [b"1", b"2"]),
    ]
    for text in texts:
        next(text)
    CHANGING["predict"](net)
    session.probabilities()
    CHANGING[name](net)
    for text in texts:
        with pytest.raises(DarknetError, match="changed"):
            list(text)
    with pytest.raises(DarknetError, match="changed"):
        session.probabilities()
    session.reset()
    session.feed(TEXT[:9])
    fresh = Session(copy.copy(net), 3)
    fresh.feed(TEXT[:9])
    assert session.probabilities().tobytes() == fresh.probabilities().tobytes()


@pytest.mark.parametrize("name", ["evaluate", "generate", "train_batch", "predict"])
def test_another_network_is_free(name: str) -> None:
    net, call = network(), {**READING, **CHANGING}[name]
    for other in (network(), copy.copy(net), pickle.loads(pickle.dumps(net))):
        alone = call(copy.copy(other))
        with net.holding(net.parameters.copy()):
            assert Other(call, other).outcome() == alone


def test_two_networks_train_in_two_threads() -> None:
    def train(net: Network) -> bytes:
        for seed in range(30):
            net.train_batch(*draw_symbols(net, seed))
        return net.parameters.tobytes()

    alone = train(network())
    assert [other.outcome() for other in [Other(train, network()) for _ in range(3)]] == [alone] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = network()
    alone = READING["evaluate"](net)
    inside, forked = threading.Event(), threading.Event()

    def interrupted(*datum: Any) -> float:
        inside.set()
        forked.wait()
        return 0.5

    monkeypatch.setattr(net.trainer, "train_datum", interrupted)
    training = Other(CHANGING["train_batch"], net)
    inside.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if READING["evaluate"](net) == alone else 2
        finally:
            os._exit(code)
    forked.set()
    assert training.outcome() == 0.5
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
