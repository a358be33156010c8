import os
import signal

import pytest

from keras_atinet import deferral
from keras_atinet.runs import Interruption
from keras_atinet.stopping import Terminated, exit_status, handling, raise_at_once

pytestmark = pytest.mark.backend_free
KINDS = [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, Terminated, 143)]


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "kind", "status"), KINDS)
def test_a_signal_takes_effect_between_two_batches(number, kind, status):
    before = [signal.getsignal(number) for number, *_ in KINDS]
    with pytest.raises(kind) as raised, Interruption() as interruption:
        interruption.on_train_batch_begin(0)
        send(number)
        interruption.on_epoch_end(0)
        interruption.on_train_batch_begin(1)
        pytest.fail("not stopped")
    assert type(raised.value) is kind and exit_status(raised.value) == status
    assert [signal.getsignal(number) for number, *_ in KINDS] == before


@pytest.mark.parametrize(("number", "kind", "status"), KINDS)
def test_a_second_signal_takes_effect_at_once(number, kind, status):
    with pytest.raises(kind), Interruption():
        send(signal.SIGINT)
        send(number)
        pytest.fail("not stopped")


def test_a_signal_after_the_last_batch_is_not_lost():
    with pytest.raises(Terminated), Interruption():
        send(signal.SIGTERM)


def test_an_error_is_not_hidden_by_a_signal():
    with pytest.raises(ValueError, match="data"), Interruption():
        send(signal.SIGTERM)
        raise ValueError("data")


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with handling(raise_at_once), Interruption():
            send(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("started", [True, False])
def test_only_the_command_is_ended_while_it_imports(started, monkeypatch):
    # By the system: libraries swallow exceptions.
    monkeypatch.setattr(deferral, "started", started)
    before = [signal.getsignal(number) for number, *_ in KINDS]
    with deferral.importing():
        within = [signal.getsignal(number) for number, *_ in KINDS]
    assert within == ([signal.SIG_DFL] * 2 if started else before)
    assert [signal.getsignal(number) for number, *_ in KINDS] == before


def test_a_handler_in_c_stays(monkeypatch):
    """Which Python shows as `None`, and could not put back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    with handling(raise_at_once):
        monkeypatch.undo()
        assert signal.getsignal(signal.SIGTERM) == before
