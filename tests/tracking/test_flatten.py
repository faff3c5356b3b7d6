from __future__ import annotations

from cropi.tracking.flatten import flatten


def test_names_are_dotted_and_values_kept() -> None:
    config = {"seed": 0, "selector": {"alpha": 0.1, "ways": ["a", "b"]}, "name": None}
    assert flatten(config) == {
        "seed": 0, "selector.alpha": 0.1, "selector.ways": ["a", "b"], "name": None
    }


def test_lists_of_nodes_are_numbered() -> None:
    config = {"sources": [{"path": "a.jsonl"}, {"path": "b.jsonl"}], "empty": []}
    assert flatten(config) == {
        "sources.0.path": "a.jsonl", "sources.1.path": "b.jsonl", "empty": []
    }


def test_whatever_looks_like_a_secret_is_dropped() -> None:  # hydra_ux 26
    config = {
        "tracker": {"api_key": "s", "key": "s", "project": "p"},
        "hub": {"token": "s", "hf_token": "s", "password": {"deep": "s"}},
        "sources": [{"secret": "s", "path": "x"}],
        "WANDB-API-KEY": "s",
        "credentials": "s",
        "offline": {"max_new_tokens": 8, "keyboard": 1, "tokenizer": "t"},
    }
    flat = flatten(config)
    assert "s" not in flat.values()
    assert flat == {
        "tracker.project": "p", "sources.0.path": "x", "offline.max_new_tokens": 8,
        "offline.keyboard": 1, "offline.tokenizer": "t",
    }
