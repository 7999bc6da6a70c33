"""What happens when memory is short: a refusal before the work begins where it can be foreseen, else smaller batches, then the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.storage import free_memory, size_words

if TYPE_CHECKING:
    import torch

    from napari_liver_anomaly.errors import Refusal

WORDS = ("out of memory", "can't allocate", "not enough memory", "alloc_failed", "unable to allocate", "bad_alloc")


class Movable(Protocol):
    """What computes on a device."""

    def to(self, device: torch.device) -> Any:
        """Move to a device."""


@dataclass(slots=True)
class Ladder:
    """Where we stand after memory ran out: the device, how much at once, and what to tell the user.

    Attributes
    ----------
    device : torch.device
        ``cpu`` or ``cuda``.
    batch : int
        Slices at once.
    needed : int
        Bytes that the smallest step needs on the CPU, as far as is known.
    told : str
        What the user is told, empty while nothing ran out.
    """

    device: torch.device
    batch: int
    needed: int = 0
    told: str = ""

    def settle(self, method: Movable) -> None:
        """Move to the device; where its memory is full already, to the CPU."""
        while not self._moved(method):  # fewer slices at once would make no room for the weights
            self._leave_card(method)

    def _moved(self, method: Movable) -> bool:
        """Whether the device took the method. The error ends here, because it holds what was moved."""
        try:
            method.to(self.device)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            return False
        return True

    def step_down(self, method: Movable) -> None:
        """Take the next smaller step, or give up.

        To be called after the handler of the error has ended: the error holds everything that the failed step had made.
        """
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch > 1:
            self.batch //= 2
            self.told = f"with {self.batch} slices at a time, because memory ran out"
        else:
            self._leave_card(method)

    def _leave_card(self, method: Movable) -> None:
        """Go on on the CPU, or give up there."""
        import torch

        if self.device.type == "cpu":
            raise too_little(self.needed)
        self.device = torch.device("cpu")
        method.to(self.device)
        torch.cuda.empty_cache()
        self.told = "(GPU memory full)"

    @property
    def sentence(self) -> str:
        """What the panel and the report say."""
        return f"Ran on {'the graphics card' if self.device.type == 'cuda' else 'CPU'}{' ' + self.told if self.told else ''}."


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out; of torch's, most are plain runtime errors."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(word in words for word in WORDS)


def require_memory(needed: int) -> None:
    """Refuse work that needs more memory than there is, before it begins."""
    if needed > free_memory():
        raise too_little(needed)


def too_little(needed: int) -> Refusal:
    """Make the refusal for want of memory."""
    free = free_memory()
    short = f"needs {size_words(needed)}, {size_words(free)} are free"
    if needed <= free:  # it was tried, and the system knows of a limit that we do not
        short = f"needs about {size_words(needed)}, which the system did not give" if needed else "the smallest step did not fit"
    return make_refusal("memory-out", short=short)
