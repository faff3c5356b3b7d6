"""Item-level outcomes of one test set: kept as Parquet, summed up as metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cropi.evaluation.estimates import item_means, pass_at_k, standard_error, wilson_interval
from cropi.runtime.files import write_atomically
from cropi.types import BoolArray, FloatArray, Group, TokenArray


@dataclass(frozen=True)
class Outcomes:
    """What came of N prompts with K samples each."""

    prompt_ids: tuple[str, ...]  # [N]
    correctness: FloatArray  # [N, K], NaN where a sample cannot be scored
    answered: BoolArray  # [N, K], whether an answer was found in the text
    truncated: BoolArray  # [N, K], whether the token limit cut the text off
    lengths: TokenArray  # [N, K], tokens

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Outcomes:
        """The outcomes of graded groups of one size."""
        samples = [group.trajectories for group in groups]
        return cls(
            prompt_ids=tuple(group.prompt_id for group in groups),
            correctness=np.stack([group.correctness for group in groups]),
            answered=np.array([
                [t.verdict is not None and t.verdict.extracted is not None for t in row]
                for row in samples
            ]),
            truncated=np.array([[t.truncated for t in row] for row in samples]),
            lengths=np.array([[len(t.token_ids) for t in row] for row in samples], dtype=np.int32),
        )

    def item_scores(self) -> dict[str, float]:
        """Mean correctness by prompt id, without the items that cannot be scored."""
        means = item_means(self.correctness)
        return {i: float(m) for i, m in zip(self.prompt_ids, means, strict=True) if m == m}

    def metrics(self, pass_at: Sequence[int] = ()) -> dict[str, float]:
        """Flat metrics; what is not defined (nothing scorable, too few samples) is absent.

        ``avg@k`` is the mean over items of the mean correctness, ``standard_error`` its error over
        items. A sample is right when its correctness is at least 1. ``unscorable`` counts samples.
        """
        samples = self.correctness.shape[1]
        scorable = ~np.isnan(self.correctness)
        means = item_means(self.correctness)
        means = means[~np.isnan(means)]
        metrics = {
            "unscorable": float((~scorable).sum()),
            "truncated_rate": float(self.truncated.mean()),
            "mean_length": float(self.lengths.mean()),
        }
        if not means.size:
            return metrics
        metrics[f"avg@{samples}"] = float(means.mean())
        metrics["format_rate"] = float(self.answered[scorable].mean())
        error = standard_error(means)
        if error is not None:
            metrics["standard_error"] = error
        if samples == 1 and np.isin(means, (0.0, 1.0)).all():
            low, high = wilson_interval(int(means.sum()), means.size)
            metrics |= {"wilson_low": low, "wilson_high": high}
        drawn = scorable.sum(axis=1)
        right = (self.correctness >= 1.0).sum(axis=1)
        for k in pass_at:
            chances = [pass_at_k(int(n), int(c), k) for n, c in zip(drawn, right, strict=True)]
            known = [chance for chance in chances if chance is not None]
            if known:
                metrics[f"pass@{k}"] = float(np.mean(known))
        return metrics


def write_outcomes(path: Path, groups: Sequence[Group], *, keep_text: bool) -> None:
    """One Parquet row a sample: prompt, number, reward, correctness, verdict, finish, length."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        (group.prompt_id, k, trajectory)
        for group in groups
        for k, trajectory in enumerate(group.trajectories)
    ]
    verdicts = [t.verdict for _, _, t in rows]
    columns = {
        "prompt_id": pa.array([i for i, _, _ in rows], pa.string()),
        "sample": pa.array([k for _, k, _ in rows], pa.int32()),
        "reward": pa.array([t.reward for _, _, t in rows], pa.float64()),
        "correctness": pa.array([t.correctness for _, _, t in rows], pa.float64()),
        "status": pa.array([v and v.status for v in verdicts], pa.string()),
        "extracted": pa.array([v and v.extracted for v in verdicts], pa.string()),
        "finish": pa.array([t.finish for _, _, t in rows], pa.string()),
        "length": pa.array([len(t.token_ids) for _, _, t in rows], pa.int32()),
    }
    if keep_text:
        columns["text"] = pa.array([t.text for _, _, t in rows], pa.string())
    write_atomically(path, lambda part: pq.write_table(pa.table(columns), part))


def read_outcomes(path: Path) -> Outcomes:
    """What ``write_outcomes`` wrote, without statuses and texts.

    In a file of before there was a correctness, the reward was that.
    """
    import pyarrow.parquet as pq

    right = "correctness" if "correctness" in pq.read_schema(path).names else "reward"
    names = ["prompt_id", "sample", right, "extracted", "finish", "length"]
    table = pq.read_table(path, columns=names)
    samples = int(max(table["sample"].to_pylist())) + 1
    shape = (len(table) // samples, samples)
    correctness = [np.nan if c is None else c for c in table[right].to_pylist()]
    return Outcomes(
        prompt_ids=tuple(table["prompt_id"].to_pylist()[::samples]),
        correctness=np.array(correctness, dtype=np.float64).reshape(shape),
        answered=table["extracted"].is_valid().to_numpy().reshape(shape),
        truncated=np.array([f == "length" for f in table["finish"].to_pylist()]).reshape(shape),
        lengths=np.array(table["length"].to_pylist(), dtype=np.int32).reshape(shape),
    )
