from mellea import start_session


def session(name):
    return start_session(name, "gpt-4o")


print(session("open-ai").instruct("Name a city."))
