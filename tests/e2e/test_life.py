"""Random lives of orders beside a simple model of them (flashgate/life.py)."""
import pytest

from flashgate import life
from flashgate.programs import SLOWER


@pytest.fixture
def sale_system(stage):
    stage.gateway(stage.redis())
    stage.relay(lease="500ms")
    return stage


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.full), pytest.param(3, marks=pytest.mark.full)])
def test_every_sequence_is_as_the_model_says(sale_system, seed):
    life.explore(sale_system, seed, 50)


@pytest.mark.sanitize
def test_some_sequences(sale_system):
    life.explore(sale_system, 99, max(4, 24 // SLOWER), costly_every=6)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 110))
def test_thousands_of_sequences(sale_system, seed):
    life.explore(sale_system, seed, 300, length=24)


def test_a_failing_sequence_is_shortened(sale_system, monkeypatch):
    """The model is made to believe in one unit more: what is left over is little."""
    monkeypatch.setattr(life, "PER_USER", 2)  # the model's word alone: the sale below was made with it
    real = life.Life.may_answer
    monkeypatch.setattr(life.Life, "may_answer", lambda self, user, *rest: real(self, user, *rest) - {"limit_reached"})
    with pytest.raises(AssertionError, match="shortened to") as failed:
        life.explore(sale_system, 7, 50)
    steps = [line for line in str(failed.value).splitlines() if line.strip()[:1].isdigit()]
    assert 1 <= len(steps) <= 4, failed.value
