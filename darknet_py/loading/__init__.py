"""From a name, a cfg and a weights file to a network."""
