#!/usr/bin/env python3
"""A small S3, for the tests: s3.py FOLDER RULES LOG prints its port. Buckets are folders of FOLDER, which are there before.

Each request that writes, and each that is signed, must be signed as AWS Signature Version 4 has it; the signature is worked
out here from the request's own bytes. Whoever signs nothing may read. A body must have the SHA-256 that its header says.

RULES is read at each request; its lines are `METHOD REGEX WHAT TIMES`, for keys that the expression matches: WHAT is a
status (503), `break`, which ends the connection in the middle of the body, or `hang`, which reads no more of it. LOG gets a line for each request: its status,
method, path, bytes of its body, and type.
"""
import hashlib
import hmac
import http.server
import os
import re
import sys
import threading
import time
import urllib.parse

ROOT, RULES, LOG = sys.argv[1:4]
KEYS = {"AKIDTEST": ("s3cr3t/with+signs=", None), "ASIATEMP": ("temporary", "token/of+session==")}
REGION = os.environ.get("S3_REGION", "eu-north-1")
LOCK = threading.Lock()
TYPES, USED = {}, {}


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "s3-of-the-tests"

    def log_message(self, *_):
        pass

    def note(self, status):
        with LOCK, open(LOG, "a") as log:
            print(status, self.command, self.path, self.headers.get("content-length", 0), self.headers.get("content-type", "-"), self.headers.get("cache-control", "-").replace(" ", ""), file=log)

    # The signature of section "Create a signed AWS API request", from what came.
    def signature(self, secret, names, scope):
        path, _, query = self.path.partition("?")
        pairs = sorted(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)
        lines = [self.command, path, "&".join(pairs)]
        lines += [f"{name}:{' '.join(self.headers.get(name, '').split())}" for name in names] + [""]
        lines += [";".join(names), self.headers["x-amz-content-sha256"]]
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], "/".join(scope), hashlib.sha256("\n".join(lines).encode()).hexdigest()])
        key = b"AWS4" + secret.encode()
        for part in scope:
            key = hmac256(key, part)
        return hmac256(key, text).hex()

    def check(self):
        shown = self.headers.get("authorization")
        if shown is None:
            if self.command not in ("GET", "HEAD"):
                raise Refused(403, "AccessDenied", "Access Denied")
            return
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/([^, ]+), ?SignedHeaders=([^, ]+), ?Signature=([0-9a-f]{64})", shown)
        if not found:
            raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header is malformed: " + shown)
        who, scope, names, signature = found.groups()
        scope, names = scope.split("/"), names.split(";")
        if who not in KEYS:
            raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        secret, token = KEYS[who]
        now = self.headers.get("x-amz-date", "")
        if scope[1:] != [REGION, "s3", "aws4_request"]:
            raise Refused(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; the region '{scope[1]}' is wrong; expecting '{REGION}'")
        if abs(time.mktime(time.strptime(now, "%Y%m%dT%H%M%SZ")) - time.timezone - time.time()) > 900 or scope[0] != now[:8]:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
        wanted = {"host", "x-amz-date", "x-amz-content-sha256"} | {name.lower() for name in self.headers if name.lower().startswith("x-amz-")}
        if not wanted <= set(names) or names != sorted(names):
            raise Refused(403, "AccessDenied", f"There were headers present in the request which were not signed: {sorted(wanted - set(names))}")
        if token != self.headers.get("x-amz-security-token"):
            raise Refused(403, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if not hmac.compare_digest(self.signature(secret, names, scope), signature):
            raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")

    def file(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        bucket, _, key = path.lstrip("/").partition("/")
        if "/../" in f"/{key}/" or not os.path.isdir(os.path.join(ROOT, bucket)):
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        # A key may begin with another one and a slash.
        return os.path.join(ROOT, bucket, urllib.parse.quote(key, safe=""))

    def rule(self):
        with LOCK:
            for line in open(RULES).read().splitlines():
                method, pattern, what, times = line.split()
                if method == self.command and re.search(pattern, self.path) and USED.setdefault(line, 0) < int(times):
                    USED[line] += 1
                    return what
        return None

    def etag(self, body):
        return '"' + hashlib.md5(body).hexdigest() + '"'

    def answer(self, status, body=b"", **headers):
        self.note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, refused):
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refused.code}</Code><Message>{refused}</Message><RequestId>1</RequestId></Error>'
        self.answer(refused.status, text.encode(), Content_Type="application/xml", Connection="close")
        self.close_connection = True

    def do_GET(self):
        try:
            rule = self.rule()
            if rule:
                raise Refused(int(rule), "SlowDown", "Please reduce your request rate.")
            self.check()
            path = self.file()
            if not os.path.exists(path):
                raise Refused(404, "NoSuchKey", "The specified key does not exist.")
            body = open(path, "rb").read()
            start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
            headers = {"ETag": self.etag(body), "Content_Type": TYPES.get(path, "binary/octet-stream")}
            if start:
                at = int(start.group(1))
                self.answer(206, body[at:], Content_Range=f"bytes {at}-{len(body) - 1}/{len(body)}", **headers)
            else:
                self.answer(200, body, **headers)
        except Refused as refused:
            self.refuse(refused)

    do_HEAD = do_GET

    def put(self, path, body):
        with LOCK:
            there = self.etag(open(path, "rb").read()) if os.path.exists(path) else None
            if (self.headers.get("if-none-match") == "*" and there) or self.headers.get("if-match", there) != there:
                raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            with open(path + "#", "wb") as out:
                out.write(body)
            os.rename(path + "#", path)
            TYPES[path] = self.headers.get("content-type", "binary/octet-stream")

    def do_PUT(self):
        size = int(self.headers["content-length"])
        try:
            rule = self.rule()
            if rule == "break":
                self.rfile.read(size // 2)
                self.note("broken")
                self.close_connection = True
                self.connection.shutdown(2)
                return
            if rule == "hang":
                self.note("hangs")
                time.sleep(60)
            elif rule:
                raise Refused(int(rule), "SlowDown", "Please reduce your request rate.")
            self.check()
            path = self.file()
            body = self.rfile.read(size)
            if hashlib.sha256(body).hexdigest() != self.headers["x-amz-content-sha256"]:
                raise Refused(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
            self.put(path, body)
            self.answer(200, ETag=self.etag(body))
        except Refused as refused:
            self.refuse(refused)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
