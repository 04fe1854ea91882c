"""The process that talks to Ray for a study: ``python -m fairlora.study.engines.ray_driver``.

`RayEngine` is the other end. In come lines of JSON: how to connect, then ``{"jobs": [...]}`` as
often as there is something to run, and ``{"stop": seconds}``, which has the running cells save and
ends the process. Out go ``{"slots": n}`` once connected, ``{"refused": why}`` where that fails,
and ``{"place": k, "report": {...}, "slots": n}`` a job. The end of the input is that of the study.

A process of its own, since Ray reads its settings and its token once a process and keeps SIGTERM
for itself; and since this one is there to end the cluster it started when the study is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairlora.errors import InputError, optional_module
from fairlora.study.engines.devices import available_cores
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.engines.ray_tasks import ClusterRun
from fairlora.study.engines.serve import own_output, say

# The first Ray that can ask for a token, and whose servers all listen where they are told to.
OLDEST_RAY = "2.52"
LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 20.0
# Of Linux's prctl: processes whose parent died become children of this one.
SET_CHILD_SUBREAPER = 36


class OwnCluster:
    """A cluster of this machine alone, for this user alone. Made before Ray is imported.

    Parameters
    ----------
    folder : for Ray's logs and files; made, readable by its owner alone. It stays if `keep` is set.

    The token and a link to `folder` are in a private folder with a short name: the path of a Unix
    socket may have some hundred bytes, which a study's folder alone may use up.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.keep = folder, False
        self.psutil = optional_module("psutil", where="engine.kind ray")
        folder.mkdir(mode=0o700, parents=True)
        shortest = min(tempfile.gettempdir(), "/tmp", key=len)
        self.private = Path(tempfile.mkdtemp(prefix="fairlora-", dir=shortest))
        token = self.private / "token"
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        (self.private / "ray").symlink_to(folder.resolve())
        for name in ("RAY_ADDRESS", "RAY_REDIS_ADDRESS", "RAY_AUTH_TOKEN"):
            os.environ.pop(name, None)  # they go before what is set here, and are of other clusters
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        # On Linux, too, Ray then takes the loopback address for this machine's.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        with contextlib.suppress(AttributeError, OSError):  # Linux alone has it
            ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(self, ray: Any) -> None:
        """Start it, and connect to it."""
        try:
            self._start(ray)
        except Exception as error:
            # Ray waits half a minute for its own processes: too short for a busy or a cold machine,
            # which is warm the second time.
            if "timed out" not in str(error):
                raise
            ray.shutdown()
            self._kill()
            self._start(ray)
        for path in self.folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)  # Ray makes them everybody's
        heard = {node["NodeManagerAddress"] for node in ray.nodes()}
        if heard != {LOOPBACK}:
            raise InputError(
                "Ray listens to other machines", where="engine.ray", found=heard, expected=LOOPBACK
            )

    def _start(self, ray: Any) -> None:
        ray.init(
            address="local",
            num_cpus=available_cores(),
            _node_ip_address=LOOPBACK,
            _temp_dir=str(self.private / "ray" / "tmp"),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="WARNING",
        )

    def end(self) -> None:
        """End every process of it, at once, and clear up."""
        shutil.rmtree(self.private, ignore_errors=True)
        self._kill()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self) -> None:
        """End every process that this one, or one of those, has started."""
        psutil = self.psutil
        for _ in range(100):
            alive = []
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        process.kill()
                        alive.append(process)
            if not alive:
                break
            time.sleep(0.02)  # what they had started may be this process's children by now


class Driver:
    """Connects, and has jobs run, as it is told.

    Parameters
    ----------
    tell : hands a message to the study.
    """

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        self.tell = tell
        self.orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.own: OwnCluster | None = None
        self.needs: dict[str, float] = {}
        self.grace = 60.0
        self.stopping = threading.Event()

    def listen(self) -> None:
        """Read orders while the main thread works: a stop must not wait for a job's end."""
        for line in sys.stdin:
            order = json.loads(line)
            if "stop" in order:
                self._stop(order["stop"])
            else:
                self.orders.put(order)
        # The study was killed: its cells go with their cluster, or are told to save.
        if self.own is not None:
            self.own.keep = True
            self.own.end()
            os._exit(1)
        self._stop(self.grace)

    def _stop(self, grace: float) -> None:
        self.grace = grace
        self.stopping.set()
        self.orders.put(None)

    def work(self) -> None:
        """Do what is ordered until a stop, or until nobody is left who orders."""
        settings = self.orders.get()
        if settings is None:
            return
        try:
            ray = self._connect(**settings)
            while (order := self.orders.get()) is not None:
                self._do(ray, [Job(**job) for job in order["jobs"]], order["retries"])
            ray.shutdown()
        except InputError as error:
            self.tell({"refused": str(error)})
        finally:
            if self.own is not None:
                self.own.end()

    def _connect(self, address: str | None, needs: dict[str, float], folder: str) -> Any:
        self.needs = needs
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        if address == "local":
            self.own = OwnCluster(Path(folder))
        ray = import_ray()
        try:
            if self.own is not None:
                self.own.start(ray)
            else:
                _knock(address)
                ray.init(address=address, log_to_driver=False, logging_level="WARNING")
        except InputError:
            raise
        except (
            Exception
        ) as error:  # Ray raises even that itself, of a cluster that does not come up
            raise InputError(
                "cannot connect to Ray",
                where=f"engine.ray.address {address}",
                found=str(error).strip().split("\n")[0][:200] or type(error).__name__,
                expected="a cluster that was started with 'ray start', and its token",
            ) from error
        self._check_size(ray)
        self.tell({"slots": self._slots(ray)})
        return ray

    def _check_size(self, ray: Any) -> None:
        """A cell that fits on no machine would wait for ever, without a word from Ray."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needs = {name: needed for name, needed in self.needs.items() if needed}
        if any(all(m.get(name, 0) >= needs[name] for name in needs) for m in machines):
            return
        most = {name: max((m.get(name, 0) for m in machines), default=0) for name in needs}
        if self.own is None:
            # A cluster that grows on demand may yet get one.
            warning = (
                f"no machine of the Ray cluster has {_size(needs)} for a cell (the largest: "
                f"{_size(most)}); waiting for one"
            )
            self.tell({"warning": warning})
            return
        raise InputError(
            "this machine is too small for a cell",
            where="engine.ray",
            found=_size(most),
            expected=_size(needs),
        )

    def _slots(self, ray: Any) -> int:
        """How many cells the cluster's machines can hold at a time."""
        there = ray.cluster_resources()
        held = (there.get(name, 0) // needed for name, needed in self.needs.items() if needed)
        return max(1, int(min(held)))

    def _do(self, ray: Any, jobs: list[Job], retries: int) -> None:
        def ended(place: int, report: Report) -> None:
            if self.own is not None and not report.done:
                self.own.keep = True  # Ray's logs may say more
            self.tell({"place": place, "report": asdict(report), "slots": self._slots(ray)})

        run = ClusterRun(ray, jobs, ended, self.needs, retries, self.stopping)
        run.to_the_end()
        run.cancel(self.grace)


def import_ray() -> Any:
    """Ray itself; `InputError` where it is not installed, or too old to be safe."""
    # Before the import: Ray reads it then.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = optional_module("ray", where="engine.kind ray")
    if _numbers(ray.__version__) < _numbers(OLDEST_RAY):
        raise InputError(
            "this Ray lets others on the network run programs as you",
            where="engine.kind ray",
            found=f"ray {ray.__version__}",
            expected=f"pip install -U 'ray>={OLDEST_RAY}'",
        )
    return ray


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _knock(address: str) -> None:
    """Raise `OSError` if nobody listens at host:port, which Ray takes minutes to say."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _size(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:g}" for name, number in resources.items())


def drive() -> None:
    """Be the driver of the study whose process started this one."""
    replies = own_output()
    driver = Driver(lambda message: say(replies, json.dumps(message)))
    threading.Thread(target=driver.listen, daemon=True).start()
    driver.work()
    sys.stderr.flush()
    os._exit(0)  # a driver whose cluster is gone would wait for it


if __name__ == "__main__":
    drive()
