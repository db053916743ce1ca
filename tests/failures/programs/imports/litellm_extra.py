from mellea import start_session


def main():
    m = start_session("litellm", "anthropic/claude-sonnet-4-5")
    print(m.instruct("Name a city."))


main()
