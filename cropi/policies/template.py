"""How a question becomes the token ids that a policy sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cropi.runtime.errors import CropiError
from cropi.runtime.parts import Part, part
from cropi.types import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@part
class PromptTemplate(Part):
    """Wraps a question: user text, optional system text, worked examples, chat markup.

    ``user`` must hold ``{question}``. ``examples`` are pairs ``[question, answer]`` shown before
    it, as earlier turns in a chat, or one after the other in plain text. Without ``chat`` the
    text is the system text, the examples and the question, joined by blank lines.
    """

    user: str = "{question}"
    system: str | None = None
    chat: bool = True
    examples: list[list[str]] | None = None

    def __post_init__(self) -> None:
        if "{question}" not in self.user:
            raise ValueError("user must contain {question}")
        if any(len(pair) != 2 for pair in self.examples or []):
            raise ValueError("each example is a pair [question, answer]")

    def _fill(self, question: str) -> str:
        # str.replace, not str.format: questions are full of braces.
        return self.user.replace("{question}", question)

    def messages(self, question: str) -> list[dict[str, str]]:
        """The chat turns that lead to the answer."""
        turns = [] if self.system is None else [{"role": "system", "content": self.system}]
        for asked, answered in self.examples or []:
            turns.append({"role": "user", "content": self._fill(asked)})
            turns.append({"role": "assistant", "content": answered})
        return [*turns, {"role": "user", "content": self._fill(question)}]

    def plain(self, question: str) -> str:
        """The same without chat markup."""
        head = [] if self.system is None else [self.system]
        shown = [f"{self._fill(asked)}{answered}" for asked, answered in self.examples or []]
        return "\n\n".join([*head, *shown, self._fill(question)])

    def encode(self, tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> tuple[int, ...]:
        """Token ids. Raises CropiError when the tokenizer cannot spell the question."""
        if self.chat:
            ids = tokenizer.apply_chat_template(
                self.messages(prompt.question), add_generation_prompt=True, return_dict=False
            )
        else:
            ids = tokenizer(self.plain(prompt.question))["input_ids"]
        if not ids:
            raise CropiError(f"prompt {prompt.id} ({prompt.source}) has no tokens")
        unknown = tokenizer.unk_token_id
        if unknown is not None and unknown in ids:
            raise CropiError(
                f"the model's tokenizer cannot spell prompt {prompt.id} of {prompt.source}: "
                f"{prompt.question[:60]!r}. Choose a model that reads this benchmark, "
                f"such as model=smollm2_135m, or benchmark=arithmetic for model=tiny"
            )
        return tuple(int(i) for i in ids)
