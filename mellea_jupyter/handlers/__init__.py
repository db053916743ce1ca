"""REST, server-sent events and the websocket. `routes.py` has the whole table.

Imported when the server starts: nothing but the standard library, tornado and jupyter_server at
module level.
"""
