"""The off-policy estimator: how much every stored token says about the current policy's gradient.

For K trajectories of a prompt, drawn by β, the paper's objective is

    J(θ) = 1/K Σ_k 1/|τ_k| Σ_t ρ_kt Â_k,    ρ_kt = π_θ(x_kt | s_kt) / β(x_kt | s_kt),

and ∇J = Σ_kt c_kt ∇ log π_θ(x_kt | s_kt) with c_kt = ρ_kt Â_k / (K |τ_k|). Every variant below has
that form too, with other coefficients c, so an engine needs nothing but ``coefficients``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from cropi.advantages import STD_FLOOR
from cropi.runtime.parts import Part, part

Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


@part
class Estimator(Part):
    """The options of J. The defaults are the paper's and its release's.

    ``ratio``: ``token`` is ρ_kt; ``sequence`` the whole trajectory's Π_t ρ_kt, held constant in
    the gradient; ``self_normalised`` the same over its mean in the group; ``none`` is 1.
    ``ratio_cap`` counts larger ratios as the cap. ``ppo_clip`` ε drops tokens whose ratio has
    already moved past 1 ± ε in the advantage's direction, as PPO does. ``reweight_advantage``
    takes the group's mean and deviation under exp(mean_t log ρ) (the release's "acg").
    ``length_norm``: ``response`` divides by |τ_k|, ``group`` by the group's mean length, ``none``
    not at all. ``kl`` subtracts kl · k3(π_θ ‖ β), estimated on the stored tokens.
    """

    ratio: Literal["token", "sequence", "self_normalised", "none"] = "token"
    ratio_cap: Positive | None = None
    ppo_clip: Positive | None = None
    scale_rewards: Literal["std", "none"] = "std"
    reweight_advantage: bool = False
    length_norm: Literal["response", "group", "none"] = "response"
    kl: NonNegative = 0.0

    def __post_init__(self) -> None:
        if self.ppo_clip is not None and self.ratio != "token":
            raise ValueError("ppo_clip works on token ratios: set ratio=token, or ppo_clip=null")
        if self.ratio_cap is not None and self.ratio == "none":
            raise ValueError("ratio_cap has no ratio to cap: set ratio_cap=null")

    def coefficients(self, now: Tensor, behaviour: Tensor, mask: Tensor, rewards: Tensor) -> Tensor:
        """c [K, T] of one group: now and behaviour [K, T] log-probs, mask bool, rewards [K].

        ``now`` is detached; 0 where masked. Not finite when a ratio is not.
        """
        log_ratio = torch.where(mask, now - behaviour, 0.0)
        lengths = mask.sum(dim=1).to(rewards.dtype)
        advantages = self._advantages(log_ratio, lengths, rewards)
        weights = self._weights(log_ratio)
        if self.ppo_clip is not None:
            ratio, side = torch.exp(log_ratio), advantages.sign().unsqueeze(1)
            weights = torch.where((ratio - 1.0) * side > self.ppo_clip, 0.0, weights)
        parts = weights * advantages.unsqueeze(1)
        if self.kl:
            parts = parts - self.kl * (1.0 - torch.exp(-log_ratio))
        return torch.where(mask, parts * self._length_factor(lengths).unsqueeze(1), 0.0)

    def _weights(self, log_ratio: Tensor) -> Tensor:
        """[K, 1] or [K, T]. Exponents are capped before exp, so that a cap also holds for inf."""
        if self.ratio == "none":
            return torch.ones_like(log_ratio)
        if self.ratio == "token":
            return torch.exp(_capped(log_ratio, self.ratio_cap))
        whole = log_ratio.sum(dim=1, keepdim=True)
        if self.ratio == "self_normalised":
            whole = whole - torch.logsumexp(whole, dim=0) + torch.log(
                torch.tensor(float(len(whole)), dtype=whole.dtype)
            )
        return torch.exp(_capped(whole, self.ratio_cap))

    def _advantages(self, log_ratio: Tensor, lengths: Tensor, rewards: Tensor) -> Tensor:
        """[K]: exactly 0 when the rewards are equal (compared, not subtracted)."""
        if rewards.max() == rewards.min():
            return torch.zeros_like(rewards)
        weights = torch.ones_like(rewards)
        if self.reweight_advantage:
            weights = torch.exp(log_ratio.sum(dim=1) / lengths.clamp(min=1)).to(rewards.dtype)
        weights = weights / weights.sum()
        centred = rewards - (weights * rewards).sum()
        if self.scale_rewards == "none":
            return centred
        count = len(rewards)
        variance = (weights * centred.square()).sum() * count / (count - 1)
        return centred / (variance.sqrt() + STD_FLOOR)

    def _length_factor(self, lengths: Tensor) -> Tensor:
        """[K]: what a token of trajectory k is multiplied by, 1/K included."""
        count = float(len(lengths))
        if self.length_norm == "response":
            return 1.0 / (lengths.clamp(min=1) * count)
        if self.length_norm == "group":
            return (1.0 / lengths.sum().clamp(min=1)).expand(len(lengths))
        return torch.full_like(lengths, 1.0 / count)


def _capped(log_ratio: Tensor, cap: float | None) -> Tensor:
    if cap is None:
        return log_ratio
    return log_ratio.clamp(max=float(torch.log(torch.tensor(cap, dtype=torch.float64))))


@dataclass(frozen=True)
class Drift:
    """How far the policy has moved from β on a group's stored tokens.

    ``log_ratio`` mean |log ρ| a token (the mean of ρ itself stays near 1 and says nothing);
    ``ess`` effective sample size of the sequence weights, 1 to K; ``high`` and ``low`` shares of
    tokens with ρ > 1.5 and ρ < 0.1; ``pass_rate`` the mean correctness under the self-normalised
    sequence weights: an estimate of the current policy's.
    """

    log_ratio: float
    ess: float
    high: float
    low: float
    pass_rate: float


def drift(now: Tensor, behaviour: Tensor, mask: Tensor, correctness: Tensor) -> Drift:
    """Of one group: now, behaviour [K, T], mask bool [K, T], correctness [K]."""
    log_ratio = torch.where(mask, now - behaviour, 0.0).double()
    tokens = max(1, int(mask.sum()))
    weights = torch.softmax(log_ratio.sum(dim=1), dim=0)
    high = ((log_ratio > torch.log(torch.tensor(1.5))) & mask).sum()
    low = ((log_ratio < torch.log(torch.tensor(0.1))) & mask).sum()
    return Drift(
        log_ratio=float(log_ratio.abs().sum()) / tokens,
        ess=float(1.0 / weights.square().sum()),
        high=float(high) / tokens,
        low=float(low) / tokens,
        pass_rate=float((weights * correctness.double()).sum()),
    )
