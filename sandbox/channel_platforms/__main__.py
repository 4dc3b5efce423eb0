"""`python -m sandbox.channel_platforms`: see process.py."""

import sys

from sandbox.channel_platforms.process import main

if __name__ == "__main__":
    sys.exit(main())
