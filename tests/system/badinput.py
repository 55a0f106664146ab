"""badinput.py OPEN USERS CACHE: a table of bad input. Each row is what is sent to one of three servers (HOST:PORT of one without users,
one with users, a cache of the first), the status and code that it gets, and what must hold afterwards. The first column names what
once went wrong with it; what takes more than requests to try has a test of its own:

recovery, power: a damaged, lost or old catalogue, log, pack (1, 9, 15, 23); unit: the service's own start (2); stall: what holds up
others (3, 10, 14, 22); hostile, limits: memory, slow clients, floods (4, 5, 6, 31); upkeep: room that comes back, timers, a full disk
(11, 12, 13, 30); machine: a disk, a quota, a clock, descriptors (16, 27, 29); upstream, through, upstream-cache: what other registries
do wrong (7, 8, 24, and the cache's cases); auth, login, doors: who asks (19, 20, 26, F2, F5 to F10); sha512 (F3); formats (28)."""
import base64
import hashlib
import http.client
import json
import struct
import sys

OPEN, USERS, CACHE = sys.argv[1:4]
ROOT = {"Authorization": "Basic " + base64.b64encode(b"root:the word of root").decode()}
PUSHER = {"Authorization": "Basic " + base64.b64encode(b"pusher:the word of pusher").decode()}
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest."
failed = 0


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def ask(host, method, path, headers=None, body=None):
    """Status, headers, body; never hangs."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def code_of(body):
    try:
        return json.loads(body)["errors"][0]["code"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def row(fault, what, host, method, path, status, code="", headers=None, body=None, holds=None):
    """holds(headers, body): whether what must be true of the answer, or afterwards, is."""
    global failed
    try:
        got, sent, text = ask(host, method, path, headers, body)
        problem = "" if got == status and code in ("", code_of(text)) else f"{got} {code_of(text)} {text[:200]!r}"
        if not problem and holds is not None and not holds(sent, text):
            problem = f"what must hold does not: {dict(sent)} {text[:200]!r}"
        if not problem and ask(host, "GET", "/healthz")[2] != b"ok\n":
            problem = "the server is not well"
    except OSError as error:
        problem = f"no answer: {error!r}"
    failed += problem != ""
    print(f"{'FAILED' if problem else 'ok':6} {fault:4} {what:70} {status} {code} {problem}", flush=True)


def setup(status, *arguments, **more):
    got = ask(*arguments, **more)
    assert got[0] == status, (arguments[:3], got[0], got[2])
    return got


def push(host, name, data, headers=None):
    setup(201, host, "POST", f"/v2/{name}/blobs/uploads/?digest={sha(data)}", headers, data)
    return {"mediaType": "application/octet-stream", "digest": sha(data), "size": len(data)}


def manifest(config, layers=(), **more):
    return json.dumps({"schemaVersion": 2, "config": config, "layers": list(layers), **more}).encode()


def put(name, tag, data, kind=IMAGE):
    return {"host": OPEN, "method": "PUT", "path": f"/v2/{name}/manifests/{tag}", "headers": {"Content-Type": kind}, "body": data}


def begin(host, name, headers=None):
    return setup(202, host, "POST", f"/v2/{name}/blobs/uploads/", headers)[1]["Location"]


def range_of(location, end):
    return lambda *_: ask(OPEN, "GET", location)[1]["Range"] == f"0-{end}"


def absent(name, tag):
    return lambda *_: ask(OPEN, "GET", f"/v2/{name}/manifests/{tag}")[0] == 404


layer = push(OPEN, "a", b"layer")
config = push(OPEN, "a", b"{}")
good = manifest(config, [layer])
setup(201, **put("a", "1.0.0", good))
private = push(USERS, "secret/x", b"private bytes", ROOT)
for tag in ("1.0.0", "prod"):
    setup(201, USERS, "PUT", f"/v2/secret/x/manifests/{tag}", dict(ROOT, **{"Content-Type": IMAGE}), manifest(private))

# --- bodies where none is taken, and too much of them ---
for path in ("/healthz", "/readyz", "/metrics", "/token", "/v2/"):
    row("4", f"a body of 1 MiB to {path}", OPEN, "GET", path, 413, "SIZE_INVALID", {"Content-Length": str(1 << 20)}, bytes(1 << 20))
row("4", "a manifest of 5 MiB", **put("a", "big", bytes(5 << 20)), status=413, code="SIZE_INVALID", holds=absent("a", "big"))
row("4", "a manifest of a million values", **put("a", "many", b'{"schemaVersion":2,"manifests":[],"x":[' + b"[]," * 1000000 + b"[]]}"), status=400, code="MANIFEST_INVALID", holds=absent("a", "many"))
row("S3", "Content-Length beside chunks", OPEN, "PUT", "/v2/a/manifests/x", 400, "", {"Content-Length": "2", "Transfer-Encoding": "chunked"}, b"0\r\n\r\n")
flood = b"\x50\x2a\x4d\x18\0\0\0\0" * 65536
row("5", "64 Ki empty frames", OPEN, "POST", f"/v2/a/blobs/uploads/?digest={sha(flood)}", 201, "", None, flood,
    lambda *_: len(ask(OPEN, "GET", f"/v2/a/blobs/{sha(flood)}?frames=1")[2]) <= 36 * 130)
bomb = struct.pack("<32sI", hashlib.sha256(bytes(1 << 20)).digest(), 1 << 20) * 100
row("6", "an offer of 100 MiB where 64 may come", OPEN, "POST", begin(OPEN, "a"), 413, "", None, bomb)
for what, frames in (("of half an entry", bomb[:20]), ("of nothing", b""), ("with a frame of no bytes", bytes(36)), ("with a frame of 4 GiB", bytes(32) + b"\xff" * 4)):
    row("6", f"an offer {what}", OPEN, "POST", begin(OPEN, "a"), 400, "", None, frames)

# --- digests and uploads ---
for what, digest in (("no digest", ""), ("of no hex", "sha256:" + "x" * 64), ("too short", "sha256:ab"), ("of another algorithm", "md5:" + "0" * 32),
                     ("in capitals", layer["digest"].upper()), ("with a path", "sha256:..%2f..%2fx")):
    row("F3", f"a push to a digest {what}", OPEN, "POST", f"/v2/a/blobs/uploads/?digest={digest}", 400, "DIGEST_INVALID", None, b"layer")
    status, code = (404, "UNSUPPORTED") if "path" in what else (400, "DIGEST_INVALID")
    row("F3", f"a blob at a digest {what}", OPEN, "GET", f"/v2/a/blobs/{digest or 'x'}", status, code)
at = begin(OPEN, "a")
setup(202, OPEN, "PATCH", at, None, b"0123456789")
row("17", "an upload's end with a wrong digest: what came stays", OPEN, "PUT", f"{at}?digest={layer['digest']}", 400, "DIGEST_INVALID", holds=range_of(at, 9))
row("17", "a chunk that leaves a gap", OPEN, "PATCH", at, 416, "BLOB_UPLOAD_INVALID", {"Content-Range": "20-24"}, b"layer", range_of(at, 9))
row("17", "a chunk that came already", OPEN, "PATCH", at, 416, "BLOB_UPLOAD_INVALID", {"Content-Range": "0-4"}, b"layer", range_of(at, 9))
for bad in ("x-y", "5-", "10-5", "-5", "10-18446744073709551616", "bytes 10-14/15"):
    row("17", f"a chunk at '{bad}'", OPEN, "PATCH", at, 400, "BLOB_UPLOAD_INVALID", {"Content-Range": bad}, b"layer", range_of(at, 9))
row("17", "a chunk shorter than its range", OPEN, "PATCH", at, 400, "SIZE_INVALID", {"Content-Range": "10-90"}, b"layer")
row("17", "an upload of another repository", OPEN, "PUT", at.replace("/v2/a/", "/v2/b/") + f"?digest={sha(b'0123456789')}", 404, "BLOB_UPLOAD_UNKNOWN")
row("17", "an upload with a forged ticket", OPEN, "GET", at[:-1] + ("0" if at[-1] != "0" else "1"), 404, "BLOB_UPLOAD_UNKNOWN")
row("17", "an upload that was never begun", OPEN, "PATCH", "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000", 404, "BLOB_UPLOAD_UNKNOWN", None, b"x")

# --- manifests ---
for what, kind, data, code in (
        ("that is no JSON", IMAGE, b"{", "MANIFEST_INVALID"), ("that is a list", IMAGE, b"[]", "MANIFEST_INVALID"), ("of nothing", IMAGE, b"", "MANIFEST_INVALID"),
        ("as deep as 100,000 lists", IMAGE, b"[" * 100000, "MANIFEST_INVALID"), ("with bytes that are no UTF-8", IMAGE, b'{"a":"\xff"}', "MANIFEST_INVALID"),
        ("of schema 1", DOCKER + "v1+json", b'{"schemaVersion":1,"fsLayers":[{"blobSum":"%s"}]}' % layer["digest"].encode(), "MANIFEST_INVALID"),
        ("that a browser shows", "text/html", b'{"a":"<script>"}', "MANIFEST_INVALID"), ("that is an image to a browser", "image/svg+xml", b"{}", "MANIFEST_INVALID"),
        ("whose type says something else", INDEX, manifest(config, mediaType=IMAGE), "MANIFEST_INVALID"),
        ("with a size that is too small", IMAGE, manifest(config, [dict(layer, size=1)]), "MANIFEST_INVALID"),
        ("with a size that is too large", IMAGE, manifest(config, [dict(layer, size=1 << 40)]), "MANIFEST_INVALID"),
        ("with a negative size", IMAGE, manifest(config, [dict(layer, size=-1)]), "MANIFEST_INVALID"),
        ("with a size in words", IMAGE, manifest(config, [dict(layer, size="5")]), "MANIFEST_INVALID"),
        ("whose config's size lies", IMAGE, manifest(dict(config, size=1)), "MANIFEST_INVALID"),
        ("whose layers are no list", IMAGE, manifest(config)[:-3] + b'"x"}', "MANIFEST_INVALID"),
        ("with a digest that is none", IMAGE, manifest(config, [dict(layer, digest="sha256:1")]), "MANIFEST_INVALID"),
        ("with a subject that is none", IMAGE, manifest(config, subject={"digest": "x", "size": 2}), "MANIFEST_INVALID"),
        ("of a blob that is not here", IMAGE, manifest(config, [dict(layer, digest=sha(b"elsewhere"))]), "MANIFEST_BLOB_UNKNOWN")):
    kinds = {"MANIFEST_BLOB_UNKNOWN": 404}
    row("F1" if "schema" in what else "25" if "browser" in what else "7", f"a manifest {what}", **put("a", "bad", data, kind), status=kinds.get(code, 400), code=code, holds=absent("a", "bad"))
row("F1", "an artifact whose blobs are not here", **put("a", "bad", b'{"blobs":[{"mediaType":"a/b","digest":"%s","size":5}]}' % sha(b"no").encode(),
    "application/vnd.oci.artifact.manifest.v1+json"), status=404, code="MANIFEST_BLOB_UNKNOWN", holds=absent("a", "bad"))
row("F4", "an index whose manifests are not here", **put("a", "bad", json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": IMAGE, "digest": sha(b"no"), "size": 2}]}).encode(), INDEX),
    status=404, code="MANIFEST_BLOB_UNKNOWN", holds=absent("a", "bad"))
row("26", "a version that would move", **put("a", "1.0.0", manifest(config)), status=409, holds=lambda *_: ask(OPEN, "GET", "/v2/a/manifests/1.0.0")[2] == good)
row("26", "a manifest at another manifest's digest", **put("a", sha(b"x"), good), status=400, code="DIGEST_INVALID")
for tag in (".x", "-x", "a" * 200, "x%20y", "%c3%a9"):
    row("21", f"a manifest at the tag '{tag[:20]}'", **put("a", tag, good), status=400, holds=absent("a", tag))
row("25", "what was pushed is no page", OPEN, "GET", "/v2/a/manifests/1.0.0", 200, holds=lambda sent, _: sent["X-Content-Type-Options"] == "nosniff" and "sandbox" in sent["Content-Security-Policy"])
row("25", "nor is a blob", OPEN, "GET", f"/v2/a/blobs/{layer['digest']}", 200, holds=lambda sent, _: sent["X-Content-Type-Options"] == "nosniff" and "sandbox" in sent["Content-Security-Policy"])
row("F13", "HEAD with a range is whole", OPEN, "HEAD", f"/v2/a/blobs/{layer['digest']}", 200, "", {"Range": "bytes=0-1"}, holds=lambda sent, _: sent["Content-Length"] == "5")
for method, path in (("PATCH", "/v2/a/manifests/1.0.0"), ("DELETE", "/v2/_catalog"), ("POST", "/v2/a/tags/list"), ("PUT", "/healthz"), ("PATCH", f"/v2/a/blobs/{layer['digest']}")):
    row("F11", f"{method} where it is not allowed", OPEN, method, path, 405, "UNSUPPORTED", holds=lambda sent, _: "GET" in sent["Allow"])

# --- names and paths ---
for name in ("A", "a..b", "-a", "a_", "a//b", "a/", "%ff", "a" * 300, "..", "a/../b"):
    row("21", f"a repository '{name[:20]}'", OPEN, "GET", f"/v2/{name}/tags/list", 400, "NAME_INVALID")
for path in ("a/manifests/..%2f..%2fx", "a/manifests/..%252f..%252fx", "a/blobs/..%2f..%2fx", "a/referrers/x", "a/referrers/sha256:1"):
    row("21", f"GET {path}", OPEN, "GET", "/v2/" + path, 400 if "referrers" in path else 404)
for host, which in ((OPEN, "the registry"), (CACHE, "the cache")):
    for tag in ("..%252f..%252fother%252fmanifests%252f1", "..%2f..%2fother", ".x", "x%3fy", "x%23y", "x%0d%0ay"):
        row("21", f"a view of the tag '{tag[:30]}' from {which}", host, "GET", f"/formats/a/{tag}/raw/disk.raw", 400 if tag.startswith("..%2f") else 404)
row("21", "what the cache keeps has tags of the grammar alone", CACHE, "GET", "/v2/_catalog", 200, holds=lambda _, text: b".." not in text)
for query in ("n=-1", "n=x", "n=99999999999999999999"):
    row("S3", f"a list of tags with {query}", OPEN, "GET", f"/v2/a/tags/list?{query}", 400)
row("S3", "tags after one that is no tag", OPEN, "GET", "/v2/a/tags/list?last=%ff%00", 200)

# --- who asks ---
for headers, what in (({"Host": "evil.example"}, "a page whose name leads here"), ({"Host": "localhost", "X-Forwarded-For": "192.0.2.1"}, "a proxy"),
                      ({"Host": "localhost", "Forwarded": "for=192.0.2.1"}, "a proxy that says Forwarded")):
    row("20", f"without users, a push by {what}", OPEN, "POST", "/v2/a/blobs/uploads/", 403, "DENIED", headers)
for path in ("/v2/", "/v2/secret/x/manifests/1.0.0", "/v2/none/manifests/1.0.0", f"/v2/secret/x/blobs/{private['digest']}", "/v2/_catalog", "/formats/secret/x/1.0.0/raw/disk.raw"):
    row("F8", f"nobody asks for {path[:40]}", USERS, "GET", path, 401, "", holds=lambda sent, text: "Bearer" in sent["WWW-Authenticate"] and b"private" not in text)
row("F10", "an unknown token", USERS, "GET", "/v2/", 401, "", {"Authorization": "Bearer nonsense"})
row("F10", "the right password after it", USERS, "GET", "/v2/", 200, "", ROOT)
for bad in ("Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Bearer", "Digest x", "Bearer " + "x" * 9000, "Basic " + base64.b64encode(b"\xff:\xff").decode()):
    row("19", f"Authorization: {bad[:24]}", USERS, "GET", "/v2/", 401, "", {"Authorization": bad})
row("F2", "a mount from a repository that may not be read", USERS, "POST", f"/v2/mine/x/blobs/uploads/?mount={private['digest']}&from=secret/x", 202, "", PUSHER,
    holds=lambda *_: ask(USERS, "GET", f"/v2/mine/x/blobs/{private['digest']}", PUSHER)[0] == 404)
row("24", "a manifest of a blob that may not be read", USERS, "PUT", "/v2/mine/x/manifests/1.0.0", 404, "MANIFEST_BLOB_UNKNOWN", dict(PUSHER, **{"Content-Type": IMAGE}), manifest(private))
row("26", "a channel that goes by one who may delete alone", USERS, "DELETE", "/v2/mine/x/manifests/prod", 403, "DENIED", PUSHER)
row("26", "another's channel", USERS, "DELETE", "/v2/secret/x/manifests/prod", 403, "DENIED", PUSHER, holds=lambda *_: ask(USERS, "GET", "/v2/secret/x/manifests/prod", ROOT)[0] == 200)
row("28", "what not everybody may read is kept by no shared cache", USERS, "GET", f"/v2/secret/x/blobs/{private['digest']}", 200, "", ROOT, holds=lambda sent, _: "private" in sent["Cache-Control"])
before = ask(OPEN, "GET", "/metrics")[2].split(b"ingot_pack_bytes ")[1].split(b"\n")[0]
push(OPEN, "guess", b"a guess of what is stored")
row("32", "a small push is not seen in the figures", OPEN, "GET", "/metrics", 200, holds=lambda _, text: text.split(b"ingot_pack_bytes ")[1].split(b"\n")[0] == before)
row("F11", "no such path", OPEN, "GET", "/elsewhere", 404, "UNSUPPORTED")
row("4", "a head of 60 KB", OPEN, "GET", "/v2/", 431, "", {"X-Long": "x" * 60000})

print(f"{failed} rows failed")
sys.exit(1 if failed else 0)
