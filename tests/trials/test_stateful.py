"""What is kept beside a history."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from archwright.trials import History, Objective, Stateful


@dataclass(frozen=True)
class _Settings(Stateful):
    number: int = 1


def test_each_object_keeps_one_state_for_each_history():
    one, other, histories = _Settings(), _Settings(), [History(Objective("value")) for _ in range(2)]
    state = one.state_of(histories[0], list)
    state.append(1)
    assert one.state_of(histories[0], list) is state
    assert one.state_of(histories[1], list) == other.state_of(histories[0], list) == []


def test_a_state_is_no_setting():
    settings, history = _Settings(), History(Objective("value"))
    settings.state_of(history, list)
    assert settings == _Settings()
    assert hash(settings) == hash(_Settings())
    assert repr(settings) == "_Settings(number=1)"


def test_a_state_goes_with_its_history():
    settings, history = _Settings(), History(Objective("value"))
    settings.state_of(history, list)
    del history
    gc.collect()
    assert not settings._states
