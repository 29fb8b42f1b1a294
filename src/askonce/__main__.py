"""`python -m askonce` and the `askonce` command."""

from askonce.cli import cli

__all__ = ["main"]


def main() -> None:
    """Runs the command line."""
    cli(prog_name="askonce")


if __name__ == "__main__":
    main()
