"""Run as a program by test_forks.py: a Huey whose process forks, by hand and as a consumer with process workers.

Argument: JSON with `class`, `name` and `options` of the Huey. Prints JSON: which server-side connections each
process used, and what the tasks returned.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import harness.storages


def connection_ids(storage: Any) -> list[str]:
    """What the server calls the connection that this process's pool gives out for the queue (port, CLIENT ID)."""
    client = storage.conn
    if hasattr(client, "get_node_from_key"):
        client = client.get_node_from_key(storage.queue_key).redis_connection
    found = [f"{client.info('server')['tcp_port']}:{client.client_id()}"]
    if hasattr(storage, "wire"):
        line = storage.wire._take()
        line.connection.send_command("CLIENT", "ID")
        found.append(f"{line.connection.port}:{line.connection.read_response()}")
        storage.wire._give(line)
    return found


def forked_by_hand(storage: Any, children: int) -> dict[str, list[str]]:
    """Fork while another thread uses the storage; nobody closes it first."""
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            storage.incr("hammered")

    thread = threading.Thread(target=hammer, daemon=True)
    thread.start()
    used = {str(os.getpid()): connection_ids(storage)}
    for _ in range(children):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            storage.enqueue(b"x")
            os.write(write, json.dumps(connection_ids(storage)).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as answer:
            used[str(pid)] = json.loads(answer.read())
        assert os.waitpid(pid, 0)[1] == 0
    stop.set()
    thread.join()
    used[str(os.getpid())] += connection_ids(storage)
    assert storage.queue_size() == children
    storage.flush_all()
    return used


def process_workers(huey: Any, tasks: int) -> dict[str, Any]:
    @huey.task()
    def where(number: int) -> list[Any]:
        return [number, os.getpid(), connection_ids(huey.storage)]

    huey.pending_count()
    parent = connection_ids(huey.storage)
    consumer = huey.create_consumer(workers=2, worker_type="process", periodic=False)
    consumer.start()
    results = [where(number) for number in range(tasks)]
    answers = [result.get(blocking=True, timeout=20, preserve=True) for result in results]
    consumer.stop(graceful=True)
    return {"parent": [os.getpid(), parent + connection_ids(huey.storage)], "answers": answers}


def main() -> None:
    given = json.loads(sys.argv[1])
    huey = getattr(harness.storages, given["class"])(given["name"], **given["options"])
    by_hand = forked_by_hand(huey.storage, children=4)
    print(json.dumps({"by_hand": by_hand, "workers": process_workers(huey, tasks=20)}))


if __name__ == "__main__":
    main()
