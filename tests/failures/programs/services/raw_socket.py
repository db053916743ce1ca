import socket


def ask(host, port, line):
    with socket.create_connection((host, port), timeout=2) as connection:
        connection.sendall(line.encode())
        return connection.recv(1000)


print(ask("127.0.0.1", 9, "PING\r\n"))
