"""Observes mellea inside the running program: wraps its functions and emits journal frames.

`install` is called once mellea is imported. It wraps, never hooks: mellea's own plugin system
needs an extra package, misses strategies with their own loop and copies whole conversations.
What cannot be wrapped is reported once as ``degraded`` and left out. An error in here never
reaches the program; only `BudgetExceeded` does, which is meant to. Standard library only.

**Source:** mellea 0.8.0, ``mellea/core/backend.py``, ``core/base.py``, ``core/requirement.py``,
``core/sampling.py``.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from . import llm_events_content as content
from .best_attempt import BestAttempts
from .budget import Budget, BudgetExceeded, Ticket, Wish
from .llm_events_recorder import ATTEMPT, CALL, CHECK, INSIDE, LOOP, Call, Recorder
from .spec import DEFAULT_ASK_SECONDS

__all__ = ["BudgetExceeded", "install", "uninstall"]

_MARK = "__mellea_jupyter_original__"
_ONE_REQUEST_A_PROMPT = frozenset({"ollama"})
"""Providers whose backend sends a raw batch as one request a prompt; others send one."""

_RAW_USAGE: ContextVar[dict[str, Any] | None] = ContextVar("mellea_jupyter_raw", default=None)
"""Where the private method leaves the usage of the raw batch that is being made."""


class _State:
    """The recorder in charge, and what to put back on `uninstall`."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.channel: Any = None
        self.undo: list[tuple[Any, str, Any]] = []


_state = _State()


def install(
    channel: Any,
    *,
    capture_content: bool = True,
    max_llm_calls: int | None = None,
    max_cost_usd: str | None = None,
    asks: bool = False,
    ask_seconds: float = DEFAULT_ASK_SECONDS,
    run_dir: str = "",
    output_dir: str | None = None,
    content_limit_bytes: int = 16384,
) -> None:
    """Begin to observe mellea, which must be importable; emit to ``channel.emit(kind, **fields)``.

    Idempotent: a second call with the same channel changes nothing, one with another channel
    begins a new run, counting from 1, without wrapping twice.

    Args:
        channel: Where frames go. What its ``emit`` raises is ignored.
        capture_content: Whether prompts, replies and reasons go into the frames.
        max_llm_calls: The call after this many raises `BudgetExceeded`.
        max_cost_usd: A call that would cost more raises it, too (`budget.py`); decimal text.
        asks: Whether to ask before that, and wait for the answer.
        ask_seconds: How long to wait.
        run_dir: Where prices lie and answers come.
        output_dir: Where the best attempt is kept when a call is refused; None keeps none.
        content_limit_bytes: The most of a prompt, and of a reply, that goes into a frame.
    """
    if _state.recorder is not None and _state.channel is channel:
        return
    best = None
    if output_dir is not None and (max_llm_calls is not None or max_cost_usd is not None):
        best = BestAttempts(output_dir, capture_content=capture_content)
    recorder = Recorder(
        channel.emit,
        capture_content=capture_content,
        best=best,
        budget=Budget(
            channel.emit,
            max_llm_calls=max_llm_calls,
            max_cost_usd=max_cost_usd,
            asks=asks,
            ask_seconds=ask_seconds,
            run_dir=run_dir,
            on_stop=lambda: recorder.guard(recorder.keep_best),
        ),
        content_limit_bytes=content_limit_bytes,
    )
    _state.recorder, _state.channel = recorder, channel
    missing: list[str] = []
    for wrap in (_wrap_backend, _wrap_thunk, _wrap_requirements, _wrap_strategies, _wrap_tools):
        try:
            missing.extend(wrap())
        except Exception as error:  # an unknown mellea must not stop the program
            missing.append(f"{wrap.__name__.strip('_')}: {type(error).__name__}")
    if missing:
        recorder.guard(recorder.degraded, missing, _mellea_version())


def uninstall() -> None:
    """Put mellea's own functions back and stop emitting. Calls in flight end unobserved."""
    _state.recorder = _state.channel = None
    while _state.undo:
        owner, name, original = _state.undo.pop()
        if original is None:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


# Calls


def _wrap_backend() -> list[str]:
    """Observe `generate_from_context` and `generate_from_raw` of every backend."""
    from mellea.core.backend import Backend

    missing = _replace(Backend, "generate_from_context", _observe_generate)
    missing += _replace(Backend, "generate_from_raw", _observe_raw)
    annotations = getattr(Backend, "__annotations__", {})
    for name in ("_model_id", "_provider"):
        if name not in annotations and not hasattr(Backend, name):
            missing.append(f"Backend.{name}")
    if not hasattr(Backend, "_generate_from_raw"):
        missing.append("Backend._generate_from_raw")
    return missing


def _observe_generate(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def generate_from_context(self: Any, action: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _state.recorder
        if recorder is None:
            return await original(self, action, *args, **kwargs)
        ticket = await _take(recorder, _wish(recorder, self, [action], args, kwargs))
        call = recorder.guard(recorder.call_started, self, action)
        if call is None:
            return await original(self, action, *args, **kwargs)
        call.ticket = ticket
        try:
            result = await original(self, action, *args, **kwargs)
        except BaseException as error:
            recorder.guard(recorder.call_failed, call, error)
            raise
        recorder.guard(_follow_thunk, recorder, call, result)
        return result

    return generate_from_context


async def _take(recorder: Recorder, wish: Wish) -> Ticket | None:
    """Take a call from the budget; the loops around it know of a refusal.

    Raises:
        BudgetExceeded: The call may not be made.
    """
    try:
        return await recorder.budget.take(wish)
    except BudgetExceeded as error:
        loop = LOOP.get()
        while loop is not None:
            loop.refusal = error
            loop = loop.parent
        raise


def _wish(
    recorder: Recorder,
    backend: Any,
    actions: list[Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    calls: int = 1,
) -> Wish:
    """What the budget has to know of a call: cheap to tell, and nothing where none is counted."""
    provider = content.name_of(getattr(backend, "_provider", None))
    model = content.name_of(getattr(backend, "_model_id", None))
    wish = Wish(provider, model, INSIDE.get() or "answer", calls=calls)
    if recorder.budget.counts_money:
        context = args[0] if args else kwargs.get("ctx")
        wish.characters = recorder.guard(content.prompt_characters, actions, context) or 0
        options = kwargs.get("model_options")
        wish.max_output = recorder.guard(content.most_output_tokens, backend, options)
    return wish


def _follow_thunk(recorder: Recorder, call: Call, result: Any) -> None:
    """Tie the call to its thunk, whose computation ends it: at once if it is computed already."""
    thunk = result[0]
    thunk.__dict__[CALL] = call
    if getattr(thunk, "_computed", True):
        recorder.call_finished(call, thunk)


def _observe_raw(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def generate_from_raw(self: Any, actions: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _state.recorder
        if recorder is None:
            return await original(self, actions, *args, **kwargs)
        provider = getattr(self, "_provider", None)
        requests = len(actions) if provider in _ONE_REQUEST_A_PROMPT else 1
        wish = _wish(recorder, self, list(actions), args, kwargs, calls=requests)
        ticket = await _take(recorder, wish)
        recorder.guard(_wrap_private_raw, type(self))
        call = recorder.guard(recorder.raw_started, self, actions, requests)
        if call is not None:
            call.ticket = ticket
        usage: dict[str, Any] = {}
        token = _RAW_USAGE.set(usage)
        try:
            results = await original(self, actions, *args, **kwargs)
        except BaseException as error:
            if call is not None:
                recorder.guard(recorder.call_failed, call, error)
            raise
        finally:
            _reset(token)
        if call is not None:
            recorder.guard(recorder.raw_finished, call, results, usage.get("usage"))
        return results

    return generate_from_raw


def _wrap_private_raw(backend_class: type) -> None:
    """Keep the usage of a whole batch, which the public method drops."""
    for owner in backend_class.__mro__:
        if "_generate_from_raw" in owner.__dict__:
            _replace(owner, "_generate_from_raw", _keep_usage)
            return


def _keep_usage(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _generate_from_raw(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await original(self, *args, **kwargs)
        holder = _RAW_USAGE.get()
        if holder is not None and isinstance(answer, tuple) and len(answer) == 2:
            holder["usage"] = answer[1]
        return answer

    return _generate_from_raw


# Lazy replies


def _wrap_thunk() -> list[str]:
    """Observe where a lazy reply completes, fails or is cancelled."""
    from mellea.core.base import ModelOutputThunk

    missing = _replace(ModelOutputThunk, "astream", _observe_stream)
    missing += _replace(ModelOutputThunk, "cancel_generation", _observe_cancel)
    blank = vars(ModelOutputThunk(value=None))
    expected = ("_computed", "_generate_log", "_underlying_value", "generation")
    return missing + [f"ModelOutputThunk.{name}" for name in expected if name not in blank]


def _observe_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def astream(self: Any) -> Any:
        call, recorder = self.__dict__.get(CALL), _state.recorder
        if call is None or recorder is None:
            return await original(self)
        try:
            delta = await original(self)
        except BaseException as error:
            # Computed: the reply has arrived and only parsing it failed.
            ended = recorder.call_finished if self._computed else recorder.call_failed
            recorder.guard(ended, call, self if self._computed else error)
            raise
        if self._computed:
            recorder.guard(recorder.call_finished, call, self)
        return delta

    return astream


def _observe_cancel(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def cancel_generation(self: Any, error: Exception | None = None) -> Any:
        call, recorder = self.__dict__.get(CALL), _state.recorder
        if call is None or recorder is None or self._computed:
            return await original(self, error)
        try:
            return await original(self, error)
        finally:
            cause = error or RuntimeError("generation cancelled by the program")
            recorder.guard(recorder.call_cancelled, call, cause)

    return cancel_generation


# Requirements, strategies, tools


def _wrap_requirements() -> list[str]:
    from mellea.core.requirement import Requirement

    return _replace_everywhere(Requirement, "validate", _observe_validate)


def _observe_validate(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def validate(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _state.recorder
        if recorder is None or INSIDE.get() == "judge":  # a part of another requirement's verdict
            return await original(self, *args, **kwargs)
        check = recorder.guard(recorder.check_started, self)
        tokens: tuple[Token[Any], ...] = (INSIDE.set("judge"), CHECK.set(check))
        started = time.perf_counter()
        try:
            result = await original(self, *args, **kwargs)
        finally:
            for token in tokens:
                _reset(token)
        latency_ms = (time.perf_counter() - started) * 1000
        recorder.guard(recorder.verdict, check, self, result, latency_ms)
        return result

    return validate


def _wrap_strategies() -> list[str]:
    from mellea.core.sampling import SamplingStrategy

    return _replace_everywhere(SamplingStrategy, "sample", _observe_sample)


def _observe_sample(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def sample(self: Any, action: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _state.recorder
        if recorder is None or INSIDE.get() == "judge":
            return await original(self, action, *args, **kwargs)
        requirements = args[2] if len(args) > 2 else kwargs.get("requirements")
        loop = recorder.guard(recorder.loop_started, self, action, requirements)
        if loop is None:
            return await original(self, action, *args, **kwargs)
        tokens: tuple[Token[Any], ...] = (LOOP.set(loop), ATTEMPT.set(None), INSIDE.set(""))
        result, failure = None, None
        try:
            result = await original(self, action, *args, **kwargs)
            if loop.refusal is not None and not getattr(result, "success", False):
                # The strategy takes what its attempts raise for attempts that failed. Without a
                # result that meets the requirements, the program has to hear of the budget.
                recorder.guard(recorder.keep_best)
                raise loop.refusal  # noqa: TRY301 - the loop ends with it
        except BaseException as error:
            failure = error
            raise
        finally:
            for token in tokens:
                _reset(token)
            recorder.guard(recorder.loop_ended, loop, self, result, failure)
        return result

    return sample


def _wrap_tools() -> list[str]:
    """Mark calls that a tool makes while the program runs it."""
    from mellea.core.base import ModelToolCall

    return _replace(ModelToolCall, "call_func", _observe_tool)


def _observe_tool(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call_func(self: Any) -> Any:
        if _state.recorder is None or INSIDE.get():
            return original(self)
        token = INSIDE.set("tool")
        try:
            return original(self)
        finally:
            _reset(token)

    return call_func


# Wrapping


def _replace(
    owner: type, name: str, observe: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> list[str]:
    """Wrap ``owner``'s own method once; return its name in a list when there is none."""
    original = owner.__dict__.get(name)
    if not inspect.isfunction(original):
        return [f"{owner.__name__}.{name}"]
    if not hasattr(original, _MARK):
        wrapper = observe(original)
        setattr(wrapper, _MARK, original)
        setattr(owner, name, wrapper)
        _state.undo.append((owner, name, original))
    return []


def _replace_everywhere(
    base: Any, name: str, observe: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> list[str]:
    """Wrap ``name`` on ``base``, on each subclass that defines it, and on classes still to come."""
    if not inspect.isfunction(getattr(base, name, None)):
        return [f"{base.__name__}.{name}"]

    def wrap_own(cls: Any) -> None:
        own = cls.__dict__.get(name)
        if inspect.isfunction(own) and not getattr(own, "__isabstractmethod__", False):
            _replace(cls, name, observe)

    def wrap_tree(cls: Any) -> None:
        wrap_own(cls)
        for subclass in cls.__subclasses__():
            wrap_tree(subclass)

    wrap_tree(base)
    inherited = base.__dict__.get("__init_subclass__")
    if hasattr(getattr(inherited, "__func__", None), _MARK):
        return []

    def init_subclass(cls: Any, /, **kwargs: Any) -> None:
        if inherited is not None:
            inherited.__func__(cls, **kwargs)
        else:
            super(base, cls).__init_subclass__(**kwargs)
        wrap_own(cls)

    setattr(init_subclass, _MARK, inherited)
    base.__init_subclass__ = classmethod(init_subclass)
    _state.undo.append((base, "__init_subclass__", inherited))
    return []


def _reset(token: Token[Any]) -> None:
    """Reset a context variable; a coroutine that is closed elsewhere has nothing to reset."""
    try:
        token.var.reset(token)
    except ValueError:
        pass


def _mellea_version() -> str | None:
    from importlib import metadata

    try:
        return metadata.version("mellea")
    except metadata.PackageNotFoundError:
        return None
