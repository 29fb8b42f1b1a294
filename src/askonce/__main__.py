"""`python -m askonce` and the `askonce` command."""

import os

# A verdict multiplies small matrices: BLAS threads that wait for one another on busy cores make half a millisecond
# of it thirty. Read when numpy is first imported, so before anything else.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from askonce.cli import cli

__all__ = ["main"]


def main() -> None:
    """Runs the command line."""
    cli(prog_name="askonce")


if __name__ == "__main__":
    main()
