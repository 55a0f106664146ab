#!/usr/bin/env python3
"""A site that has Vagrant boxes: Vagrant Cloud's API (1 and 2), HCP's of 2022-09-30, and plain catalogues.

Usage: boxsite.py STATE LOG

STATE is a JSON file, read anew for each request, so that a test changes the site while it is used:
  apis: of v1, v2, hcp, plain, html (a page for all else), document (always that text)
  token: what Authorization must show
  boxes: {ORG/BOX: {description, short_description, versions: [{version, description, status, providers:
         [{name, architecture, default, file, checksum, checksum_type}]}]}}
  page: entries of a page              busy: so many requests are answered 429, Retry-After: 1
  slow: seconds before each download
  cut: bytes after which a download breaks off                       lives: downloads that a signed URL is good for
  then: {AFTER: STATE}: once so many downloads have begun, another state counts
A line of LOG is written for each request: METHOD PATH STATUS BYTES. The port is printed."""
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import time
import urllib.parse

STATE, LOG = sys.argv[1:3]
lock = threading.Lock()
counts = {"busy": 0, "downloads": 0, "of": 0}  # since the state was written last
signed = {}  # key -> how often it was used


def state():
    with open(STATE, encoding="utf-8") as file:
        now = json.load(file)
        written = os.fstat(file.fileno()).st_mtime_ns
    with lock:
        if written != counts["of"]:
            counts.update(busy=0, downloads=0, of=written)
    for after, other in now.get("then", {}).items():
        if counts["downloads"] >= int(after):
            now = {**now, **other}
    return now


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, status, size):
        with lock, open(LOG, "a", encoding="utf-8") as file:
            file.write(f"{self.command} {self.path} {status} {size}\n")

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.note(status, len(body))

    def tell(self, value):
        self.answer(200, json.dumps(value).encode(), Content_Type="application/json; charset=utf-8")

    def absent(self):
        self.answer(404, b'{"errors": ["Resource not found!"], "success": false}', Content_Type="application/json")

    def base(self):
        return f"http://{self.headers['Host']}"

    # --- what is told ---

    def url(self, name, version, provider):
        return f"{self.base()}/dl/{name}/{version['version']}/{provider['name']}/{provider.get('architecture', 'unknown')}.box"

    def provider(self, name, version, one):
        told = {"name": one["name"], "url": self.url(name, version, one), "download_url": self.url(name, version, one)}
        for key in ("checksum", "checksum_type", "size", "architecture"):
            if key in one:
                told[key] = one[key]
        if "architecture" in one:
            told["default_architecture"] = one.get("default", False)
        return told

    def box(self, name, box):
        org, plain = name.split("/")
        return {
            "tag": name, "username": org, "name": plain, "private": False,
            "short_description": box.get("short_description", ""), "description_markdown": box.get("description", ""),
            "versions": [{"version": v["version"], "status": v.get("status", "active"),
                          "description_markdown": v.get("description", ""),
                          "providers": [self.provider(name, v, p) for p in v["providers"]]} for v in box["versions"]]}

    def catalogue(self, name, box):
        told = self.box(name, box)
        return {"name": name, "description": box.get("description", ""), "versions": [
            {k: v for k, v in one.items() if k != "status"} for one in told["versions"] if one["status"] == "active"]}

    def page(self, now, key, entries):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        size = now.get("page", 2)
        start = int(query.get("pagination.next_page_token", ["0"])[0])
        more = {"next_page_token": str(start + size)} if start + size < len(entries) else {}
        self.tell({key: entries[start:start + size], "pagination": more})

    # --- HCP ---

    def hcp(self, now, path):
        found = re.fullmatch(r"([^/]+)/boxes", path)
        if found:
            own = [n for n in now["boxes"] if n.startswith(found[1] + "/")]
            return self.page(now, "boxes", [{"name": n.split("/")[1], "registry": found[1]} for n in own])
        found = re.fullmatch(r"([^/]+)/box/([^/]+)(?:/(.*))?", path)
        name = found and f"{found[1]}/{found[2]}"
        if not found or name not in now["boxes"]:
            return self.absent()
        box, rest = now["boxes"][name], found[3]
        if rest is None:
            return self.tell({"box": {"name": found[2], "registry": found[1], "description": box.get("description", "")}})
        if rest == "versions":
            return self.page(now, "versions", [{"name": v["version"], "state": v.get("status", "active").upper(),
                                                "description": v.get("description", "")} for v in box["versions"]])
        found = re.fullmatch(r"version/([^/]+)/(.*)", rest)
        version = found and next((v for v in box["versions"] if v["version"] == found[1]), None)
        if not version:
            return self.absent()
        if found[2] == "providers":
            names = sorted({p["name"] for p in version["providers"]})
            return self.page(now, "providers", [{"name": n} for n in names])
        found = re.fullmatch(r"provider/([^/]+)/(architectures|architecture/([^/]+)/download)", found[2])
        own = [p for p in version["providers"] if found and p["name"] == found[1]]
        if not own:
            return self.absent()
        if found[2] == "architectures":
            return self.page({**now, "page": 100}, "architectures", [
                {"architecture_type": p.get("architecture", "unknown"), "default": p.get("default", False),
                 "box_data": {k: p[k] for k in ("checksum", "checksum_type", "size") if k in p}} for p in own])
        one = next((p for p in own if p.get("architecture", "unknown") == found[3]), None)
        return self.tell({"url": self.sign(one["file"])}) if one else self.absent()

    # --- files ---

    def sign(self, file):
        with lock:
            key = f"{len(signed)}"
            signed[key] = 0
        return f"http://localhost:{self.server.server_address[1]}/signed/{key}?X-Amz-Signature=abc&file={urllib.parse.quote(file)}"

    def download(self, now, path):
        found = re.fullmatch(r"([^/]+/[^/]+)/([^/]+)/([^/]+)/([^/]+)\.box", path)
        box = found and now["boxes"].get(found[1])
        for version in box["versions"] if box else []:
            for one in version["providers"]:
                if (version["version"], one["name"], one.get("architecture", "unknown")) == found.groups()[1:]:
                    return self.answer(302, Location=self.sign(one["file"]))
        return self.absent()

    def file(self, now, key):
        file = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)["file"][0]
        with lock:
            counts["downloads"] += 1
            signed[key] = signed.get(key, 0) + 1
            used = signed[key]
        if used > now.get("lives", 1 << 30):
            return self.answer(403, b"Request has expired")
        if self.headers.get("Authorization"):
            return self.answer(400, b"a token was shown to the place of the files")
        with open(file, "rb") as opened:
            data = opened.read()
        time.sleep(now.get("slow", 0))
        begin = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        if begin >= len(data) > 0:
            return self.answer(416)
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        part = data[begin:begin + now.get("cut", len(data))]
        self.wfile.write(part)
        self.wfile.flush()
        self.note(206 if begin else 200, len(part))
        if begin + len(part) < len(data):
            self.connection.shutdown(2)
            self.close_connection = True
        return None

    # --- requests ---

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        now = state()
        path = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        with lock:
            counts["busy"] += 1
            busy = counts["busy"] <= now.get("busy", 0)
        if busy:
            return self.answer(429, Retry_After="1")
        if path.startswith("/signed/"):
            return self.file(now, path[len("/signed/"):])
        if now.get("token") and self.headers.get("Authorization") != f"Bearer {now['token']}":
            return self.answer(401, b'{"errors": ["Invalid or missing token"]}', Content_Type="application/json")
        if path.startswith("/dl/"):
            return self.download(now, path[4:])
        apis, boxes = now.get("apis", ["v2"]), now["boxes"]
        for api in ("v1", "v2"):
            prefix = f"/api/{api}/"
            if api in apis and path.startswith(prefix):
                return self.cloud(now, path[len(prefix):])
        if "hcp" in apis and path.startswith("/vagrant/2022-09-30/registry/"):
            return self.hcp(now, path[len("/vagrant/2022-09-30/registry/"):])
        if "plain" in apis and path[1:] in boxes:
            return self.tell(self.catalogue(path[1:], boxes[path[1:]]))
        if "document" in apis:
            return self.answer(200, now["document"].encode(), Content_Type="application/json")
        if "html" in apis:
            return self.answer(200, b"<!doctype html><title>Boxes</title>", Content_Type="text/html")
        return self.absent()

    def cloud(self, now, path):
        boxes = now["boxes"]
        if path.startswith("box/") and path[4:] in boxes:
            return self.tell(self.box(path[4:], boxes[path[4:]]))
        if path.startswith("vagrant/") and path[8:] in boxes:
            return self.tell(self.catalogue(path[8:], boxes[path[8:]]))
        if path.startswith("user/"):
            own = [n for n in boxes if n.startswith(path[5:] + "/")]
            return self.tell({"username": path[5:], "boxes": [self.box(n, boxes[n]) for n in own]})
        if path == "search":
            query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
            size, number = now.get("page", 2), int(query.get("page", ["1"])[0])
            names = list(boxes)[(number - 1) * size:number * size]
            return self.tell({"boxes": [self.box(n, boxes[n]) for n in names]})
        return self.absent()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Site)
print(server.server_address[1], flush=True)
server.serve_forever()
