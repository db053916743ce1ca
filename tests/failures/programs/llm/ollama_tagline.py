from mellea import start_session


def tagline(m, product):
    return str(m.instruct(f"A tagline for {product}.", strategy=None))


def main():
    m = start_session("ollama", "llama3")
    print(tagline(m, "a tram museum"))


main()
