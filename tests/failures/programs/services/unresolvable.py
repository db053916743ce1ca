"""The host's name does not exist."""

import socket


def resolve(name):
    return socket.getaddrinfo(name, 5432)


print(resolve("database.invalid"))
