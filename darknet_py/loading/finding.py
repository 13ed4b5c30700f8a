"""Finding the cfg that a weights file belongs to, and the weights file that a folder means."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path

from darknet_py.cfg import Cfg, bundled_cfgs, bundled_name, find_cfg, read_cfg
from darknet_py.checks import FILE, SEED, one_of
from darknet_py.dialect import DIALECTS
from darknet_py.errors import WeightsError
from darknet_py.files import WEIGHTS, newest
from darknet_py.loading.building import bundled_cfg_of, network_of_cfg, network_of_weights
from darknet_py.network import Network
from darknet_py.options import override
from darknet_py.weights import read_header

log = logging.getLogger(__name__)

# Keys of [net] with which a network predicts one stream, symbol by symbol.
ONE_STREAM = {"batch": 1, "time_steps": 1}

_SUFFIX = re.compile(r"(_final|_best|_[0-9]+)?\.weights$|\.backup$")
MUCH_NEWER = 2  # times the symbols trained on
# Of the files of a run, the ones to take, the first of them that is there.
WEIGHTS_SUFFIXES = ("_best.weights", "_final.weights", ".backup")


def trained_networks() -> dict[str, Path]:
    """The weights files that come with the package, by name (`tales`)."""
    package = Path(__file__).parent.parent
    folder = package / "trained"
    if not folder.is_dir():
        folder = package.parent / "data"
    return {file.stem: file for file in sorted(folder.glob("*.weights"))}


def _trained(path: str | os.PathLike[str]) -> Path | None:
    """The weights file that comes with the package under this name; None if a file has it, or a
    folder with weights.
    """
    place = Path(path)
    is_hidden = place.is_file() or any(
        file for suffix in (*WEIGHTS_SUFFIXES, ".weights") for file in place.glob(f"*{suffix}")
    )
    return None if is_hidden else trained_networks().get(os.fspath(path))


def _of_run(path: str | os.PathLike[str]) -> Path | None:
    """The weights file of the run DIR/NAME; None if something else is there."""
    if os.path.lexists(path) or not os.path.dirname(path):
        return None
    files = (Path(f"{os.fspath(path)}{suffix}") for suffix in WEIGHTS_SUFFIXES)
    return next(filter(Path.is_file, files), None)


def find_weights(path: str | os.PathLike[str]) -> Path:
    """`path`, or in a folder its best, else final, else backup file, else its only weights file;
    or that of the run DIR/NAME; or what comes with the package under this name.

    Raises WeightsError.
    """
    folder = Path(path)
    if (trained := _trained(path)) is not None:
        return trained
    if not folder.is_dir():
        if not folder.exists() and os.fspath(path) in bundled_cfgs():
            raise WeightsError(
                f"{path} is a bundled cfg, without weights; give the folder of a run, or train "
                f"it first: darknet-py train {path} mybook.txt"
            )
        return _of_run(path) or folder
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    for kind in (*WEIGHTS_SUFFIXES, ".weights"):
        found = [file for file in files if file.name.endswith(kind)]
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise WeightsError(
                f"{path} holds several networks ({names}): name one, e.g. {newest(found)}"
            )
        if found:
            return found[0]
    raise WeightsError(
        f"{path} holds no weights (*_best.weights, *_final.weights, *.backup or one *.weights); "
        f"give a weights file, or the folder of a run"
    )


def say_weights(path: Path, given: str | os.PathLike[str]) -> None:
    """Tell which file was found for what was given, and of a much later one."""
    if path == Path(given) or _trained(given) is not None:
        return
    log.info("weights: %s", path)
    say_newer(path)


def say_newer(best: Path) -> None:
    """Report if a stopped run trained far beyond the network that was its best when last scored,
    which may have been soon after its start.
    """
    backup = best.with_name(best.name.replace("_best.weights", ".backup"))
    if best.with_name(best.name.replace("_best.", "_final.")).exists():
        return
    with contextlib.suppress(WeightsError):
        times = read_header(backup).seen / max(1, read_header(best).seen)
        if times >= MUCH_NEWER:
            log.info(
                "%s is newer (%.1f times the training); name it to use it",
                *(backup, times),
            )


def cfg_beside(weights: str | os.PathLike[str]) -> Path:
    """Where the cfg of a weights file is looked for first."""
    path = Path(weights)
    return path.with_name(f"{_SUFFIX.sub('', path.name)}.cfg")


def state_beside(weights: str | os.PathLike[str]) -> Path:
    """Where the state of the run that made a weights file is, if it is anywhere."""
    return cfg_beside(weights).with_suffix(".state")


def find_cfg_of(
    weights: Path, cfg: str | os.PathLike[str] | None = None, how: str = "--cfg my.cfg"
) -> Cfg:
    """The cfg of a weights file: `cfg` if given, otherwise the one next to it, otherwise a bundled
    one that has exactly as many parameters. how: one is given, for the error. Raises WeightsError
    and CfgError.
    """
    if cfg is not None:
        return find_cfg(cfg)
    header = read_header(weights)
    beside = cfg_beside(weights)
    if beside.is_file():
        return read_cfg(beside)
    if (bundled := bundled_cfg_of(header.floats)) is not None:
        return read_cfg(bundled)
    raise WeightsError(
        f"{weights}: no cfg found for its {header.floats:,} parameters, neither next to it "
        f"({beside}) nor among the bundled ones ({', '.join(bundled_cfgs())}); give it: {how}"
    )


def open_network(
    weights: str | os.PathLike[str],
    cfg: str | os.PathLike[str] | None = None,
    dialect: str = "auto",
    option: str | None = "--cfg",
) -> Network:
    """The network of a weights file (or of a folder's best one), to run one stream at a time.

    If the file or its cfg had to be found, the logger names it, and the option that chooses
    another cfg, if there is one. Raises WeightsError and CfgError.
    """
    path = find_weights(weights)
    say_weights(path, weights)
    found = find_cfg_of(path, cfg, f"{option or '--cfg'} my.cfg")
    if cfg is None:
        say_cfg(found, option)
    single = override(found, ONE_STREAM, "one stream")
    return network_of_weights(single, path, dialect)


def load_network(
    cfg: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    dialect: str = "auto",
    **overrides: object,
) -> Network:
    """The network of a cfg (a path or a bundled name), from a weights file or newly drawn; or that
    of a weights file or of a run's folder, ready to predict one stream.

    cfg: if it is a weights file or a folder, its cfg is found as the commands find it. weights:
    a file, or the folder of a run.
    seed: as in `srand(seed)`, for the initial weights and the draws after them.
    dialect: `upstream` or `alexeyab`; `auto` is that of the file, or `dialect_of_new`.
    overrides: keys of `[net]`, or of layers like `**{"rnn.output": 512}`; `batch` alone sets
    `subdivisions` to 1.
    Raises CfgError and WeightsError.
    """
    seed = SEED.checked("seed", seed)
    dialect = one_of("auto", *DIALECTS).checked("dialect", dialect)
    place = FILE.checked("cfg", cfg)
    file = None if weights is None else find_weights(FILE.checked("weights", weights))
    if file is None and holds_weights(place):
        path = find_weights(place)
        how = f'load_network("my.cfg", {os.fspath(place)!r})'
        found = override(find_cfg_of(path, how=how), {**ONE_STREAM, **overrides})
        return network_of_cfg(found, path, seed, dialect)
    return network_of_cfg(override(find_cfg(place), overrides), file, seed, dialect)


def holds_weights(source: str | os.PathLike[str]) -> bool:
    """Whether `source` is a folder or file of weights, rather than a cfg: by name, then content.

    A folder with the name of a bundled cfg counts only if there are weights in it.
    """
    path = Path(source)
    if _trained(source) is not None:
        return True
    if path.is_dir() and os.fspath(source) in bundled_cfgs():
        return any(file for suffix in WEIGHTS_SUFFIXES for file in path.glob(f"*{suffix}"))
    if path.is_dir() or path.suffix in WEIGHTS:
        return True
    if path.suffix == ".cfg" or not path.exists():
        return _of_run(source) is not None
    try:
        read_header(path)
    except WeightsError:
        return False
    return True


def say_cfg(found: Cfg, option: str | None = "--cfg") -> None:
    """Tell which bundled cfg was found for a weights file that has none next to it.

    option: that chooses another.
    """
    if name := bundled_name(found.path):
        end = "" if option is None else f"; {option} chooses another"
        log.info(
            "using %s, which comes with darknet-py, chosen by the number of parameters%s", name, end
        )
