"""``python -m experiments [--force] [--quick] [names …]``: the job behind ``make reproduce``."""

from experiments._reproduce import main

if __name__ == "__main__":
    raise SystemExit(main())
