"""Called as `session_from_callable:summary`."""

from mellea import start_session


def summary(text: str) -> str:
    m = start_session("openai", "gpt-4o")
    return str(m.instruct(f"Summarise: {text}", strategy=None))
