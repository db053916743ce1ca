"""Steer a program's model from outside, without editing it.

`default` fills in what the program left out of `start_session` or `start_backend`; `force` also
replaces what it said, and the backends it builds itself, with a remark; `off` does nothing. The
models really used are recorded from the calls, never from here.

Source: the signatures of mellea 0.8 (`mellea.stdlib.session`, `mellea.stdlib.start_backend`,
`mellea.backends.*`).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .control import Channel
from .post_import import when_imported

BACKENDS = {
    "ollama": ("mellea.backends.ollama", "OllamaModelBackend"),
    "openai": ("mellea.backends.openai", "OpenAIBackend"),
    "litellm": ("mellea.backends.litellm", "LiteLLMBackend"),
    "watsonx": ("mellea.backends.watsonx", "WatsonxAIBackend"),
    "hf": ("mellea.backends.huggingface", "LocalHFBackend"),
}
"""mellea's backend names with the module and class behind each."""

ENTRY_POINTS = {
    "start_session": "mellea.stdlib.session",
    "start_backend": "mellea.stdlib.start_backend",
}


class UnknownModel(ValueError):
    """The configured model cannot be used in this environment; the text says what to do."""


class Target(NamedTuple):
    """A backend name of mellea and the model's name within it."""

    backend: str
    model: str


def resolve_model(model: str) -> Target:
    """What a configured model means to mellea.

    `openai/X`, `ollama/X`, `hf/X`, `watsonx/X` name the backend; `litellm/P/X` gives `P/X` to
    litellm, and so does any other `P/X` where litellm is installed. `demo/scripted` is served over
    the OpenAI protocol. A name without a slash is ollama's, as in mellea itself.

    Raises:
        UnknownModel: The provider needs litellm, which is not installed.
    """
    provider, slash, name = model.partition("/")
    if not slash:
        return Target("ollama", model)
    if provider == "demo":
        return Target("openai", model)
    if provider == "huggingface":
        provider = "hf"
    if provider in BACKENDS and name:
        return Target(provider, name)
    if importlib.util.find_spec("litellm") is None:
        raise UnknownModel(
            f"the model {model!r} needs litellm, which is not installed in this environment: "
            "pip install 'mellea[litellm]', or choose a model that begins with one of "
            f"{', '.join(f'{known}/' for known in BACKENDS)}"
        )
    return Target("litellm", model)


def install(model: Optional[str], mode: str, channel: Channel) -> None:
    """Steer from now on, also when mellea is already imported. No model or `off`: do nothing."""
    if not model or mode == "off":
        return
    steering = Steering(model, channel, is_forced=mode == "force")
    when_imported("mellea", steering.wrap_entry_points)
    if steering.is_forced:
        for backend, (module_name, class_name) in BACKENDS.items():
            wrap = functools.partial(steering.wrap_backend, backend, class_name)
            when_imported(module_name, wrap)


class Steering:
    """The wraps of one run."""

    def __init__(self, model: str, channel: Channel, *, is_forced: bool) -> None:
        self.is_forced = is_forced
        self._configured = model
        self._channel = channel
        self._remarks: List[str] = []

    def wrap_entry_points(self, mellea: ModuleType) -> None:
        """Wrap `start_session` and `start_backend` wherever somebody has imported them to."""
        for name, module_name in ENTRY_POINTS.items():
            original = getattr(sys.modules[module_name], name)
            wrapped = self._wrap_entry_point(original)
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(name) is original:
                    setattr(module, name, wrapped)

    def _wrap_entry_point(self, original: Callable[..., Any]) -> Callable[..., Any]:
        from inspect import signature as signature_of

        signature = signature_of(original)

        @functools.wraps(original)
        def start(*args: Any, **kwargs: Any) -> Any:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:
                return original(*args, **kwargs)  # which raises what the program expects
            wanted = self._choose(given)
            if wanted is None:
                return original(*args, **kwargs)
            arguments = dict(given)
            extra = arguments.pop("backend_kwargs", {})
            if given.get("backend_name", wanted.backend) != wanted.backend:
                extra = {}  # they belong to the other backend, such as its base_url
            arguments.update(extra, backend_name=wanted.backend, model_id=wanted.model)
            return original(**arguments)

        return start

    def _choose(self, given: Dict[str, Any]) -> Optional[Target]:
        """What to start instead of what the program said; None: what it said."""
        backend, model = given.get("backend_name"), given.get("model_id")
        if self.is_forced:
            target = resolve_model(self._configured)
            if (backend or target.backend, model or target.model) != target:
                self._remark(f"{backend or 'ollama'}, {_model_name(model)}")
            return target
        if model is not None:
            return None
        if backend is None:
            return resolve_model(self._configured)
        target = resolve_model(self._configured)
        return target if target.backend == backend else None

    # -- force: backends that the program builds itself -------------------------------------

    def wrap_backend(self, backend: str, class_name: str, module: ModuleType) -> None:
        """Wrap the class so that building it directly gives the forced model, too."""
        cls = getattr(module, class_name)
        target = resolve_model(self._configured)
        if backend == target.backend:
            self._force_model(cls, target)
        else:
            self._force_class(cls, target)

    def _force_model(self, cls: Any, target: Target) -> None:
        """Same backend: its constructor gets the forced model."""
        from inspect import signature as signature_of

        original = cls.__init__
        signature = signature_of(original)

        @functools.wraps(original)
        def init(instance: Any, *args: Any, **kwargs: Any) -> None:
            bound = signature.bind(instance, *args, **kwargs)
            model = bound.arguments.get("model_id")
            if model != target.model:
                self._remark(f"{cls.__name__}, {_model_name(model)}")
                bound.arguments["model_id"] = target.model
            original(*bound.args, **bound.kwargs)

        cls.__init__ = init

    def _force_class(self, cls: Any, target: Target) -> None:
        """Another backend: building it gives an instance of the forced one instead."""

        def new(asked: Any, *args: Any, **kwargs: Any) -> Any:
            if asked is not cls:  # a class of the program's own, which we cannot stand in for
                self._remark(f"{asked.__name__} (kept: it is the program's own backend)")
                return object.__new__(asked)
            self._remark(f"{cls.__name__}, {_model_name(kwargs.get('model_id', args[:1]))}")
            module_name, class_name = BACKENDS[target.backend]
            forced = getattr(importlib.import_module(module_name), class_name)
            return forced(target.model, model_options=kwargs.get("model_options"))

        cls.__new__ = new

    def _remark(self, asked: str) -> None:
        """Say once what the program asked for and what it got."""
        if asked not in self._remarks:
            self._remarks.append(asked)
            self._channel.emit(
                "system",
                level="warn",
                message=f"Model forced to {self._configured}; the program asked for {asked}.",
            )


def _model_name(model: Any) -> str:
    """A model as the program gave it: a text, one of mellea's identifiers, or nothing."""
    if isinstance(model, tuple):
        model = model[0] if model else None
    if model is None:
        return "its default model"
    name = getattr(model, "ollama_name", None) or getattr(model, "hf_model_name", None)
    return str(name or model)
