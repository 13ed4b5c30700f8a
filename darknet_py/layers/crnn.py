"""The convolutional recurrent layer, on text.

Text is an image of 1 x 1, so a convolution is one matrix: of its taps only the middle one, `W`,
ever sees a number, and the rest of a 3 x 3 kernel lies over nothing.

    a_t = f(W_i x_t + b_i)            input layer
    b_t = f(W_s s_{t-1} + b_s)        self layer
    s_t = a_t + b_t  (+ s_{t-1} with shortcut=1)
    y_t = f(W_o s_t + b_o)            output layer

These are the lines of `[rnn]`, whose walk through time this layer takes over; what differs are the
parameters, their order in a file, and the product, forward and backward, by the middle tap.
Upstream's kernels are 3 x 3, AlexeyAB's are `size` x `size`. Formulas: darknet's `crnn_layer.c` and
`convolutional_layer.c`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from darknet_py.activations import ACTIVATIONS, Activation
from darknet_py.arrays import Array, Rows
from darknet_py.cfg import Section
from darknet_py.dialect import ALEXEYAB, UPSTREAM, Dialect
from darknet_py.layers.base import Parameter, Setting
from darknet_py.layers.connected import Connected, orthogonal
from darknet_py.layers.norm import Norm
from darknet_py.layers.product import Product
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.workspace import Shapes, Workspace
from darknet_py.rand import Rand

OF_UPSTREAM = ("output_filters", "hidden_filters")
OF_ALEXEYAB = (
    *("output", "hidden", "size", "groups"),
    *("pad", "padding", "stride", "dilation", "xnor"),
)


@dataclass
class Kernel(Parameter):
    """The weights of a convolution, (outputs, inputs / groups, size, size).

    tap: the middle one, (outputs, inputs / groups), a view.
    """

    tap: Parameter = field(default_factory=lambda: Parameter("tap", ()))

    def bind(self, span: slice, values: Array, updates: Array) -> None:
        super().bind(span, values, updates)
        middle = self.shape[-1] // 2
        self.tap.values = self.values[:, :, middle, middle]
        self.tap.updates = self.updates[:, :, middle, middle]


def blocks(shape: tuple[int, ...], groups: int) -> Iterator[tuple[slice, slice]]:
    """The outputs of each group, and its inputs, for a tap of this shape."""
    outputs, inputs = shape
    height = outputs // groups
    for group in range(groups):
        yield (
            slice(group * height, (group + 1) * height),
            slice(group * inputs, (group + 1) * inputs),
        )


class TapProduct(Product):
    """x W^T, where W is a tap of a kernel; with groups the blocks of the diagonal of a matrix.

    Group g of the outputs sees group g of the inputs alone. A tap of 3 x 3 does not lie in one
    piece, so it is copied before a forward.
    """

    def __init__(self, weights: Parameter, groups: int, buffers: Workspace) -> None:
        super().__init__(weights, False, buffers)
        self.groups = groups

    def shapes(self) -> Shapes:
        return dict.fromkeys(("tap", "product"), self.weights.shape)

    def prepare(self, pays: bool) -> None:
        self.matrix = self.buffer("tap")
        np.copyto(self.matrix, self.weights.values)

    def forward(self, x: Array, out: Rows) -> None:
        for above, below in blocks(self.weights.shape, self.groups):
            np.matmul(x[:, below], self.matrix[above].T, out=out[:, above])

    def backward(self, delta: Rows, below: Rows) -> None:
        for above, inputs in blocks(self.weights.shape, self.groups):
            np.matmul(delta[:, above], self.matrix[above], out=below[:, inputs])

    def add_updates(self, x: Array, delta: Rows) -> None:
        product = self.buffer("product")
        for above, below in blocks(self.weights.shape, self.groups):
            np.matmul(delta[:, above].T, x[:, below], out=product[above])
        self.weights.updates += product


class Convolution(Connected):
    """A convolution of an image of 1 x 1, which `[crnn]` is built from.

    In a weights file its kernel comes last, behind the batch norm. The rolling statistics move as
    those of a `[batchnorm]` section do.
    """

    def __init__(
        self,
        name: str,
        sizes: tuple[int, int],
        activation: Activation,
        batch_normalize: bool,
        setting: Setting,
        kernel: tuple[int, int],
        stepwise: bool,
    ) -> None:
        """sizes: inputs and outputs. kernel: its size and groups."""
        super().__init__(name, sizes, activation, batch_normalize, setting, stepwise=stepwise)
        inputs, outputs = sizes
        self.size, self.groups = size, groups = kernel
        self.weights.shape = (outputs, inputs // groups)
        self.kernel = Kernel(
            f"{name}.weight",
            (*self.weights.shape, size, size),
            decayed=True,
            recurrent=stepwise,
            gaussian=setting.dialect == UPSTREAM,
            tap=self.weights,
        )
        if kernel != (1, 1):  # Otherwise the kernel is a matrix as it is.
            self.product = TapProduct(self.weights, groups, self.buffers)
        if isinstance(self.norm, Norm):
            self.norm.rolling.share = setting.dialect.rolling_batchnorm

    def parameters(self) -> list[Parameter]:
        return [self.norm.biases, *self.norm.after_weights(), self.kernel]

    def initialize(self, rand: Rand) -> None:
        """darknet's: weights of +-sqrt(2 / (size size inputs)), in upstream's from the normal
        distribution, in AlexeyAB's uniform; biases 0, scales 1.
        """
        kernel = self.kernel
        bound = np.float32(np.sqrt(2.0 / (self.size**2 * kernel.shape[1])))
        draws = rand.normal(kernel.size) if kernel.gaussian else rand.uniform(-1, 1, kernel.size)
        kernel.values[...] = (bound * draws).reshape(kernel.shape)
        if self.setting.options.init == "orthogonal" and self.stepwise:
            for rows in np.split(self.weights.values, self.groups):
                rows[...] = orthogonal(rows)
        self.norm.initialize()

    def operations(self) -> int:
        return self.outputs * (2 * self.inputs // self.groups + 2)

    def matrix(self) -> Array:
        """(outputs, inputs), with zeros where groups do not meet."""
        if self.groups == 1:
            return np.ascontiguousarray(self.weights.values)
        matrix = np.zeros((self.outputs, self.inputs), self.weights.values.dtype)
        for above, below in blocks(self.weights.shape, self.groups):
            matrix[above, below] = self.weights.values[above]
        return matrix


class CrnnLayer(RnnLayer):
    """`[crnn]`: three convolutions around a state of `(streams, hidden)`."""

    kind = "crnn"
    takes_symbols = False

    def read_sizes(self, section: Section, setting: Setting) -> tuple[int, int]:
        _check_image(section, setting)
        outputs, hidden, self.kernel_size, self.groups = _sizes(section, setting.dialect)
        return outputs, hidden

    def make_linears(self, section: Section, setting: Setting) -> list[Connected]:
        f = ACTIVATIONS[section.choice("activation", "logistic", ACTIVATIONS)]
        kernel = self.kernel_size, self.groups

        def convolution(part: str, inputs: int, outputs: int) -> Convolution:
            if inputs % self.groups or outputs % self.groups:
                raise section.error(
                    f"groups={self.groups} does not divide the {inputs} inputs and {outputs} "
                    f"outputs of its {part} layer",
                    "groups",
                )
            name, sizes, norm = f"{self.index}.{part}", (inputs, outputs), self.batch_normalize
            return Convolution(name, sizes, f, norm, setting, kernel, stepwise=part == "self")

        n = self.hidden
        return [
            convolution("input", self.inputs, n),
            convolution("self", n, n),
            convolution("output", n, self.outputs),
        ]


def _check_image(section: Section, setting: Setting) -> None:
    """Raise CfgError if the layer would stand on an image that is not 1 x 1."""
    if setting.image not in (None, (1, 1, setting.inputs)):
        sizes = " x ".join(map(str, setting.image or ()))
        raise section.error(
            f"stands on an image of {sizes} (height x width x channels); supported is text, an "
            f"image of 1 x 1 x {setting.inputs}: give inputs={setting.inputs} instead"
        )


def _sizes(section: Section, dialect: Dialect) -> tuple[int, int, int, int]:
    """Outputs, hidden, size and groups, by the keys of upstream or of AlexeyAB's program.

    If a section has keys of both, those of the dialect. Raises CfgError, even for a kernel that
    leaves no image of 1 x 1, or is of another arithmetic.
    """

    def positive(key: str, default: int = 1) -> int:
        return section.integer(key, default, minimum=1)

    # All are read, so that none of them counts as unknown.
    outputs, hidden = map(positive, OF_UPSTREAM)
    others = positive("output"), positive("hidden"), positive("size", 3), positive("groups")
    for key in ("stride", "dilation"):  # On one pixel they change nothing.
        positive(key)
    size, padding = others[2], section.integer("padding", 0)
    if section.flag("pad"):
        padding = size // 2
    is_binary = section.flag("xnor")
    if not uses_keys_of_alexeyab(section, dialect):
        return outputs, hidden, 3, 1
    if (size, padding) not in ((1, 0), (3, 1)):
        raise section.error(
            f"size={size} with a padding of {padding} does not leave the image of 1 x 1 that text "
            f"is; supported are size=1, and size=3 with pad=1",
            *("size", "pad", "padding"),
        )
    if is_binary:
        raise section.error("xnor=1 (weights of one bit) is not supported; give xnor=0", "xnor")
    return others


def uses_keys_of_alexeyab(section: Section, dialect: Dialect | None = None) -> bool:
    """Whether AlexeyAB's keys describe a [crnn]; dialect: decides if it has those of both."""
    theirs = any(key in section.options for key in OF_ALEXEYAB)
    upstreams = any(key in section.options for key in OF_UPSTREAM)
    return dialect == ALEXEYAB if theirs == upstreams else theirs
