"""What holds for every test: no network, no settings of the user's, few threads, and where the real scans are."""

from __future__ import annotations

import os
import secrets
import shutil
import site
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[1]


def _threads() -> None:
    """Small arrays gain nothing from many threads, and tests run beside each other."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _home() -> Path:
    """A home folder of the suite's own, so that napari's settings and plugin choices of the user stay as they are."""
    home = Path(tempfile.mkdtemp(prefix="liver-anomaly-home-"))
    os.environ.setdefault("PYTHONUSERBASE", site.getuserbase())
    authority = Path.home() / ".Xauthority"
    if authority.exists():
        os.environ.setdefault("XAUTHORITY", str(authority))
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(home)
    for name, folder in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_DATA_HOME", ".data"),
        ("XDG_STATE_HOME", ".state"),
    ):
        os.environ[name] = str(home / folder)
    os.environ["NAPARI_CONFIG"] = str(home / "napari" / "settings.yaml")
    os.environ["LIVER_ANOMALY_MODELS"] = str(home / "models" / "session")
    os.environ["LIVER_ANOMALY_SESSIONS"] = "off"  # but in the tests of sessions, nobody wants to wait for them
    return home


NO_NETWORK = "a test tried to reach the network"
within = [False]  # whether processes of this machine may speak to each other over its own addresses


def _refuse_network() -> None:
    """Sockets raise, except those between processes of this machine (Xvfb and asyncio need them)."""
    local = {getattr(socket, "AF_UNIX", None)}
    make, connect, look_up = socket.socket.__init__, socket.socket.connect, socket.getaddrinfo

    def guarded(self: socket.socket, family: int = -1, *args: object, **keywords: object) -> None:
        if keywords.get("fileno") is None and len(args) < 3 and family not in local and not within[0]:
            raise PermissionError("a test tried to open a network socket")
        make(self, family, *args, **keywords)  # type: ignore[arg-type]

    def connect_within(self: socket.socket, address: object) -> None:
        if self.family not in local and str(address[0]) != "127.0.0.1":  # type: ignore[index]
            raise PermissionError(NO_NETWORK)
        connect(self, address)  # type: ignore[arg-type]

    def look_up_within(host: object, *args: object, **keywords: object) -> object:
        if not within[0] or str(host) not in ("127.0.0.1", "localhost"):
            raise PermissionError(NO_NETWORK)
        return look_up(host, *args, **keywords)  # type: ignore[arg-type]

    def refuse(*args: object, **keywords: object) -> None:
        raise PermissionError(NO_NETWORK)

    socket.socket.__init__ = guarded  # type: ignore[method-assign]
    socket.socket.connect = connect_within  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = look_up_within  # type: ignore[assignment]
    for name in ("create_connection", "create_server", "gethostbyname"):
        setattr(socket, name, refuse)


@pytest.fixture
def own_processes() -> Iterator[None]:
    """Let processes that a test starts speak to each other over 127.0.0.1, and to nobody else."""
    within[0] = True
    yield
    within[0] = False


_threads()
_HOME = _home()
_refuse_network()


@pytest.fixture(autouse=True)
def _no_models_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are installed into a folder of each test's own, made when something is."""
    monkeypatch.setenv("LIVER_ANOMALY_MODELS", str(_HOME / "models" / secrets.token_hex(6)))


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a screen where there is none, with a reason; continuous integration must have one and fails instead."""
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # widgets without a canvas need no screen
    if os.environ.get("CI"):
        return
    screen = {"make_napari_viewer", "make_napari_viewer_proxy"}
    for item in items:
        if screen & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip(reason="no screen: install xvfb, or run where a window can open"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real scans; the test is skipped where it is absent."""
    named = os.environ.get("LIVER_ANOMALY_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real scans: set LIVER_ANOMALY_DATA to their folder")
    return folder
