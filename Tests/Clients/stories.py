"""What the client stories share: a place to register them, and a way to run them against one server."""

import sys
import traceback

stories = []


def story(function):
    stories.append(function)
    return function


def run(make_client):
    """Runs every story over RESP2 and RESP3, each on an empty database; exits with 1 if one fails."""
    failed = 0
    for protocol in (2, 3):
        for function in stories:
            client = make_client(protocol)
            client.flushall()
            try:
                function(client)
                print(f"ok   RESP{protocol} {function.__name__}")
            except Exception:
                failed += 1
                print(f"FAIL RESP{protocol} {function.__name__}")
                traceback.print_exc(file=sys.stdout)
            finally:
                client.close()
    sys.exit(1 if failed else 0)
