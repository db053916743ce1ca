"""A mellea program in an environment without mellea."""

from mellea import start_session


def main():
    m = start_session("openai", "gpt-4o")
    print(m.instruct("Name a city."))


main()
