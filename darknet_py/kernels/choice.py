"""Which kernels compute: numpy's, or the compiled ones where they are installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from darknet_py.errors import DarknetError
from darknet_py.kernels import plain as kernels


@contextmanager
def use_kernels(choice: str) -> Iterator[str]:
    """Compute with the kernels of this name within; gives the name of those in use.

    choice: "numpy"; "compiled", which needs the extra `fast`; "auto", compiled where they can be
    had. Raises DarknetError where they cannot.
    """
    if choice == "numpy":
        yield "numpy"
        return
    try:
        from darknet_py.kernels.compiled import passes as compiled
    except ImportError as error:
        if choice == "compiled":
            raise DarknetError(
                f"compiled kernels: {error}: expected the extra `fast`: "
                f"pip install 'darknet-py[fast]'"
            ) from error
        yield "numpy"
        return
    with kernels.replaced(compiled.TWINS):
        yield "compiled"
