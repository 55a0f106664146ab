#!/usr/bin/env python3
"""upstream.py BACKEND RULES LOG: a registry in front of another one (BACKEND, HOST:PORT) that misbehaves as RULES says.

Prints its own HOST:PORT. Each line of the file RULES, which is read for every request, is METHOD-AND-PATH-REGEX [Nx] MODE [ARGUMENT]; the
first that matches "GET /v2/…" counts, with Nx for the first N requests that it matches alone.

In place of an answer:
  html            200 with a page that asks to log in
  status N [S]    that status, with "Retry-After: S"; S may be a date, "date:S": in S seconds
  once N S        the same for the first request of the path alone
  hang            takes the request and never answers
  hold FILE       goes on once that file is there
  big N           200 with a body of N bytes
  nested N        200 with a JSON text of N lists in one another
  body TEXT       200 with that JSON text
  endless N       a list of N bytes, and another page behind it
  page URL        a list of nothing, and another page at URL
  redirect URL    307 to URL
  login URL       401 to those who show no login; the others are sent to URL (- for the backend)
Of the backend's answer to what is read:
  cut N           breaks off after N bytes of the body
  reset N         the same, by a reset
  flip            one bit of the body is wrong
  plain           says nothing of frames
  norange         answers ranges with the whole
  wrongrange      answers ranges with another one, and says so
  slow N          N bytes of the body a second, this way or that
  flipslow N      both
  type T          the Content-Type is T
  drop NAME       lacks the header NAME
  length N        says that its body has N bytes
  longer N        the body has N bytes more than it says
  set KEY VALUE   of its JSON text, KEY ("layers.1.size") is VALUE
Of what is sent to the backend:
  location URL    the answer's Location is URL
  take N          takes N bytes of a body, then resets the connection
  short N         takes N bytes of a body, and answers 416 with what it has
  most N          takes no body of more than N bytes (413)
  least N         takes no first piece of less (400), and says so (OCI-Chunk-Min-Length)
  nobody N        takes no body at all, but answers with status N
  late S          does what it is asked for, and answers S seconds later
  deaf            does what it is asked for, and resets the connection instead of an answer
In URL, {host} is its own HOST:PORT, {path} the path that is asked for or led to, {last} its last part. What is asked for below /store/ is
the same without that, and refused (400) to those who show a login, as object stores do.

LOG receives a line for each request: method, path, Range, Content-Range, Content-Length, Authorization ("-" for what it has not)."""
import email.utils
import http.client
import http.server
import json
import os
import re
import socket
import struct
import sys
import threading
import time

backend, rules, log = sys.argv[1:4]
lock = threading.Lock()
seen = set()
counts = {}


def rule(request):
    with lock, open(rules) as lines:
        for line in lines:
            words = line.split()
            if not words or not re.search(words[0].replace("+", " "), request):
                continue
            times = re.fullmatch(r"(\d+)x", words[1])
            if not times:
                return words[1:]
            counts[line] = counts.get(line, 0) + 1
            if counts[line] <= int(times[1]):
                return words[2:]
    return [None]


def retry_after(text):
    return email.utils.formatdate(time.time() + int(text[5:]), usegmt=True) if text.startswith("date:") else text


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def plain(self, status, kind, body, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self):
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def url(self, text, path):
        return text.replace("{host}", self.headers["Host"]).replace("{path}", path).replace("{last}", path.split("/")[-1])

    def note(self):
        names = ("Range", "Content-Range", "Content-Length", "Authorization")
        with lock, open(log, "a") as out:
            print(self.command, self.path, *(self.headers.get(name, "-") for name in names), file=out, flush=True)

    def do_GET(self):
        mode, *arguments = rule(f"{self.command} {self.path}")
        number = int(arguments[0]) if arguments and arguments[0].isdigit() else 0
        self.note()
        if self.path.startswith("/store/"):
            self.path = self.path[len("/store"):]
            if "Authorization" in self.headers:
                return self.plain(400, "text/plain", b"only one way to log in")
        if mode == "html":
            return self.plain(200, "text/html", b"<html>log in</html>")
        if mode == "body":
            return self.plain(200, "application/vnd.oci.image.manifest.v1+json", " ".join(arguments).encode())
        if mode == "endless":
            names = ",".join(["\"%064d\"" % 0] * (number // 67))
            body = f'{{"name":"x","tags":[{names}],"repositories":[{names}],"manifests":[{names}]}}'.encode()
            return self.plain(200, "application/vnd.oci.image.index.v1+json", body, Link=f'<{self.path.split("?")[0]}?last=x>; rel="next"')
        if mode == "page":
            body = b'{"name":"x","tags":[],"repositories":[],"manifests":[]}'
            return self.plain(200, "application/vnd.oci.image.index.v1+json", body, Link=f'<{self.url(arguments[0], self.path)}>; rel="next"')
        if mode == "big":
            return self.plain(200, "application/vnd.oci.image.manifest.v1+json", b" " * number)
        if mode == "nested":
            return self.plain(200, "application/vnd.oci.image.manifest.v1+json", b'{"manifests":' + b"[" * number + b"]" * number + b"}")
        if mode == "login" and "Authorization" not in self.headers:
            self.drain()
            return self.plain(401, "text/plain", b"", WWW_Authenticate='Basic realm="here"')
        if mode == "redirect" or (mode == "login" and arguments[0] != "-"):
            self.drain()
            return self.plain(307, "text/plain", b"", Location=self.url(arguments[0], self.path))
        if mode == "once" and self.path in seen:
            mode = None
        if mode in ("status", "once"):
            seen.add(self.path)
            self.drain()
            return self.plain(number, "text/plain", b"", **({"Retry_After": retry_after(arguments[1])} if arguments[1:] else {}))
        if mode == "hang":
            time.sleep(3600)
        while mode == "hold" and not os.path.exists(arguments[0]):
            time.sleep(0.02)
        if self.command in ("GET", "HEAD"):
            self.forward(mode, number, " ".join(arguments))
        else:
            self.send_on(mode, number, arguments)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def drain(self, taken=0):
        for _ in self.body(int(self.headers.get("Content-Length") or 0) - taken):
            pass

    def wanted(self, mode, *names):
        names += () if mode == "login" else ("Authorization",)
        return {name: self.headers[name] for name in names if name in self.headers} | {"Host": self.headers["Host"]}

    def forward(self, mode, number, text):
        wanted = self.wanted(mode, "Accept", "Range")
        if mode == "norange":
            wanted.pop("Range", None)
        if mode == "wrongrange" and "Range" in wanted:
            wanted["Range"] = "bytes=1-" + wanted["Range"].split("-")[1]
        connection = http.client.HTTPConnection(backend)
        connection.request(self.command, self.path, headers=wanted)
        answer = connection.getresponse()
        if mode == "set" and answer.status == 200 and self.command == "GET":
            return self.changed(answer, *text.split(" ", 1))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server") and (mode, name.lower()) not in (("plain", "ingot-frames"), ("type", "content-type"), ("length", "content-length"), ("drop", text.lower())):
                self.send_header(name, value)
        if mode == "type":
            self.send_header("Content-Type", text)
        if mode == "length":
            self.send_header("Content-Length", text)
        self.end_headers()
        self.pass_body(answer, mode, number)
        connection.close()

    def changed(self, answer, key, value):
        root = json.loads(answer.read())
        at, *path = reversed(key.split("."))
        into = root
        for part in reversed(path):
            into = into[int(part) if part.isdigit() else part]
        into[int(at) if at.isdigit() else at] = json.loads(value)
        self.plain(200, answer.getheader("Content-Type"), json.dumps(root).encode())

    def pass_body(self, answer, mode, number):
        sent, mode = 0, mode or ""
        while self.command != "HEAD" and (data := answer.read1(min(65536, max(number // 10, 1)) if "slow" in mode else 65536)):
            if mode in ("flip", "flipslow") and sent == 0:
                data = bytes([data[0] ^ 1]) + data[1:]
            if mode in ("cut", "reset") and sent + len(data) > number:
                self.wfile.write(data[: number - sent])
                self.wfile.flush()
                if mode == "reset":
                    time.sleep(0.1)  # what was sent is to arrive
                    return self.reset()
                self.connection.close()
                self.close_connection = True
                return
            try:
                self.wfile.write(data)
            except OSError:
                self.close_connection = True
                return
            sent += len(data)
            if "slow" in mode:
                time.sleep(len(data) / number)
        if mode == "longer":
            self.wfile.write(b"x" * number)
        if mode in ("length", "longer"):
            self.close_connection = True

    def send_on(self, mode, number, arguments):
        length = int(self.headers.get("Content-Length") or 0)
        first_piece = self.command == "PATCH" and self.headers.get("Content-Range", "0-").startswith("0-")
        refusal = 413 if mode == "most" and length > number else 400 if mode == "least" and length < number and first_piece else number if mode == "nobody" and length else 0
        if refusal:
            self.drain()
            return self.plain(refusal, "application/json", b'{"errors":[{"code":"SIZE_INVALID"}]}')
        part = min(length, number) if mode in ("take", "short") else length
        connection = http.client.HTTPConnection(backend)
        wanted = self.wanted(mode, "Content-Type", "Content-Range")
        if mode == "short" and "Content-Range" in wanted:
            first = int(wanted["Content-Range"].split("-")[0])
            wanted["Content-Range"] = f"{first}-{first + part - 1}"
        connection.request(self.command, self.path, self.body(part, number if mode == "slow" else 0) if length else None, wanted | {"Content-Length": str(part if mode == "short" else length)})
        if mode == "take" and part < length:
            time.sleep(0.2)  # the backend is to have it
            connection.close()
            return self.reset()
        answer = connection.getresponse()
        body = answer.read()
        if mode == "late":
            time.sleep(number)
        if mode == "deaf":
            return self.reset()
        short = mode == "short" and part < length
        if short:
            self.drain(part)
        self.send_response(416 if short else answer.status)
        for name, value in answer.getheaders():
            if name.lower() == "location" and mode == "location":
                value = self.url(arguments[0], re.sub("^[a-z]*://[^/]*", "", value))
            if name.lower() not in ("connection", "transfer-encoding", "date", "server") and (mode != "plain" or name.lower() != "ingot-frames"):
                self.send_header(name, value)
        if mode == "least":
            self.send_header("OCI-Chunk-Min-Length", str(number))
        self.end_headers()
        self.wfile.write(body)

    def body(self, left, speed=0):
        while left and (data := self.rfile.read(min(left, 65536))):
            left -= len(data)
            yield data
            time.sleep(len(data) / speed if speed else 0)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
