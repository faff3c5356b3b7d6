"""The full reference: every key of every option with its comment, as one YAML text.

Kept in docs/reference.yaml, so that a change of any default shows up as a diff:
``cropi config > docs/reference.yaml``.
"""

from __future__ import annotations

import textwrap

from cropi import catalogue
from cropi.runtime.errors import CropiError, did_you_mean

HEADER = """\
# Every key of cropi with its meaning and default, printed by `cropi config`. Do not edit.
# First the root keys as in conf/config.yaml; then, for each group, each of its options.
"""


def reference(group: str | None = None) -> str:
    """The reference of everything, or of one group. Raises CropiError for an unknown group."""
    groups = catalogue.options()
    if group is not None and group not in groups:
        raise CropiError(
            f"{group}: there is no such group{did_you_mean(group, groups)}; "
            f"the groups are {', '.join(groups)}"
        )
    blocks = [] if group else [HEADER, catalogue.root_text().rstrip("\n") + "\n"]
    for name in groups if group is None else [group]:
        question = catalogue.QUESTIONS.get(name)
        lines = [f"# {name}: {question}", f"{name}:"] if question else [f"{name}:"]
        for option in groups[name].values():
            lines += [f"  {option.name}:", textwrap.indent(option.text.rstrip("\n"), "    "), ""]
        blocks.append("\n".join(lines))
    return "\n".join(blocks).rstrip("\n") + "\n"
