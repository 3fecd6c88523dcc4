"""What becomes of exceptions that a run ended with."""

import logging
import weakref

import pytest

from pais_lite.agent.failures import translate
from pais_lite.errors import RunFailed


class Held:
    """What a run works on."""


def fail(held: Held) -> None:
    raise RuntimeError("as told")


def test_the_frames_of_a_failure_let_go_of_what_they_worked_on(caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    gone = weakref.ref(held)
    with pytest.raises(RuntimeError) as caught:
        fail(held)
    with caplog.at_level(logging.ERROR, "pais_lite.agent"):
        translated = translate(caught.value, max_steps=5)
    del held
    assert isinstance(translated, RunFailed)
    assert gone() is None
    # Where it came from was told before.
    assert "in fail" in caplog.text
