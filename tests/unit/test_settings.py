"""One list of options: ranges, storage, and what an interface is told."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from napari_liver_anomaly.errors import Refusal, WrongSetting
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.settings import REQUIRED, Settings, options, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner(Settings):
    """Settings inside settings."""

    depth: int = setting(3, unit="halvings", low=1, high=5, help="How often.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer(Settings):
    """One option of each kind."""

    sigma_px: float = setting(15.0, unit="px", low=1, high=64, help="Blur.")
    min_lesion_mm3: float = setting(50.0, unit="mm³", low=0, high=1000, help="Smaller lesions are dropped.")
    count: int = setting(2, low=0, high=9, help="How many.")
    noise: Literal["gaussian", "uniform"] = setting("gaussian", help="Kind of noise.")
    again: bool = setting(True, help="Draw again.")
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sigma_px", 0.999),
        ("sigma_px", 64.001),
        ("sigma_px", math.nan),
        ("sigma_px", math.inf),
        ("sigma_px", "15"),
        ("sigma_px", True),
        ("sigma_px", None),
        ("count", 2.5),
        ("count", -1),
        ("noise", "pink"),
        ("again", 1),
        ("again", "no"),
    ],
)
def test_a_value_out_of_range_is_refused_in_three_sentences(name: str, value: Any) -> None:
    with pytest.raises(WrongSetting) as refused:
        Outer(**{name: value})
    finding = refused.value.finding
    assert finding.code == "setting-range"
    assert name in finding.what
    assert isinstance(refused.value, (Refusal, ValueError))
    assert all(sentence.endswith(".") for sentence in (finding.what, finding.meaning, finding.action))


@pytest.mark.parametrize(("name", "value"), [("sigma_px", 1), ("sigma_px", 64), ("count", 0), ("count", 9), ("noise", "uniform")])
def test_the_ends_of_a_range_are_allowed(name: str, value: Any) -> None:
    assert getattr(Outer(**{name: value}), name) == value


def test_the_action_names_the_range_and_its_unit() -> None:
    with pytest.raises(WrongSetting, match=r"Give a number from 1 to 64 px\."):
        Outer(sigma_px=0)
    with pytest.raises(WrongSetting, match=r"Give gaussian or uniform\."):
        Outer(noise="pink")  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, slots=True)
class Free(Settings):
    """A number without ends."""

    gain: float = setting(1.0, help="Gain.")


def test_a_number_without_ends_must_still_be_a_number() -> None:
    assert Free(gain=-1e9).gain == -1e9
    with pytest.raises(WrongSetting, match=r"Give a number\."):
        Free(gain=math.nan)


def test_there_and_back_as_plain_data() -> None:
    made = Outer(sigma_px=20.0, noise="uniform", inner=Inner(depth=5))
    plain = made.to_dict()
    assert plain["inner"] == {"depth": 5}
    assert Outer.from_dict(plain) == made


def test_a_whole_number_written_as_a_fraction_is_a_whole_number() -> None:
    made = Outer.from_dict({**Outer().to_dict(), "count": 3.0})
    assert made == Outer(count=3) and type(made.count) is int and list(range(made.count)) == [0, 1, 2]


def test_settings_of_another_version_are_refused_with_the_odd_names() -> None:
    plain = Outer().to_dict()
    with pytest.raises(WrongSetting, match="extra"):
        Outer.from_dict({**plain, "extra": 1})
    del plain["count"]
    with pytest.raises(WrongSetting, match="count"):
        Outer.from_dict(plain)


def test_stored_values_out_of_range_are_refused() -> None:
    plain = Outer().to_dict()
    with pytest.raises(WrongSetting, match="sigma_px"):
        Outer.from_dict({**plain, "sigma_px": 1000.0})
    with pytest.raises(WrongSetting, match="depth"):
        Outer.from_dict({**plain, "inner": {"depth": 99}})


def test_what_an_interface_is_told() -> None:
    sigma, lesion, count, noise, again = options(Outer)
    assert (sigma.flag, sigma.label, sigma.kind, sigma.default) == ("--sigma-px", "Sigma (px)", float, 15.0)
    assert (lesion.flag, lesion.label) == ("--min-lesion-mm3", "Min lesion (mm³)")
    assert (count.label, count.kind, count.low, count.high) == ("Count", int, 0, 9)
    assert (noise.choices, noise.kind) == (("gaussian", "uniform"), str)
    assert again.kind is bool


def test_a_title_is_what_a_reader_sees_in_panel_and_report() -> None:
    said = {option.name: (option.words, option.label) for option in options(SegmentSettings)}
    assert said["min_liver_probability"] == ("Probability of liver", "Probability of liver")
    assert said["min_lesion_mm3"] == ("Smallest lesion", "Smallest lesion (mm3)")
    assert said["batch"] == ("Slices at once", "Slices at once"), "the unit is said once"


def test_an_instance_gives_its_own_values_as_defaults() -> None:
    assert options(Outer(sigma_px=20.0))[0].default == 20.0
    assert options(Outer)[0].default == 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Span(Settings):
    """A range."""

    edge_low_mm: float = setting(1.0, unit="mm", low=0, high=9, help="Sharpest.")
    edge_high_mm: float = setting(2.0, unit="mm", low=0, high=9, help="Softest.")
    low: float = setting(5.0, help="Stands alone.")


def test_a_range_the_wrong_way_round_is_refused() -> None:
    assert Span(edge_low_mm=2, edge_high_mm=2).edge_low_mm == 2
    with pytest.raises(WrongSetting, match=r"Edge low \(mm\) cannot be 3 while Edge high \(mm\) is 2\."):
        Span(edge_low_mm=3)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Outer().count = 3  # type: ignore[misc]


def test_a_probability_reads_as_a_share() -> None:
    from napari_liver_anomaly.synthesis import Blobs

    labels = {option.name: option.label for option in options(Blobs)}
    assert labels["p_dark"] == "Share dark"
    assert labels["dark_low_hu"] == "Dark low (HU)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(Settings):
    """What only a command line asks."""

    scan: Path = setting(REQUIRED, help="A file.", positional=True)
    sides: tuple[int, ...] = setting((), low=1, high=9, help="Sides.")
    folds: tuple[tuple[str, ...], ...] = setting((), help="Folds.", word="NAME")
    only: int | None = setting(None, low=1, high=9, help="One of them.")
    as_: str = setting("", help="Name.")


def test_paths_tuples_and_what_may_be_left_out() -> None:
    shapes = {option.name: (option.kind, option.depth, option.optional) for option in options(Command)}
    assert shapes == {
        "scan": (Path, 0, False), "sides": (int, 1, False), "folds": (str, 2, False), "only": (int, 0, True), "as_": (str, 0, False),
    }  # fmt: skip
    assert [option.flag for option in options(Command)] == ["--scan", "--sides", "--folds", "--only", "--as"]
    with pytest.raises(TypeError, match="scan"):
        Command()
    made = Command(scan=Path("a"), sides=(1, 9), folds=(("a", "b"), ("c",)))
    assert made.only is None
    for wrong in ({"scan": "a"}, {"sides": (1, 10)}, {"sides": 3}, {"folds": ("a",)}, {"only": 0}):
        with pytest.raises(WrongSetting, match="cannot be"):
            Command(**{"scan": Path("a")} | wrong)  # type: ignore[arg-type]


def test_settings_of_earlier_versions_lack_only_what_was_added_since():
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Later(Settings):
        """One old field and one added."""

        size: int = setting(3, help="Old.")
        leak: float = setting(0.0, added=True, help="Added.")

    assert Later.from_dict({"size": 5}) == Later(size=5)
    for odd in ({"leak": 0.1}, {"size": 5, "other": 1}):
        with pytest.raises(WrongSetting):
            Later.from_dict(odd)
