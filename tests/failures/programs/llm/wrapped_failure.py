"""Names its own error for whatever goes wrong with the model."""

from mellea import start_session


class ReportFailed(RuntimeError):
    """The report could not be written."""


def write(m, topic):
    try:
        return str(m.instruct(f"Report on {topic}.", strategy=None))
    except Exception as error:
        raise ReportFailed(f"no report on {topic}") from error


def main():
    print(write(start_session("openai", "gpt-4o"), "tides"))


main()
