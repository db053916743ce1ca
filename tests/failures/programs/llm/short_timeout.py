"""A session whose client waits a second."""

from mellea import start_session


def main():
    m = start_session("openai", "gpt-4o", timeout=1, max_retries=0)
    print(m.instruct("Name a city.", strategy=None))


main()
