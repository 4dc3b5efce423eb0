"""Everything that stands around the departments besides the province, in one process to keep the sandbox light.

Identity platforms of other provinces and of the line (`sandbox.dialects`), and the platforms behind the channels
(`sandbox.channel_platforms`), each on a port of its own.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from sandbox.channel_platforms import create_channel_platforms
from sandbox.dialects import create_dialects, create_national
from sandbox.serving import serve_several


def main(arguments: list[str] | None = None) -> int:
    """Run all of them as a process; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.platforms", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="TCP port of the provincial dialects")
    parser.add_argument("--national-port", type=int, required=True, help="TCP port of the national platform")
    parser.add_argument("--channels-port", type=int, required=True, help="TCP port of the channels' platforms")
    parser.add_argument("--channel-keys", type=Path, required=True, metavar="FOLDER", help="Alipay's sample keys")
    parser.add_argument("--edge", required=True, help="base address that the TIF gateway hands requests on to")
    options = parser.parse_args(arguments)
    try:
        apps = {
            "national": (create_national(), options.national_port),
            "channels": (create_channel_platforms(options.channel_keys), options.channels_port),
            "dialects": (create_dialects(options.edge), options.port),
        }
        asyncio.run(serve_several(apps, options.host))
    except OSError as error:
        print(f"platforms: {error.filename or 'cannot listen'}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
