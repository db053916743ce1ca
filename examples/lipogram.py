"""Ask for a sentence without the letter "e", and run out of attempts.

A requirement that is never met is no error in mellea: the strategy gives back its best failing
sample and the program ends with exit code 0. The run therefore *succeeds*, and says that one loop
ended with its requirements not met. With `strict_requirements` it would be a failed run.

    jupyter mellea run examples/lipogram.py --model demo/scripted
"""

import argparse

from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy


def letters_e(text: str) -> tuple[bool, str]:
    """Count the letters that must not be there."""
    count = text.lower().count("e")
    return count == 0, f'The letter "e" occurs {count} times.'


def main() -> None:
    """Try a few times, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", default="the sea")
    parser.add_argument("--attempts", type=int, default=3)
    args = parser.parse_args()

    result = start_session().instruct(
        f"Write one sentence about {args.subject}.",
        requirements=[
            req('The sentence has no letter "e".', validation_fn=simple_validate(letters_e))
        ],
        strategy=RejectionSamplingStrategy(loop_budget=args.attempts),
        return_sampling_results=True,
    )
    outcome = "met" if result.success else "not met"
    print(f"{outcome} after {len(result.sample_generations)} attempts: {result.result}")


if __name__ == "__main__":
    main()
