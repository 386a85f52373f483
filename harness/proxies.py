"""The proxies of a run: each link that a fault may poison passes through Toxiproxy from before its first connection.

toxiproxy-python speaks to it. That library keeps the server's address on a class, sets no time-out, and lets most of
the server's errors pass; so at each call it is given a session of ours, in which every request is bounded, goes to
these proxies' own Unix socket, and fails where the server says no; and what is set is read back.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import requests
import toxiproxy
import toxiproxy.api
from docker.transport.unixconn import UnixHTTPAdapter

from harness.faults import Link, Stream
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeSpec, NodeState, Runtime, Way
from harness.runtimes.specs import INDEX_MAX
from harness.runtimes.toxiproxy import SOCKET, find_toxiproxy

#: Toxiproxy answers late, or 503, when a toxic is removed that has traffic in it: then the proxy is made anew.
_CALL_TIMEOUT_S = 1.0
_START_TIMEOUT_S = 15.0
_FIRST_PORT = 20_000


class Proxies:
    """Toxiproxy in a node of its own. A context manager: after it, all links are direct again."""

    def __init__(self, runtime: Runtime, links: Iterable[tuple[Node, Node, int]]) -> None:
        self._runtime = runtime
        self._ways = [Way(a, b, port, _FIRST_PORT + i) for i, (a, b, port) in enumerate(links)]
        self._node: Node | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self._api = toxiproxy.Toxiproxy()
        #: The library would list all proxies to find one.
        self._proxies: dict[Link, Any] = {}

    def __enter__(self) -> Proxies:
        binary = find_toxiproxy()
        workdir = self._runtime.root / "proxies"
        shutil.rmtree(workdir, ignore_errors=True)
        workdir.mkdir()
        spec = NodeSpec(
            name="toxiproxy",
            index=INDEX_MAX,
            program="python",
            args=("-m", "harness.runtimes.toxiproxy", str(binary)),
            workdir=workdir,
            mounts=(binary,),
            forwards=True,
        )
        self._node = node = self._runtime.node(spec)
        try:
            node.start()
            self._session.mount("http://", UnixHTTPAdapter(f"http+unix://{workdir / SOCKET}", timeout=_CALL_TIMEOUT_S))
            self._wait_answers(str(workdir / SOCKET))
            self._create(self._ways)
            self._runtime.detour(node, self._ways)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._node is not None:
            node, self._node = self._node, None
            if node.state() is NodeState.RUNNING:
                self._runtime.detour(node, ())
            node.remove()
        self._session.close()

    def poison(self, link: Link, toxic: str, stream: Stream, name: str, attributes: Mapping[str, int]) -> None:
        """Add a toxic to a link, and see that it is there as it was meant. Raises HarnessError."""
        proxy = self._proxy(link)
        self._told(lambda: proxy.add_toxic(type=toxic, stream=stream, name=name, attributes=dict(attributes)))
        there = self._told(proxy.toxics).get(name)
        if there is None or (there.type, there.stream, there.attributes) != (toxic, stream, dict(attributes)):
            raise HarnessError(f"Toxiproxy was given {toxic} {dict(attributes)} for {_name(link)} and does not have it")

    def cure(self, link: Link, name: str) -> None:
        """Take a toxic off a link; a proxy that will not let go of it is replaced. None there is no error."""
        proxy = self._proxy(link)
        try:
            if name in self._told(proxy.toxics):
                self._told(lambda: proxy.destroy_toxic(name))
        except HarnessError:
            self._replace(link, without=name)

    def toxics(self, link: Link) -> frozenset[str]:
        """The names of the toxics that a link has now. Raises HarnessError."""
        return frozenset(self._told(self._proxy(link).toxics))

    def _replace(self, link: Link, *, without: str) -> None:
        """A new proxy in the place of one; the other toxics of the old one are set again."""
        old = self._proxy(link)
        try:
            left = [toxic for toxic in self._told(old.toxics).values() if toxic.name != without]
        except HarnessError:
            left = []
        self._told(old.destroy)
        self._create([self._way(link)])
        for toxic in left:
            self._told(lambda toxic=toxic: self._proxy(link).add_toxic(**vars(toxic)))

    def _way(self, link: Link) -> Way:
        for way in self._ways:
            if (way.source.spec.name, way.target.spec.name, way.port) == link:
                return way
        raise HarnessError(f"{_name(link)} does not pass through a proxy in this run")

    def _proxy(self, link: Link) -> Any:
        self._way(link)
        return self._proxies[link]

    def _create(self, ways: Sequence[Way]) -> None:
        """Make these proxies, and see that all are as they were meant."""
        assert self._node is not None
        wanted: dict[str, tuple[str, str, bool]] = {}
        for way in ways:
            link = way.source.spec.name, way.target.spec.name, way.port
            name = _name(link)
            listen, upstream = f"{self._node.address}:{way.proxy_port}", f"{way.target.address}:{way.port}"
            wanted[name] = listen, upstream, True
            create = partial(self._api.create, upstream=upstream, name=name, listen=listen, enabled=True)
            self._proxies[link] = self._told(create)
        there = self._told(self._api.proxies)
        for name, meant in wanted.items():
            found = there.get(name)
            if found is None or (found.listen, found.upstream, found.enabled) != meant:
                raise HarnessError(f"Toxiproxy was told to make {name}, {meant[0]} to {meant[1]}, and has not")

    def _wait_answers(self, path: str) -> None:
        assert self._node is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                # The session would not close a socket that nobody listens to.
                with socket.socket(socket.AF_UNIX) as trial:
                    trial.connect(path)
                self._told(self._api.proxies)
                return
            except (OSError, HarnessError):
                pass
            if self._node.state() is NodeState.EXITED:
                said = self._node.log_path.read_text(errors="replace").strip()
                raise HarnessError(f"Toxiproxy ended at its start (exit {self._node.exit_status()}): {said[-500:]}")
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {_START_TIMEOUT_S:g} s for Toxiproxy to answer at its start")
            time.sleep(0.005)

    def _told(self, ask: Any) -> Any:
        """What the library answers. Raises HarnessError for whatever goes wrong in it."""
        # The library has one place for it, and other topologies may have proxies of their own.
        toxiproxy.api.requests = _bounded(self._session)
        try:
            return ask()
        except (requests.RequestException, ValueError, KeyError, toxiproxy.exceptions.ProxyExists) as error:
            raise HarnessError(f"Toxiproxy: {error}") from error
        except (toxiproxy.exceptions.NotFound, toxiproxy.exceptions.InvalidToxic) as error:
            raise HarnessError(f"Toxiproxy: {error}") from error


def _name(link: Link) -> str:
    source, target, port = link
    return f"{source}-{target}-{port}"


def _bounded(session: requests.Session) -> SimpleNamespace:
    """What the library takes for the module `requests`: that session, bounded, which lets no error of the server's pass
    but those that the library tells apart."""

    def call(method: str) -> Any:
        def request(**arguments: Any) -> requests.Response:
            response = session.request(method, timeout=_CALL_TIMEOUT_S, **arguments)
            if response.status_code >= 500:
                response.raise_for_status()
            return response

        return request

    return SimpleNamespace(get=call("GET"), post=call("POST"), delete=call("DELETE"))
