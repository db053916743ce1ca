from mellea import start_session


class StepFailed(Exception):
    pass


def step(m, number):
    try:
        return str(m.instruct(f"Step {number}.", strategy=None))
    except RuntimeError as error:
        raise StepFailed(f"step {number}") from error


m = start_session("openai", "gpt-4o")
for number in range(5):
    print(step(m, number))
