"""``python -m floatlab.cli`` is the floatlab command."""

from floatlab.cli import main

if __name__ == "__main__":
    main()
