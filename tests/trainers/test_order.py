"""The endless order of prompts."""

from __future__ import annotations

from cropi.trainers.order import prompts_at

IDS = ["a", "b", "c", "d", "e"]


def take(start: int, count: int, *, seed: int = 0, phase: int = 0, order: str = "shuffled") -> str:
    return "".join(
        prompts_at(IDS, start, count, seed=seed, phase=phase, order=order)
    )


def test_every_epoch_is_another_permutation() -> None:
    # Pitfall 30.
    epochs = [take(5 * e, 5) for e in range(8)]
    assert all(sorted(epoch) == IDS for epoch in epochs)
    assert len(set(epochs)) > 5
    assert epochs == [take(5 * e, 5) for e in range(8)]


def test_any_place_can_be_found_again() -> None:
    # Pitfall 25: batches of 3 over epochs of 5, from the start or from the middle.
    whole = take(0, 60)
    assert "".join(take(start, 3) for start in range(0, 60, 3)) == whole
    assert take(17, 9) == whole[17:26]


def test_phases_and_seeds_have_orders_of_their_own() -> None:
    # Pitfall 34: seed 0 is a seed.
    assert take(0, 20) == take(0, 20, seed=0)
    assert len({take(0, 20), take(0, 20, seed=1), take(0, 20, phase=1)}) == 3


def test_a_chosen_order_is_kept() -> None:
    # Pitfall 29.
    chosen = prompts_at(["3", "1", "2"], 0, 7, seed=0, phase=0, order="as_selected")
    assert chosen == list("3123123")


def test_a_selection_smaller_than_a_batch_wraps() -> None:
    batch = prompts_at(["a", "b"], 3, 5, seed=0, phase=0, order="shuffled")
    assert len(batch) == 5
    assert {batch.count("a"), batch.count("b")} == {2, 3}
