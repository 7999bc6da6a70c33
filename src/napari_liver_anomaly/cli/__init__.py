"""The command line."""

from napari_liver_anomaly.cli.parser import ASKED, CRASHED, DONE, REFUSED, STOPPED, main, make_parser

__all__ = ["ASKED", "CRASHED", "DONE", "REFUSED", "STOPPED", "main", "make_parser"]
