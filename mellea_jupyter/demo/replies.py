"""Chooses the demo model's reply to a request: deterministic, from the request itself.

A first answer to a prompt with requirements is careless on purpose, so that a newcomer sees a
requirement fail and a repair succeed; the next answer to it fulfils what `wishes` understands.
Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from .schema_values import value_for_schema
from .wire import LlmRequest, Reply, ToolCall
from .wishes import DRAFT_MARK, Wish, read_wish

JUDGE_OPENING = "Check whether the output below satisfies the requirement below."
"""How mellea's judge prompt begins. **Source:** mellea 0.8.0, ``Requirement.jinja2``."""
REPAIR_PHRASES = ("The following requirements failed before:", "have not been met:")
"""How mellea's repair prompts can be told. **Source:** mellea 0.8.0, ``sampling/base.py``."""
_REQUIREMENTS = re.compile(
    r"(?:[Ff]ulfills? the following requirements|Postconditions|requirements have not been met"
    r"|requirements failed before):\s*\n((?:\s*[*-] .*\n?)+)"
)
_BULLET = re.compile(r"^\s*[*-] (.*)$", re.MULTILINE)
_JUDGED = re.compile(r"Output:(?P<output>.*)\n\s*Requirement:(?P<requirement>.*)", re.DOTALL)
_FINAL_ANSWER = "final_answer"
_FILLER = (
    "No language model wrote it.",
    "The demo model chooses its words from the request alone.",
    "The same request always gets the same words.",
    "Real models will answer in their own way.",
    "Everything else you see here is real.",
)


def compose(request: LlmRequest, attempt: int) -> Reply:
    """Make the reply to a request that has been made ``attempt`` times, this one included."""
    user_texts = [m["content"] for m in request.messages if m["role"] == "user"]
    prompt = (user_texts or list(request.prompts) or [""])[-1]
    if JUDGE_OPENING in prompt:
        return Reply("yes" if judge(prompt) else "no")
    if request.schema:
        seed = f"{prompt}\0{attempt}"
        return Reply(json.dumps(value_for_schema(request.schema, seed)))
    requirements = [line for text in user_texts for line in requirements_of(text)]
    topic = topic_of(user_texts[0] if user_texts else prompt)
    is_repair = any(phrase in prompt for phrase in REPAIR_PHRASES)
    wish = read_wish(requirements)
    if requirements and attempt % 2 and not is_repair:
        return Reply(write_draft(topic, wish))
    text = write_reply(topic, wish)
    call = _tool_call(request, prompt, text)
    return Reply("", tool_calls=[call]) if call is not None else Reply(text)


def judge(prompt: str) -> bool:
    """Decide mellea's judge prompt: whether its output meets its requirement."""
    found = _JUDGED.search(prompt)
    if found is None:
        return True
    return read_wish([found["requirement"].strip()]).is_met_by(found["output"].strip())


def requirements_of(prompt: str) -> list[str]:
    """The requirements that mellea lists in a prompt, one a line."""
    return [
        line.strip()
        for block in _REQUIREMENTS.findall(prompt)
        for line in _BULLET.findall(block)
        if line.strip()
    ]


def topic_of(prompt: str) -> str:
    """The first words of a prompt, to show what the reply belongs to."""
    words = prompt.split("\n", 1)[0].split()[:8]
    return " ".join(words).rstrip(".,:;!?") or "nothing"


def write_draft(topic: str, wish: Wish) -> str:
    """A careless text: too long, or too short, and without what it should mention."""
    text = f"This is a scripted {DRAFT_MARK} about: {topic}."
    if wish.max_words is None:
        return text
    return _extend([text], wish.max_words + 10, ends_early=False)


def write_reply(topic: str, wish: Wish) -> str:
    """A text that meets the wish, where a few fixed sentences can."""
    body = [f"This is a scripted demo reply about: {topic}."]
    body += [f"It mentions {mention}." for mention in wish.mentions]
    if wish.sentences is not None:
        body = _exactly(body, wish.sentences, wish.mentions)
    text = _extend(body, wish.min_words or 0, ends_early=wish.sentences is not None)
    if wish.max_words is not None and len(text.split()) > wish.max_words:
        text = _shorten(wish)
    if wish.has_bullets:
        text = "\n".join(f"- {sentence}" for sentence in re.split(r"(?<=\.) ", text))
    text = f"{wish.start}{' ' if wish.start else ''}{text}"
    text = text.lower() if wish.case == "lower" else text
    text = text.upper() if wish.case == "upper" else text
    return f"{text} {wish.end}" if wish.end and not text.endswith(wish.end) else text


def _exactly(body: Sequence[str], sentences: int, mentions: Sequence[str]) -> list[str]:
    """That many sentences, with every mention among them."""
    if len(body) > sentences:
        listed = " and ".join(mentions)
        body = [f"{body[0].rstrip('.')}, which mentions {listed}."]
    return [*body, *(_FILLER * sentences)][:sentences]


def _extend(body: Sequence[str], words: int, *, ends_early: bool) -> str:
    """Append sentences until there are that many words; ``ends_early`` lengthens the last."""
    text, position = " ".join(body), 0
    while len(text.split()) < words:
        filler = _FILLER[position % len(_FILLER)]
        text = f"{text.rstrip('.')}, and more." if ends_early else f"{text} {filler}"
        position += 1
    return text


def _shorten(wish: Wish) -> str:
    """The mentions and little else, in at most the words allowed."""
    words = f"Scripted reply: {', '.join(wish.mentions) or 'short'}.".split()
    most = wish.max_words or 1
    return " ".join(words if len(words) <= most else words[-most:])


def _tool_call(request: LlmRequest, prompt: str, answer: str) -> ToolCall | None:
    """Use a tool once if the request offers one, then give the final answer."""
    functions = {tool["function"]["name"]: tool["function"] for tool in request.tools}
    has_used_one = any(message["role"] == "tool" for message in request.messages)
    others = [name for name in functions if name != _FINAL_ANSWER]
    if others and not has_used_one:
        parameters = functions[others[0]].get("parameters") or {}
        return ToolCall(others[0], value_for_schema({"type": "object", **parameters}, prompt))
    if _FINAL_ANSWER in functions:
        return ToolCall(_FINAL_ANSWER, {"answer": answer})
    return None
