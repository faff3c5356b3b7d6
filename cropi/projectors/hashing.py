"""Random numbers that depend on nothing but (seed, purpose, name, index).

SplitMix64's finaliser over a keyed counter, in 64-bit integer operations that every device does
alike. Device generators would not do: CUDA's differ between GPU models (pytorch#196613).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

# SplitMix64's constants (Steele, Lea, Flood 2014), as signed 64-bit numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64
CHUNK = 2**16


def key_of(seed: int, purpose: str, name: str) -> int:
    """A signed 64-bit key."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def hashed(key: int, index: Tensor) -> Tensor:
    """int64 of the shape of ``index`` (int64): 64 well-mixed bits each."""
    mixed = index * _GOLDEN
    mixed += key
    mixed ^= _shifted(mixed, 30)
    mixed *= _MIX_1
    mixed ^= _shifted(mixed, 27)
    mixed *= _MIX_2
    mixed ^= _shifted(mixed, 31)
    return mixed


def _shifted(value: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's is arithmetic."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def counted(key: int, size: int, device: torch.device) -> Iterator[tuple[int, Tensor]]:
    """(start, hashes of start, start + 1, …) in chunks that stay in a processor's cache."""
    for start in range(0, size, CHUNK):
        index = torch.arange(start, min(size, start + CHUNK), device=device)
        yield start, hashed(key, index)


def chosen(key: int, size: int, share: float, device: torch.device) -> Tensor:
    """Each of 0 … size − 1 with probability ``share``, ascending; int32 where that is enough."""
    bound = round(share * 2**53)
    dtype = torch.int32 if size < 2**31 else torch.int64
    parts = [
        ((_shifted(mixed, 11) < bound).nonzero().squeeze(1) + start).to(dtype)
        for start, mixed in counted(key, size, device)
    ]
    return torch.cat(parts) if parts else torch.empty(0, dtype=dtype, device=device)


def signs(key: int, size: int, device: torch.device) -> Tensor:
    """float32 [size], 1 or -1: the top bit."""
    found = torch.empty(size, dtype=torch.float32, device=device)
    for start, mixed in counted(key, size, device):
        found[start : start + len(mixed)] = 1.0
        found[start : start + len(mixed)][mixed < 0] = -1.0
    return found


def buckets(key: int, size: int, count: int, device: torch.device) -> Tensor:
    """int32 [size] in [0, count), count at most 2^31: the upper 31 bits, scaled."""
    found = torch.empty(size, dtype=torch.int32, device=device)
    for start, mixed in counted(key, size, device):
        found[start : start + len(mixed)] = ((_shifted(mixed, 33) * count) >> 31).to(torch.int32)
    return found


def sample(key: int, size: int, count: int, device: torch.device) -> Tensor:
    """Exactly ``count`` of 0 … size − 1, ascending int64: those with the smallest hashes."""
    if count >= size:
        return torch.arange(size, device=device)
    order = torch.argsort(hashed(key, torch.arange(size, device=device)), stable=True)
    return order[:count].sort().values
