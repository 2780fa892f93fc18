"""Exit 0 where the server in this container answers, 1 where it does not; asks nothing else of it.

By the standard library alone, and without proxies that the environment may name: it runs every ten
seconds.
"""

from __future__ import annotations

import http.client
import sys

PORT = 8000
TIMEOUT_S = 3


def is_healthy() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_healthy() else 1)
