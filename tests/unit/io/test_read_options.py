"""One more answer, added to those given so far."""

from __future__ import annotations

import pytest

from napari_liver_anomaly.errors import Answer, WrongSetting
from napari_liver_anomaly.io.read_options import ASK_ALL, ReadOptions


def test_an_answer_is_added_to_those_before():
    first = ASK_ALL.with_answer(Answer(words="Series 2", option="series", value=2))
    assert first == ReadOptions(series=2)
    assert first.with_answer(Answer(words="Fill", option="gaps", value="fill")) == ReadOptions(series=2, gaps="fill")
    assert ReadOptions() == ASK_ALL


@pytest.mark.parametrize(("option", "value"), [("seen", "mark"), ("gaps", "leave"), ("series", -1)])
def test_an_answer_that_cannot_be_is_refused(option, value):
    with pytest.raises(WrongSetting):
        ASK_ALL.with_answer(Answer(words="", option=option, value=value))
