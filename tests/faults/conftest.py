"""What rows about the panel work with: the fixtures of the panel tests, where napari is there. Rows ask for them by name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if find_spec("napari") is not None:
    from gui.conftest import (  # noqa: F401
        figure,
        finder,
        make_panel,
        make_sample,
        method,
        panel,
        run,
        sample,
        settle,
        viewer,
    )

    if TYPE_CHECKING:
        from collections.abc import Iterator

        from qtpy.QtWidgets import QApplication

    @pytest.fixture
    def quiet(qapp: QApplication) -> Iterator[QApplication]:
        """The application; no thread of ours may outlive the row."""
        yield qapp
        settle(qapp)
