#!/usr/bin/env python3
"""Uploads as a client sees them that loses its connection, its server or its patience: uploads.py TRY SERVER... [PID-FILE]."""
import hashlib
import http.client
import os
import random
import signal
import socket
import struct
import sys
import time


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(server, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def expect(what, answer, *wanted):
    if answer[0] not in wanted:
        sys.exit(f"{what}: status {answer[0]}, not {' or '.join(map(str, wanted))}: {answer[2][:300]}")
    return answer


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def begin(server, name="a"):
    return expect("POST", ask(server, "POST", f"/v2/{name}/blobs/uploads/"), 202)[1]["Location"]


def patch(server, location, data, at):
    return ask(server, "PATCH", location, data, Content_Type="application/octet-stream",
               Content_Range=f"{at}-{at + len(data) - 1}")


def standing(server, location):
    """How many bytes have come."""
    first, last = expect("GET", ask(server, "GET", location), 204)[1]["Range"].split("-")
    return int(last) + 1 if last != "0" else 0


def read_back(server, data, name="a"):
    answer = expect("GET of the blob", ask(server, "GET", f"/v2/{name}/blobs/{digest_of(data)}"), 200)
    if answer[2] != data:
        sys.exit("the blob is another one")


class Slow:
    """A PATCH whose bytes come one by one, until somebody ends it."""

    def __init__(self, server, location, data, size):
        host, port = server.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        head = f"PATCH {location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        self.socket.sendall(head.encode() + data)

    def send(self, data):
        self.socket.sendall(data)

    def end(self):
        """The status of its answer."""
        self.socket.shutdown(socket.SHUT_WR)
        answer = self.socket.makefile("rb").readline().split()
        self.socket.close()
        return int(answer[1]) if answer else 0


def takes_over(server):
    """A client comes again while its former connection still brings bytes: wrong ones."""
    data = random.Random(1).randbytes(3_000_000)
    location = begin(server)
    slow = Slow(server, location, data[:1_000_000], 2_000_000)
    while standing(server, location) < 700_000:  # by 256 KiB
        time.sleep(0.02)
    at = standing(server, location)
    answer = patch(server, location, b"x" * 1000, at + 5)
    expect("a wrong place", answer, 416)
    slow.send(data[1_000_000:1_600_000])
    for _ in range(3000):  # a request that was refused ends nobody's turn
        if standing(server, location) > 1_200_000:
            break
        time.sleep(0.02)
    else:
        sys.exit("a PATCH that was refused has ended the former")
    answer = (416, {}, b"")
    while answer[0] == 416:  # until what the former has sent is there
        at = standing(server, location)
        answer = patch(server, location, data[at:2_500_000], at)
    expect("PATCH beside the former", answer, 202)
    slow.send(b"?" * 400_000)
    if (status := slow.end()) not in (0, 409):
        sys.exit(f"the former PATCH ends with {status}")
    if standing(server, location) != 2_500_000:
        sys.exit(f"the former PATCH has added to it: {standing(server, location)}")
    expect("PUT", ask(server, "PUT", f"{location}?digest={digest_of(data)}", data[2_500_000:]), 201)
    read_back(server, data)


def moves(one, other, pid_file):
    """Begun at one server, gone on with at the other, the first killed, finished where it was begun."""
    chance = random.Random(2)
    data, frames = chance.randbytes(5_000_000), [chance.randbytes(20_000) for _ in range(100)]
    location, offered = begin(one), begin(one)
    expect("PATCH at the first", patch(one, location, data[:1_234_567], 0), 202)
    whole = b"".join(frames)
    listed = b"".join(hashlib.sha256(frame).digest() + struct.pack("<I", len(frame)) for frame in frames)
    expect("offer at the first", ask(one, "POST", offered, listed), 200)
    expect("frames at the first", patch(one, offered, whole[:1_111_111], 0), 202)
    expect("PATCH at the other", patch(other, location, data[1_234_567:2_500_000], 1_234_567), 202)
    slow = Slow(other, location, data[2_500_000:3_500_000], 2_500_000)
    while standing(other, location) < 3_000_000:
        time.sleep(0.02)
    with open(pid_file) as file:
        os.kill(int(file.read()), signal.SIGKILL)
    slow.socket.close()
    at = standing(one, location)
    if not 2_500_000 <= at <= 3_500_000:
        sys.exit(f"of the killed server's upload {at} bytes are left")
    expect("PATCH at the first again", patch(one, location, data[at:4_000_000], at), 202)
    expect("PUT", ask(one, "PUT", f"{location}?digest={digest_of(data)}", data[4_000_000:]), 201)
    read_back(one, data)
    deadline = time.monotonic() + 60
    while True:  # the other is started again
        try:
            if standing(other, offered) == 1_111_111:
                break
            sys.exit("an offer has lost what came of it")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    expect("frames at the other", patch(other, offered, whole[1_111_111:], 1_111_111), 202)
    expect("PUT of the offer", ask(other, "PUT", f"{offered}?digest={digest_of(whole)}"), 201)
    read_back(one, whole)
    read_back(other, whole)


def fills(server, marker):
    """More than the disk has room for: it is told so, and goes on when there is room, which the caller makes at the marker."""
    data = random.Random(3).randbytes(24_000_000)
    small = random.Random(4).randbytes(100_000)
    expect("a blob before", ask(server, "POST", f"/v2/a/blobs/uploads/?digest={digest_of(small)}", small), 201)
    location = begin(server)
    expect("PATCH", patch(server, location, data[:5_000_000], 0), 202)
    answer = patch(server, location, data[5_000_000:20_000_000], 5_000_000)
    expect("PATCH on a full disk", answer, 507)
    at = standing(server, location)
    if at < 5_000_000:
        sys.exit(f"what was acknowledged has gone: {at} bytes are left")
    read_back(server, small)
    expect("again on a full disk", patch(server, location, data[at:20_000_000], at), 507)
    os.unlink(marker)
    while os.path.exists(marker + ".more"):
        time.sleep(0.05)
    at = standing(server, location)
    expect("PATCH when there is room", patch(server, location, data[at:], at), 202)
    expect("PUT", ask(server, "PUT", f"{location}?digest={digest_of(data)}"), 201)
    read_back(server, data)


def hashes(server):
    """The end of a blob that takes longer to hash than anybody waits for an answer is told so, and goes on."""
    piece = random.Random(5).randbytes(1 << 20)
    expect("a piece", ask(server, "POST", f"/v2/a/blobs/uploads/?digest={digest_of(piece)}", piece), 201)
    location = begin(server)
    entry = hashlib.sha256(piece).digest() + struct.pack("<I", len(piece))
    expect("the frames", ask(server, "POST", location, entry * 40_000), 200)  # 40 GB
    for _ in range(2):
        began = time.monotonic()
        answer = expect("PUT", ask(server, "PUT", f"{location}?digest={digest_of(b'another')}"), 503)
        if "Ingot-Hashing" not in answer[1] or "Retry-After" not in answer[1]:
            sys.exit(f"the client is not told to end it again: {answer}")
        if time.monotonic() - began > 10:
            sys.exit("the server is silent for longer than clients wait")
    expect("DELETE", ask(server, "DELETE", location), 204)


if __name__ == "__main__":
    {"takes_over": takes_over, "hashes": hashes, "moves": moves, "fills": fills}[sys.argv[1]](*sys.argv[2:])
