"""The program: `darknet-py`, and `python -m darknet_py`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it as later."""
    try:
        from darknet_py.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
