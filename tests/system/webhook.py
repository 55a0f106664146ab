"""A receiver of webhooks and a server that checks: FOLDER. On standard output its port; each request that was taken is a line of FOLDER/taken.log.

By the path: /take takes; /fail fails as long as FOLDER/failing is there; /hang never answers; /redirect sends elsewhere; /huge answers 1 GB; /check answers
as FOLDER/check says, a JSON object whose member "how" may be right, tampered, replayed, unsigned, other-secret, hang, redirect, huge, words or status."""
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time

FOLDER = sys.argv[1]
SECRET = open(f"{FOLDER}/secret", "rb").read().strip()
LOCK = threading.Lock()
REPLAYED = []


def sign(prefix, body, secret=SECRET):
    return "sha256=" + hmac.new(secret, prefix.encode() + b"." + body, hashlib.sha256).hexdigest()


class Receiver(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def note(self, body, right):
        with LOCK, open(f"{FOLDER}/taken.log", "a") as file:
            file.write(json.dumps({"path": self.path, "right": right, "id": self.headers["X-Ingot-Delivery"], "body": json.loads(body)}) + "\n")

    def give(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give_much(self):
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        try:
            for _ in range(1 << 10):
                self.wfile.write(b"a" * (1 << 20))
        except OSError:
            pass
        self.close_connection = True

    def hang(self):
        while not os.path.exists(f"{FOLDER}/end"):
            time.sleep(0.1)
        self.close_connection = True

    def check(self, request):
        answer = json.load(open(f"{FOLDER}/check"))
        how = answer.pop("how")
        if how in ("hang", "redirect", "huge"):
            return {"hang": self.hang, "redirect": self.redirect, "huge": self.give_much}[how]()
        body = b"no JSON" if how == "words" else json.dumps(answer).encode()
        signature = sign(request["id"], body, b"another secret of both" if how == "other-secret" else SECRET)
        if how == "right":
            REPLAYED[:] = [body, signature]
        if how == "replayed":
            body, signature = REPLAYED
        if how == "tampered":
            body = body.replace(b"false", b"true")
        self.give(500 if how == "status" else 200, body, **({} if how == "unsigned" else {"X_Ingot_Signature_256": signature}))

    def redirect(self):
        self.give(307, b"", Location=f"http://127.0.0.1:{self.server.server_port}/elsewhere")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stamp = self.headers["X-Ingot-Timestamp"]
        right = hmac.compare_digest(sign(stamp, body), self.headers["X-Ingot-Signature-256"]) and abs(time.time() - int(stamp)) < 300
        if self.path == "/hang":
            return self.hang()
        if self.path == "/redirect":
            return self.redirect()
        if self.path == "/fail" and os.path.exists(f"{FOLDER}/failing"):
            return self.give(503, b"not\nnow")
        self.note(body, right)
        if self.path == "/check":
            return self.check(json.loads(body))
        if self.path == "/huge":
            return self.give_much()
        self.give(200, b"thanks")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
