"""Per-token estimates of KL(policy ‖ reference) on the policy's own tokens."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from cropi.trainers.ratios import LIMIT, bounded_exp

Estimator = Literal["k1", "k2", "k3"]


def kl_penalty(log_probs: Tensor, reference_log_probs: Tensor, estimator: Estimator) -> Tensor:
    """Schulman's estimators of x = log π − log π_ref, of any shape; gradient bounded, never cut.

    k1 = x: unbiased, but the mean of its gradient on fresh samples is zero, so as a penalty it
    only adds noise. k2 = x²/2 (linear beyond |x| = 20): its gradient is the KL's, on fresh
    samples. k3 = exp(−x) + x − 1: unbiased and never negative; GRPO's choice.
    """
    log_ratio = log_probs - reference_log_probs
    match estimator:
        case "k1":
            return log_ratio
        case "k2":
            zero = torch.zeros_like(log_ratio)
            return torch.nn.functional.huber_loss(log_ratio, zero, reduction="none", delta=LIMIT)
        case "k3":
            return bounded_exp(-log_ratio) + log_ratio - 1.0
