"""C-exact: what the C program computes on a CPU, bit for bit.

`Network` trains with the exact gradient, in whatever order of sums is fast. This package walks as
darknet's layers walk, one step of one connected layer at a time, in the C program's arithmetic and
with its deviations from the exact gradient, so that a training log comes out digit for digit and
the final weights bit for bit. It works on the parameters of a `Network`, in place.

    arithmetic.py   sums and products in the order of the C loops, each operation rounded to f32
    activations.py  the fourteen functions, rounded where each C program rounds
    expf.py         the C library's e^x in f32, which AlexeyAB's program takes
    base.py         what a layer is: forward, backward, update
    connected.py    the connected layer and its batch norm, of which recurrent ones are built
    rnn.py          darknet's plain recurrent layer
    crnn.py         the convolutional one, on text, forward only
    gates.py        gru and lstm, forward only: the C program cannot train them on a CPU
    small.py        softmax, logistic, cost, dropout, activation, batchnorm
    rates.py        the learning-rate policies
    make.py         from the sections of a cfg to layers
    network.py      CNetwork: training on a datum, predicting a symbol
    training.py     the loop of `rnn train`, its log and its files
    text.py         what `rnn generate|valid|vec` print
"""

from darknet_py.c_exact.network import CNetwork

__all__ = ["CNetwork"]
