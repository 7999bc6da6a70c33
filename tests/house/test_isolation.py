"""The suite reaches no network and touches no settings of the user's."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import urllib.request
from pathlib import Path

import pytest

from napari_liver_anomaly.models.locations import folder


def test_sockets_are_refused() -> None:
    for open_one in (
        lambda: socket.socket(),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: urllib.request.urlopen("http://127.0.0.1:9/", timeout=1),
    ):
        with pytest.raises((PermissionError, urllib.error.URLError), match="network"):
            open_one()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no local sockets")
def test_local_sockets_still_work() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
    asyncio.run(asyncio.sleep(0))


def test_home_and_napari_settings_are_the_suites_own() -> None:
    temporary = Path(tempfile.gettempdir())
    assert Path.home().is_relative_to(temporary)
    assert Path(os.environ["NAPARI_CONFIG"]).is_relative_to(Path.home())
    settings = pytest.importorskip("napari.settings")
    path = settings.get_settings().config_path
    assert path is None or Path(path).is_relative_to(Path.home()), path


def test_models_are_installed_into_a_folder_of_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder().is_relative_to(Path.home())
    assert not folder().exists()
    monkeypatch.delenv("LIVER_ANOMALY_MODELS")
    assert folder().is_relative_to(Path.home()), "without the variable, too"
