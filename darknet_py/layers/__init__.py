"""The layers by the name of their section."""

from darknet_py.layers.activation import ActivationLayer
from darknet_py.layers.base import Layer, LossLayer
from darknet_py.layers.batchnorm import BatchnormLayer
from darknet_py.layers.connected import ConnectedLayer
from darknet_py.layers.cost import CostLayer
from darknet_py.layers.crnn import CrnnLayer
from darknet_py.layers.dropout import DropoutLayer
from darknet_py.layers.gru import GruLayer
from darknet_py.layers.logistic import LogisticLayer
from darknet_py.layers.lstm import LstmLayer
from darknet_py.layers.rnn import RnnLayer
from darknet_py.layers.softmax import SoftmaxLayer

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        RnnLayer,
        CrnnLayer,
        GruLayer,
        LstmLayer,
        ConnectedLayer,
        DropoutLayer,
        ActivationLayer,
        BatchnormLayer,
        SoftmaxLayer,
        LogisticLayer,
        CostLayer,
    )
}

__all__ = ["LAYERS", "Layer", "LossLayer"]
