"""Load torch's large library without stopping the window.

``import torch`` links a library of some hundred megabytes while it holds the interpreter's lock, so the window would be silent for up
to a second at the first run. A call through ctypes gives the lock away; the import then finds the library in place.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

LIBRARY = "libtorch_cpu.so"


def preload_torch() -> bool:
    """Load the library, on Linux; elsewhere, or when it is loaded already, do nothing. Called in a worker."""
    if sys.platform != "linux" or "torch" in sys.modules:
        return False
    spec = find_spec("torch")
    library = Path(spec.origin).parent / "lib" / LIBRARY if spec is not None and spec.origin else None
    if library is None or not library.is_file():
        return False
    load = ctypes.CDLL(None).dlopen
    load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    return bool(load(os.fsencode(library), os.RTLD_LAZY))
