"""Prompts from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cropi.benchmarks.rows import Rows
from cropi.runtime.errors import DataError
from cropi.runtime.parts import part


@part
class Hub(Rows):
    """A data set by its id. Several ``configs`` are read one after the other."""

    path: str
    split: str
    configs: list[str] | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        return f"{self.path.rpartition('/')[2]}/{self.split}"

    def rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Rows of every config. Raises DataError when the hub or the data set is out of reach."""
        configs: list[str] | list[None] = self.configs or [None]
        for config in configs:
            where = f"{self.path}{f' ({config})' if config else ''} {self.split}"
            for number, row in enumerate(self._table(config), start=1):
                yield f"{where}, row {number}", row

    def _table(self, config: str | None) -> Any:
        import datasets

        try:
            return datasets.load_dataset(
                self.path, config, split=self.split, revision=self.revision
            )
        # What the hub client raises when offline, refused, or asked for what is not there.
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(
                f"the data set {self.path} (config {config or 'default'}, split {self.split}, "
                f"revision {self.revision or 'latest'}) cannot be loaded: {reason}\n"
                f"Check the names and the network, sign in with `hf auth login` if it is gated, "
                f"or download it elsewhere and use benchmark=local"
            ) from error
