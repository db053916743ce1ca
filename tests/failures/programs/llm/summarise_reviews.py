"""Summarises reviews one by one with OpenAI."""

from mellea import start_session

REVIEWS = ["Lovely rooms, noisy street.", "The breakfast alone is worth it."]


def summarise(m, review):
    return str(m.instruct("Summarise in five words: {{review}}", user_variables={"review": review}))


def main():
    m = start_session("openai", "gpt-4o")
    for review in REVIEWS:
        print(summarise(m, review))


if __name__ == "__main__":
    main()
