"""Two turns of a conversation, without a strategy."""

from endpoint import script, session
from mellea.stdlib.context import ChatContext

m = session(ctx=ChatContext())
script("hello", "hello again")
print(m.chat("first"))
print(m.chat("second"))
