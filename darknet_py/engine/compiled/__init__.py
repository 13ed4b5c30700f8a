"""What numba compiles of the engine. A change of any file here compiles it all again."""
