"""A model that pydantic cannot build."""

from pydantic import BaseModel


class Socket:
    pass


class Connection(BaseModel):
    socket: Socket


print(Connection)
