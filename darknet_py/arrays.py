"""Names for the shapes of arrays; to a type checker all are arrays of any dtype."""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

# (time_steps, streams), integers: the number of a symbol in each.
Codes: TypeAlias = NDArray[Any]
# (time_steps, streams, features), floats.
Steps: TypeAlias = NDArray[Any]
# (rows, features), floats; a row is one stream in one time step.
Rows: TypeAlias = NDArray[Any]
# All numbers of a network, one after another in the order of the weights file.
Flat: TypeAlias = NDArray[Any]
