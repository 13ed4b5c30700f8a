"""`train`, the run of `darknet-py train` as a function."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from darknet_py.cfg import Cfg
from darknet_py.checks import FILE, FUNCTION, path
from darknet_py.errors import TrainingError
from darknet_py.inference.generation import Progress as ScoringProgress
from darknet_py.parallel.mpi import find_communicator
from darknet_py.training import automatic
from darknet_py.training.build import build
from darknet_py.training.interruption import Interruption
from darknet_py.training.introduction import introduction
from darknet_py.training.loop import train_run
from darknet_py.training.plan import make_plan, take_network
from darknet_py.training.progress import Progress
from darknet_py.training.resume import find_previous
from darknet_py.training.run import Result, Row
from darknet_py.training.settings import OPTIONS, OnResume, Settings

log = logging.getLogger(__name__)

_TEXT = path(words="a path, or a text as bytes, as text.encode() gives it")


def train(
    cfg: str | os.PathLike[str] | Cfg | None = None,
    data: str | os.PathLike[str] | bytes | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    weights: str | os.PathLike[str] | None = None,
    weights_layers: Mapping[int, int] | None = None,
    weights_cfg: str | os.PathLike[str] | None = None,
    clear: bool = False,
    batches: int | None = None,
    seconds: float | None = None,
    overrides: Mapping[str, object] | None = None,
    seed: int | None = None,
    val: float | str | os.PathLike[str] | None = None,
    val_from: str | None = None,
    val_every: int | None = None,
    patience: int | None = None,
    save_every: int | None = None,
    sample_every: int | None = None,
    state: str | None = None,
    dialect: str | None = None,
    gradient: str | None = None,
    tokenized: bool = False,
    threads: int | None = None,
    engine: str | None = None,
    precision: str | None = None,
    plot: bool = False,
    profile: bool = False,
    callback: Callable[[Row], object] | None = None,
    stop: Callable[[], bool] | None = None,
    scoring: ScoringProgress | None = None,
    progress: bool = False,
) -> Result:
    """Train the network of `cfg` on a text: the run of `darknet-py train`.

    cfg: a file, a bundled name, `auto` for one chosen by the text, the time and the machine, or a
    trained network (its file, the folder of its run or `tales`) to train on another text.
    data: a file, a folder, `-` for stdin, or the text itself as bytes. out: where its files go;
    those of an earlier run with this name are moved to a folder old-1, old-2, ... there.

    The parameters are the command's options, and None stands for its default; `seconds` is its
    `--time`, `overrides` its `--set`. engine: `auto`, `numpy` or `compiled`;
    precision: `auto`, `f32` or `bf16`.
    weights_layers: if only some layers of `weights` are taken: for each layer of the new network
    the one that it starts from; `weights_cfg` describes them.
    resume: continue the run in `out` where it stopped, or the one whose folder, file or name is
    given as `cfg`; what is not given is as it was. The cfg
    and the texts must be those of the run, unless `accept_changes`.
    callback: called after every batch, and once more if a run that is stopped has its last
    network validated. stop: asked before the first batch and after every one;
    true ends the run as Ctrl-C does, with everything saved. It is asked during the score of the
    best network at the end too, and then ends that. scoring: called as that score proceeds, with
    the symbols scored and the number of all. progress: show how the run proceeds on stderr; Ctrl-C
    then finishes the batch and saves the run before KeyboardInterrupt is raised.
    Messages go to the logger `darknet_py`. They name the command's options: `--val-every` is the
    argument val_every.
    Raises ValueError for an argument that it cannot have, CfgError, CorpusError and WeightsError
    before the first batch, TrainingError and OSError also later.
    """
    arguments = dict(locals())  # By name, since Settings has a field for each option.
    settings = Settings(**{option.name: arguments[option.name] for option in OPTIONS})
    source = cfg if cfg is None or isinstance(cfg, Cfg) else FILE.checked("cfg", cfg)
    text = data if data is None or isinstance(data, bytes) else _TEXT.checked("data", data)
    for name in ("callback", "stop", "scoring"):
        if arguments[name] is not None:
            FUNCTION.checked(name, arguments[name])
    _check_together(settings)
    with ExitStack() as stack:
        comm, previous = find_communicator(), None
        if settings.resume:
            previous = find_previous(settings, source, comm, stack)
            plan = make_plan(settings, previous.cfg, previous.plan, comm)
        else:
            if source is None or text is None:
                raise TrainingError("a new run needs a cfg and a text to train on")
            if source == automatic.NAME and not os.path.exists(source):
                source = automatic.choose_network(text, settings, comm)
            source, settings = take_network(source, settings)
            plan = make_plan(settings, source, None, comm)
        run = build(plan, settings, text, previous, comm, stack)
        if log.isEnabledFor(logging.INFO):
            for line in introduction(run):
                log.info(line)
        if not progress:
            return train_run(run, profile, callback, stop, scoring)
        with Interruption(only_keys=True) as interruption, Progress() as shown:

            def both(row: Row) -> None:
                shown(row)
                if callback is not None:
                    callback(row)

            def either() -> bool:
                asked = interruption.asked()
                return (stop is not None and stop()) or asked

            shown_score = interruption.scoring(scoring or shown.scoring)
            result = train_run(run, profile, both, either, shown_score)
        if interruption.is_asked:
            folder = str(result.weights.parent)
            raise KeyboardInterrupt(
                f"{result.ended}; saved {result.weights}: train(resume=True, out={folder!r}) "
                f"continues"
            )
        return result


def _check_together(settings: Settings) -> None:
    """Raise TrainingError for options that need others or exclude them."""
    for_new = [each for each in OPTIONS if each.resume is OnResume.NEW]
    given = [each.flag for each in for_new if getattr(settings, each.name)]
    if settings.weights_cfg is not None and None in (settings.weights_layers, settings.weights):
        raise TrainingError("--weights-cfg needs --weights and --weights-layers")
    if settings.weights_layers is not None and settings.weights is None:
        raise TrainingError("--weights-layers needs --weights")
    if settings.accept_changes and not settings.resume:
        raise TrainingError("--accept-changes needs --resume")
    if settings.resume and given:
        raise TrainingError(
            f"--resume continues from BASE.state, with its own weights; leave out "
            f"{', '.join(given)}"
        )
