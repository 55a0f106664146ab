#!/usr/bin/env python3
"""upstream.py BACKEND RULES LOG: a registry in front of another one (BACKEND, HOST:PORT) that misbehaves as RULES says.

Prints its own HOST:PORT. Each line of the file RULES, which is read for every request, is METHOD-AND-PATH-REGEX MODE [ARGUMENT]; the first that
matches "GET /v2/…" counts:
  html            200 with a page that asks to log in
  status N [S]    that status, with "Retry-After: S"
  once N S        the same for the first request of the path alone
  hang            takes the request and never answers
  cut N           breaks off after N bytes of the body
  flip            one bit of the body is wrong
  plain           says nothing of frames
  norange         answers ranges with the whole
  slow N          N bytes of the body a second
  flipslow N      both
  type T          the Content-Type is T
  big N           200 with a body of N bytes
  body TEXT       200 with that JSON text
  endless N       a list of N bytes, and another page behind it
LOG receives a line for each request: method, path, Range.
"""
import http.client
import http.server
import re
import sys
import threading
import time

backend, rules, log = sys.argv[1:4]
lock = threading.Lock()
seen = set()


def rule(request):
    with open(rules) as lines:
        for line in lines:
            words = line.split()
            if words and re.search(words[0].replace("+", " "), request):
                return words[1:]
    return [None]


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

    def do_GET(self):
        mode, *arguments = rule(f"{self.command} {self.path}")
        with lock, open(log, "a") as out:
            print(self.command, self.path, self.headers.get("Range", "-"), file=out, flush=True)
        if mode == "html":
            return self.plain(200, "text/html", b"<html>log in</html>")
        if mode == "body":
            return self.plain(200, "application/vnd.oci.image.manifest.v1+json", " ".join(arguments).encode())
        if mode == "endless":
            names = ",".join(["\"%064d\"" % 0] * (int(arguments[0]) // 67))
            body = f'{{"name":"x","tags":[{names}],"repositories":[{names}],"manifests":[{names}]}}'.encode()
            return self.plain(200, "application/vnd.oci.image.index.v1+json", body, Link=f'<{self.path.split("?")[0]}?last=x>; rel="next"')
        if mode == "big":
            return self.plain(200, "application/vnd.oci.image.manifest.v1+json", b" " * int(arguments[0]))
        if mode == "once" and self.path in seen:
            mode = None
        if mode in ("status", "once"):
            seen.add(self.path)
            return self.plain(int(arguments[0]), "text/plain", b"", **({"Retry_After": arguments[1]} if arguments[1:] else {}))
        if mode == "hang":
            time.sleep(3600)
        self.forward(mode, int(arguments[0]) if arguments and arguments[0].isdigit() else 0, " ".join(arguments))

    do_HEAD = do_GET

    def forward(self, mode, number, text):
        wanted = {name: self.headers[name] for name in ("Accept", "Range", "Authorization") if name in self.headers}
        if mode == "norange":
            wanted.pop("Range", None)
        connection = http.client.HTTPConnection(backend)
        connection.request(self.command, self.path, headers=wanted | {"Host": self.headers["Host"]})
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server") and (mode, name.lower()) not in (("plain", "ingot-frames"), ("type", "content-type")):
                self.send_header(name, value)
        if mode == "type":
            self.send_header("Content-Type", text)
        self.end_headers()
        sent = 0
        while self.command != "HEAD" and (data := answer.read1(min(65536, max(number // 10, 1)) if "slow" in (mode or "") else 65536)):
            if mode in ("flip", "flipslow") and sent == 0:
                data = bytes([data[0] ^ 1]) + data[1:]
            if mode == "cut" and sent + len(data) > number:
                self.wfile.write(data[: number - sent])
                self.wfile.flush()
                self.connection.close()
                self.close_connection = True
                return
            try:
                self.wfile.write(data)
            except OSError:
                self.close_connection = True
                return
            sent += len(data)
            if "slow" in (mode or ""):
                time.sleep(len(data) / number)
        connection.close()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
