"""`python -m darknet_py` is `darknet-py`."""

from darknet_py.cli import main

if __name__ == "__main__":
    main()
