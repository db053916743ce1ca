"""The first model is overloaded and the second answers; then comes a mistake of its own."""

from mellea import start_session


def ask(models, question):
    for model in models:
        m = start_session("openai", model, max_retries=0)
        try:
            return str(m.instruct(question, strategy=None))
        except Exception as error:
            print(f"{model}: {error}")
    return None


def city_code(name):
    return {"Lisbon": "LIS", "Porto": "OPO"}[name]


print(city_code(ask(["gpt-4o", "gpt-4o-mini"], "Name a city.")))
