#!/usr/bin/env python3
"""link.py BACKEND ROUND-TRIP-MS MBIT COUNTS: a network between a client and BACKEND (HOST:PORT).

Prints its own HOST:PORT. All connections share one link in each direction, of MBIT million bits a second (0: as fast as
this machine is); what has left it arrives half a round trip later, and a connection takes a round trip to come about.
What waits for the link waits at its sender: nothing piles up between. SIGTERM ends it, and writes to the file COUNTS the
bytes that the link has taken to BACKEND and from it.
"""
import os
import queue
import signal
import socket
import sys
import threading
import time

backend, milliseconds, mbit, counts = sys.argv[1:5]
delay = float(milliseconds) / 2000
rate = float(mbit) * 1e6 / 8
block = 16384 if rate else 262144
host, port = backend.rsplit(":", 1)


def wait_until(when):
    left = when - time.monotonic()
    if left > 0:
        time.sleep(left)


class Link:
    def __init__(self):
        self.lock = threading.Lock()
        self.free = 0.0
        self.bytes = 0

    def carry(self, size):
        """Waits for its turn; returns when the last byte has left."""
        with self.lock:
            self.bytes += size
            if rate:
                self.free = max(self.free, time.monotonic()) + size / rate
            left = self.free
        wait_until(left)
        return left


up, down = Link(), Link()


def close(*sockets):
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def deliver(items, to, source):
    while (item := items.get()) is not None:
        due, data = item
        wait_until(due)
        try:
            to.sendall(data)
        except OSError:
            close(source)
    try:
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def pump(source, to, link, late):
    """late: seconds that the connection takes to come about."""
    items = queue.Queue(64)
    start = time.monotonic() + late
    threading.Thread(target=deliver, args=(items, to, source), daemon=True).start()
    while True:
        try:
            data = source.recv(block)
        except OSError:
            data = b""
        if not data:
            break
        left = link.carry(len(data))
        items.put((max(left, start) + delay, data))
    items.put(None)


def serve(client):
    try:
        server = socket.create_connection((host, int(port)))
    except OSError:
        close(client)
        return
    for one in (client, server):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(client, server, up, 2 * delay), daemon=True).start()
    pump(server, client, down, 0)


def end(*_):
    with open(counts + ".part", "w") as out:
        print(up.bytes, down.bytes, file=out)
    os.rename(counts + ".part", counts)
    os._exit(0)


signal.signal(signal.SIGTERM, end)
door = socket.create_server(("127.0.0.1", 0), backlog=100)
print(f"127.0.0.1:{door.getsockname()[1]}", flush=True)
while True:
    connection, _ = door.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
