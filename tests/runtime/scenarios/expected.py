"""What each scenario program must be counted as, by program name.

`Expected` holds the counters of ``RunMetrics``. Tokens are not listed: they must equal what the
endpoint itself counted, unless `reads_reply` is False.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Protocol = Literal["openai", "ollama"]
PROTOCOLS: tuple[Protocol, ...] = ("openai", "ollama")


@dataclass(frozen=True)
class Expected:
    """The metrics of one scenario.

    ``requests`` is what the endpoint's log shows; it differs from ``llm_calls`` only where the
    provider's client retries by itself.
    """

    llm_calls: int
    samples_generated: int
    repair_attempts: int = 0
    loop_iterations: int = 0
    loops_exhausted: int = 0
    resamples: int = 0
    judge_calls: int = 0
    failed_calls: int = 0
    cancelled_calls: int = 0
    unfinished_calls: int = 0
    calls_without_usage: int = 0
    requests: int | None = None
    exit_code: int = 0
    reads_reply: bool = True

    def metrics(self) -> dict[str, Any]:
        """The counters under their ``RunMetrics`` names."""
        others = {"requests", "exit_code", "reads_reply"}
        return {name: value for name, value in vars(self).items() if name not in others}


_EVERYWHERE = {
    "rejection": Expected(3, 3, repair_attempts=2, loop_iterations=3, resamples=2),
    "repair_template": Expected(2, 2, repair_attempts=1, loop_iterations=2),
    "judge": Expected(4, 2, repair_attempts=1, loop_iterations=2, resamples=1, judge_calls=2),
    "multi_turn": Expected(3, 3, repair_attempts=2, loop_iterations=3),
    "exhausted": Expected(
        2, 2, repair_attempts=1, loop_iterations=2, resamples=1, loops_exhausted=1
    ),
    "concurrent_chains": Expected(
        6, 6, repair_attempts=3, loop_iterations=6, resamples=3, loops_exhausted=1
    ),
    "cancelled_losers": Expected(3, 1, loop_iterations=3, cancelled_calls=2, calls_without_usage=2),
    "majority_vote": Expected(4, 4, loop_iterations=4),
    "sofai": Expected(4, 4, repair_attempts=3, loop_iterations=4),
    "generative": Expected(1, 1),
    "unparsable": Expected(1, 1, exit_code=1),
    "chat": Expected(2, 2),
    "lazy_gather": Expected(8, 8),
    "never_awaited": Expected(1, 0, unfinished_calls=1, reads_reply=False),
    "react": Expected(2, 2, loop_iterations=2),
    "raw_batch": Expected(1, 3),
    "streaming": Expected(1, 1),
    "streaming_without_usage": Expected(1, 1, calls_without_usage=1),
    "http_500": Expected(1, 0, failed_calls=1, exit_code=1),
    "user_strategy": Expected(2, 2, repair_attempts=1, loop_iterations=2, resamples=1),
}
EXPECTED: dict[Protocol, dict[str, Expected]] = {
    "openai": {
        **_EVERYWHERE,
        "http_500": replace(_EVERYWHERE["http_500"], requests=3),
    },
    "ollama": {
        **_EVERYWHERE,
        "raw_batch": Expected(3, 3),
        "budget_forcing": Expected(4, 2, repair_attempts=1, loop_iterations=2, resamples=1),
    },
}
"""By protocol and program. Budget forcing exists over Ollama only."""
