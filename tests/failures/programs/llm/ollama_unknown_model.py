from mellea import start_session


def main():
    m = start_session("ollama", "granite-of-tomorrow:3b")
    print(m.instruct("Name a city."))


main()
