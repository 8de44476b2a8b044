"""The entry point: `stepup`, and `python -m stepup`."""

from stepup.cli.main import stepup


def main() -> None:
    """Run the command line."""
    stepup(prog_name="stepup")


if __name__ == "__main__":
    main()
