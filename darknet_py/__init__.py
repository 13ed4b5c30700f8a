"""darknet's character-level recurrent networks in Python."""

from darknet_py.network import Network, load_network

__version__ = "0.1.0"
__all__ = ["Network", "load_network"]
