"""The history of benchmarks: what is kept of a run, and compared with the last one."""

from __future__ import annotations

from pathlib import Path

from benchmarks import history
from benchmarks.bench import HEAD

CELLS = ["rnn 2x128", "9.7", "5.7", *"---", "not measured", "3.02 (2.88 to 3.16)", "-", "-"]


def test_numbers_are_what_cells_begin_with() -> None:
    found = history.numbers(HEAD, [*CELLS, "2.02 (2 to 2)", ""])
    assert found == {
        "numpy, ms": 9.7,
        "f32, ms": 5.7,
        "PyTorch f32 / f32": 3.02,
        "f32 / bare products": 2.02,
    }
    assert set(history.COMPARED) <= set(HEAD)


def test_a_run_is_compared_with_the_last_of_the_same_processor(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert history.last(path, "A") is None
    entries = []
    for processor, took in (("A", 4.0), ("A", 5.0), ("B", 9.0)):
        rows = {"rnn": {"f32, ms": took, "f32 / bare products": 2.0}}
        entries.append(history.entry(rows, processor, "2 cores"))
        history.append(path, entries[-1])
    before = history.last(path, "A")
    assert before == entries[1]
    new = history.entry({"rnn": {"f32, ms": 6.0}, "gru": {"f32, ms": 1.0}}, "A", "")
    assert list(history.comparison(new, before))[1:] == ["  rnn: f32, ms 5 -> 6 (+20%)"]
    assert list(history.comparison(new, history.last(path, "C"))) == [
        "no other run on this processor"
    ]
