"""AdamW on float32 weights, with state that is kept by parameter name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from cropi.runtime.errors import CropiError

MASTER = "master"


class MasterAdamW:
    """torch's AdamW over the trainable parameters, or over float32 copies of narrow ones.

    A bfloat16 weight forgets any update smaller than 1/256 of itself, so such a weight gets a
    float32 master copy: gradients add up in it, AdamW moves it, and the weight is its rounding.
    Weight decay acts on matrices only, not on biases and norms.
    """

    def __init__(
        self,
        parameters: Iterable[tuple[str, torch.nn.Parameter]],
        *,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        self._weights = dict(parameters)
        self._masters = {
            name: weight.detach().float().requires_grad_() if _is_narrow(weight) else weight
            for name, weight in self._weights.items()
        }
        matrices = [master for master in self._masters.values() if master.ndim >= 2]
        vectors = [master for master in self._masters.values() if master.ndim < 2]
        self._adam = torch.optim.AdamW(
            [
                {"params": group, "weight_decay": decay}
                for group, decay in ((matrices, weight_decay), (vectors, 0.0))
                if group
            ],
            lr=0.0,
            betas=betas,
            eps=eps,
        )

    def collect(self) -> None:
        """Add the narrow weights' gradients to their masters. Call after every backward pass."""
        for name, master in self._masters.items():
            weight = self._weights[name]
            if master is weight or weight.grad is None:
                continue
            gradient = weight.grad.float()
            master.grad = gradient if master.grad is None else master.grad.add_(gradient)
            weight.grad = None

    def step(self, learning_rate: float, max_norm: float | None) -> float:
        """One update by the collected gradients, which are then dropped; returns their norm.

        Raises CropiError when the norm is not finite; the weights are then untouched.
        """
        norm = torch.nn.utils.clip_grad_norm_(
            self._masters.values(), float("inf") if max_norm is None else max_norm
        ).item()
        if norm != norm or norm == float("inf"):
            self._adam.zero_grad(set_to_none=True)
            raise CropiError(
                f"the gradient's norm is {norm}: training has diverged. Lower "
                f"trainer.learning_rate, or go back to an earlier checkpoint"
            )
        for group in self._adam.param_groups:
            group["lr"] = learning_rate
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, master in self._masters.items():
                if master is not self._weights[name]:
                    self._weights[name].copy_(master)
        return float(norm)

    def shapes(self) -> dict[str, list[int]]:
        """The shape of every parameter, by name."""
        return {name: list(weight.shape) for name, weight in self._weights.items()}

    def state(self) -> dict[str, Tensor]:
        """Moments, counters and master copies as ``kind/parameter name``, on the CPU."""
        state: dict[str, Tensor] = {}
        for name, master in self._masters.items():
            for kind, value in self._adam.state[master].items():
                state[f"{kind}/{name}"] = value.detach().cpu().contiguous()
            if master is not self._weights[name]:
                state[f"{MASTER}/{name}"] = master.detach().cpu().contiguous()
        return state

    def second_moment(self) -> dict[str, Tensor] | None:
        """v̂ = v / (1 − β₂ᵗ) by name, float32; None before the first step.

        AdamW's estimate of E[g²] (1412.6980, algorithm 1), a parameter at its own step t. Where
        no gradient has ever arrived it is 0.
        """
        if not self._adam.state:
            return None
        _, beta2 = self._adam.defaults["betas"]
        moments = {}
        for name, master in self._masters.items():
            kept = self._adam.state.get(master)
            moments[name] = (
                kept["exp_avg_sq"].float() / (1.0 - beta2 ** kept["step"].item())
                if kept else torch.zeros_like(master, dtype=torch.float32)
            )
        return moments

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` gave. Raises CropiError on an unknown name or another shape."""
        with torch.no_grad():
            for key, value in state.items():
                kind, _, name = key.partition("/")
                if name not in self._masters:
                    raise CropiError(f"the optimizer has no parameter {name!r}")
                master = self._masters[name]
                if kind != "step" and value.shape != master.shape:
                    raise CropiError(
                        f"{key} has shape {tuple(value.shape)}, the parameter {tuple(master.shape)}"
                    )
                if kind == MASTER:
                    master.copy_(value)
                else:
                    # AdamW keeps its counter on the CPU, whatever the weight's device.
                    device = value.device if kind == "step" else master.device
                    self._adam.state[master][kind] = value.to(device, copy=True)


def _is_narrow(weight: Tensor) -> bool:
    return weight.dtype in (torch.bfloat16, torch.float16)
