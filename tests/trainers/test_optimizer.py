"""Master weights and named optimizer state."""

from __future__ import annotations

import pytest
import torch

from cropi.runtime.errors import CropiError
from cropi.trainers.optimizer import MasterAdamW


def weights(dtype: torch.dtype = torch.float32) -> dict[str, torch.nn.Parameter]:
    torch.manual_seed(0)
    return {
        "first.weight": torch.nn.Parameter(torch.randn(3, 2).to(dtype)),
        "second.bias": torch.nn.Parameter(torch.randn(5).to(dtype)),
    }


def optimizer(made: dict[str, torch.nn.Parameter], decay: float = 0.0) -> MasterAdamW:
    return MasterAdamW(made.items(), betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)


def push(made: dict[str, torch.nn.Parameter], adam: MasterAdamW, size: float = 1.0) -> None:
    for weight in made.values():
        weight.grad = torch.full_like(weight, size)
    adam.collect()


def test_float32_weights_move_as_torch_moves_them() -> None:
    made, twin = weights(), weights()
    adam = optimizer(made, decay=0.1)
    theirs = torch.optim.AdamW(
        [{"params": [twin["first.weight"]]}, {"params": [twin["second.bias"]], "weight_decay": 0}],
        lr=0.01, weight_decay=0.1,
    )
    for size in (1.0, -3.0, 0.5):
        push(made, adam, size)
        assert adam.step(0.01, None) == pytest.approx(abs(size) * 11**0.5)
        for weight in twin.values():
            weight.grad = torch.full_like(weight, size)
        theirs.step()
    assert all(torch.equal(made[name], twin[name]) for name in made)


def test_narrow_weights_learn_what_they_cannot_hold() -> None:
    # 100 updates of 1e-4 on a bfloat16 weight near 1 are each lost in its own precision.
    made = {"w": torch.nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))}
    adam = optimizer(made)
    for _ in range(100):
        push(made, adam)
        adam.step(1e-4, None)
    assert adam.state()["master/w"].dtype == torch.float32
    assert adam.state()["master/w"][0, 0].item() == pytest.approx(0.99, abs=1e-5)
    assert made["w"][0, 0].item() == torch.tensor(0.99).bfloat16().item()
    assert made["w"].grad is None


def test_narrow_gradients_add_up_in_float32() -> None:
    # In bfloat16, 256 + 1 = 256.
    made = {"w": torch.nn.Parameter(torch.ones(1, 1, dtype=torch.bfloat16))}
    adam = optimizer(made)
    for size in (256.0, 1.0, 1.0):
        push(made, adam, size)
    assert adam.step(1e-4, None) == 258.0


def test_the_norm_is_measured_before_clipping() -> None:
    made = {"w": torch.nn.Parameter(torch.zeros(4, 1))}
    adam = optimizer(made)
    push(made, adam, 3.0)
    assert adam.step(0.1, 1.0) == 6.0
    assert adam.state()["exp_avg/w"].flatten().tolist() == pytest.approx([0.05] * 4, rel=1e-5)


@pytest.mark.parametrize("size", [float("nan"), float("inf")])
def test_divergence_stops_and_leaves_the_weights(size: float) -> None:
    made = weights()
    before = {name: weight.detach().clone() for name, weight in made.items()}
    adam = optimizer(made)
    push(made, adam, size)
    with pytest.raises(CropiError, match="learning_rate"):
        adam.step(0.1, 1.0)
    assert all(torch.equal(made[name], before[name]) for name in made)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_is_mapped_by_name(dtype: torch.dtype) -> None:
    # Pitfall 36: restored into an optimizer whose parameters come in another order.
    made = weights(dtype)
    adam = optimizer(made)
    push(made, adam)
    adam.step(0.1, None)
    state = {key: value.clone() for key, value in adam.state().items()}

    twin = dict(reversed(list(weights(dtype).items())))
    with torch.no_grad():
        for name, weight in twin.items():
            weight.copy_(made[name])
    other = optimizer(twin)
    other.load(state)
    assert other.state().keys() == state.keys()
    for both, one in ((made, adam), (twin, other)):
        push(both, one, -2.0)
        one.step(0.1, None)
    assert all(torch.equal(made[name], twin[name]) for name in made)


def test_the_second_moment_is_adam_s_without_bias_and_by_name() -> None:
    made, twin = weights(), weights()
    adam = optimizer(made)
    assert adam.second_moment() is None
    theirs = torch.optim.AdamW(twin.values(), lr=0.01, weight_decay=0.0)
    for size in (1.0, -3.0):
        push(made, adam, size)
        adam.step(0.01, None)
        for weight in twin.values():
            weight.grad = torch.full_like(weight, size)
        theirs.step()
    found = adam.second_moment()
    assert found is not None
    for name, weight in twin.items():
        torch.testing.assert_close(
            found[name], theirs.state[weight]["exp_avg_sq"] / (1 - 0.999**2), rtol=1e-6, atol=0
        )
    # By hand: (0.999 · 0.001 · 1² + 0.001 · 3²) / (1 − 0.999²), between the two squares.
    assert found["second.bias"].tolist() == pytest.approx([0.009999 / 0.001999] * 5)


def test_the_second_moment_of_narrow_weights_is_float32_and_survives_a_resume() -> None:
    # The bias gets no gradient: it stays at 0, so that every parameter has a moment.
    made = weights(torch.bfloat16)
    adam = optimizer(made)
    made["first.weight"].grad = torch.full_like(made["first.weight"], 0.5)
    adam.collect()
    adam.step(0.1, None)
    resumed = optimizer(weights(torch.bfloat16))
    resumed.load(adam.state())
    for each in (adam.second_moment(), resumed.second_moment()):
        assert each is not None
        assert {moment.dtype for moment in each.values()} == {torch.float32}
        assert each["first.weight"].flatten().tolist() == pytest.approx([0.25] * 6)
        assert each["second.bias"].tolist() == [0.0] * 5


def test_foreign_state_is_refused() -> None:
    adam = optimizer(weights())
    with pytest.raises(CropiError, match="third"):
        adam.load({"exp_avg/third": torch.zeros(3, 2)})
    with pytest.raises(CropiError, match=r"\(2, 3\)"):
        adam.load({"exp_avg/first.weight": torch.zeros(2, 3)})
