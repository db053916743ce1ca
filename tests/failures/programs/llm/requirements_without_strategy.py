from mellea import start_session
from mellea.stdlib.components import Instruction


def main():
    m = start_session("openai", "gpt-4o")
    print(m.act(Instruction("Write a mail."), requirements=["be polite"], strategy=None))


main()
