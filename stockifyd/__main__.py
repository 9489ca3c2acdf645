"""`python -m stockifyd`: the command line."""

from stockifyd.cli.main import main

if __name__ == "__main__":
    main(prog_name="stockifyd")
