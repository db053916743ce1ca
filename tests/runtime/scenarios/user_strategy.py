"""A strategy of the program's own, declared after mellea is observed, that calls its base."""

from typing import Any

from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy


class Patient(RejectionSamplingStrategy):
    """Rejection sampling that says how it went."""

    async def sample(self, *args: Any, **options: Any) -> Any:
        result = await super().sample(*args, **options)
        print("passed" if result.success else "failed")
        return result


m = session()
script("bad", "OK good")
strategy = Patient(loop_budget=3)
print(m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy))
