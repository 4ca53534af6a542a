"""Where `counterfoil` begins: a missing dependency is one sentence, not a traceback."""

import sys


def main() -> None:
    """Run the command line; exits with 1 when something that it needs is not installed."""
    try:
        from overlay.node.cli import main as command_line
    except ImportError as error:
        print(f"counterfoil: '{error.name}' is not installed or broken: run scripts/bootstrap", file=sys.stderr)
        sys.exit(1)
    command_line(prog_name="counterfoil")


if __name__ == "__main__":
    main()
