"""The load generator, `nexuscache bench`: one program for every server and protocol."""

import json
import subprocess

from . import machine
from .servers import NEXUSCACHE


def run(server, **options):
    """Runs the generator against a server; answers its figures.

    Underscores stand for hyphens, True is a switch, and a list gives the option once for each of its values. A server
    without a port is asked where the options say.
    """
    address = ["--port", str(server.port)] if server.port else []
    protocol = options.pop("protocol", server.protocol)
    command = [
        NEXUSCACHE, "bench", *address, "--protocol", protocol, "--server-pid", ",".join(map(str, server.pids)),
        "--json",
    ]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif isinstance(value, list):
            for one in value:
                command += [flag, str(one)]
        elif value is not False and value is not None:
            command += [flag, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=machine.placed("generator"))
    if done.returncode != 0 and not done.stdout.strip():
        raise RuntimeError(f"{server.name}: {done.stderr.strip()}\n  {' '.join(command)}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def load(server, keys, **options):
    """Writes each key once."""
    settings = {"op": "load", "keys": keys, "pipeline": 64, "connections": 8, "spin": True, **options}
    result = run(server, **settings)
    if result["errors"]:
        machine.note(f"{server.name} refused {result['errors']} writes: {result.get('first_error')}")
    return result
