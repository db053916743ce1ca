from mellea import start_session


def score(m, text):
    return int(str(m.instruct(f"Score from 1 to 10, only the number: {text}", strategy=None)))


print(score(start_session("openai", "gpt-4o"), "Lovely rooms."))
