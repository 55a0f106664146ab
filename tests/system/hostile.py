"""hostile.py KIND COUNT URL [PATH[#RANGES]]...: COUNT connections of 250 addresses that take memory of a server for as long as they can, all of one kind.

KIND: head (as much of a head as is taken, never its end), body (bodies of manifests, never their end), upload (an upload begun on
each, with a body that never ends), frames (long lists of frames, never their end), offers (the same with an end, then the first of
the frames, never its end), answer (long answers of these paths that nobody
reads), hello (a message of a TLS handshake that never ends), flood (the same as
fast as it is taken), record (a whole handshake, then a record that never ends). By TLS where
the URL says https. Prints "held" once each has sent what it may, or the server has ended or refused it; goes on until its standard
input ends. No answer is read."""
import http.client
import os
import resource
import select
import socket
import ssl
import sys
import time
import urllib.parse

kind, count, url = sys.argv[1], int(sys.argv[2]), urllib.parse.urlsplit(sys.argv[3])
address = (url.hostname, url.port)
resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
FILLER = memoryview(b"x" * (8 << 20))
kept = http.client.HTTPSConnection(*address, context=context) if url.scheme == "https" else http.client.HTTPConnection(*address)


def begun():
    """An upload's path."""
    kept.request("POST", "/v2/hostile/blobs/uploads/")
    answer = kept.getresponse()
    answer.read()
    return answer.headers["Location"]


def offered():
    """An upload's path, of which half a million different frames were offered: none is here."""
    path = begun()
    frames = os.urandom(32) + (1 << 20).to_bytes(4, "little") + b"".join(os.urandom(32) + b"\1\0\0\0" for _ in range(500000))
    kept.request("POST", path, frames)
    kept.getresponse().read()
    return path


def request(method, path, length, more=""):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n{more}"
    return [head.encode() + f"Content-Length: {length}\r\n\r\n".encode(), FILLER[:length - 1]]


def asked():
    paths = sys.argv[4:]
    sys.argv.append(sys.argv.pop(4))
    return [f"GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: {ranges}\r\n\r\n".encode() for path, _, ranges in (one.partition("#") for one in paths)]


def hello():
    """Two records of a message that claims 16 MiB."""
    return [b"\x16\x03\x01\x40\x00\x01\xff\xff\xf0\x03\x03" + os.urandom(16378), b"\x16\x03\x01\x40\x00" + os.urandom(16384)]


SENT = {
    "head": lambda: [b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(19))],
    "body": lambda: request("PUT", "/v2/hostile/manifests/x", 4 << 20),
    "upload": lambda: request("PATCH", begun(), 400000),
    "frames": lambda: request("POST", begun(), 8 << 20, "Expect:\r\n"),
    "offers": lambda: [part[:100000] for part in request("PATCH", offered(), 1 << 20)],
    "answer": asked,
    "hello": hello,
    "flood": lambda: hello() + [b"\x16\x03\x01\x40\x00" + FILLER[:16384].tobytes()] * 900,
    "record": lambda: [b"\x17\x03\x03\x40\x00" + b"x" * 16000],
}


class Client:
    made = 0

    def __init__(self):
        self.rest = [memoryview(part) for part in SENT[kind]()]
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        Client.made += 1
        self.socket.bind((f"127.0.{Client.made % 250}.1", 0))  # what one address may take is bounded too
        self.socket.connect(address)
        if url.scheme == "https" and kind not in ("hello", "flood"):
            self.socket = context.wrap_socket(self.socket)
        self.socket.setblocking(False)
        self.go_on()

    def write(self, data):
        return os.write(self.socket.fileno(), data) if kind == "record" else self.socket.send(data)

    def go_on(self):
        """Whether it may go on."""
        try:
            while self.rest:
                self.rest[0] = self.rest[0][self.write(self.rest[0][:65536]):]
                if not self.rest[0]:
                    del self.rest[0]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return True
        except OSError:
            self.rest = []
        return False


def send_all(clients):
    """Until none has moved for a while."""
    poll = select.poll()
    waiting = {client.socket.fileno(): client for client in clients if client.go_on()}
    for fd in waiting:
        poll.register(fd, select.POLLOUT)
    moved = time.monotonic()
    while waiting and time.monotonic() < moved + 3:
        for fd, _ in poll.poll(500):
            moved = time.monotonic()
            if not waiting[fd].go_on():
                poll.unregister(fd)
                del waiting[fd]


clients = []
for _ in range(count):
    try:
        clients.append(Client())
    except OSError:
        continue  # refused
send_all(clients)
print("held", flush=True)
sys.stdin.read()
