"""Promotions of a registry, timed: promote.py fill|moves HOST NAME COUNT.

fill pushes COUNT versions and attaches packages and a report to 1.0.0 and 1.1.0; moves sets prod to each in turn by dev, and back,
and prints the median of the milliseconds that the requests took, over one connection on this machine.
"""
import concurrent.futures
import hashlib
import http.client
import json
import statistics
import sys
import time

TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest(), "size": 2}
verb, host, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


class Registry:
    def __init__(self):
        self.connection = http.client.HTTPConnection(host)

    def ask(self, method, path, body=b"", kind="application/json"):
        self.connection.request(method, path, body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 201), (method, path, answer.status, text)
        return answer, text

    def blob(self, content, kind):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", content, "application/octet-stream")
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def manifest(self, reference, layer, **more):
        text = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": EMPTY, "layers": [layer], **more}).encode()
        self.ask("PUT", f"/v2/{name}/manifests/{reference or 'sha256:' + hashlib.sha256(text).hexdigest()}", text, TYPE)


def attach(registry, subject, kind, document):
    layer = registry.blob(json.dumps(document).encode(), kind)
    registry.manifest(None, layer, artifactType=kind, subject=subject)


def attach_evidence(registry, version):
    answer, text = registry.ask("GET", f"/v2/{name}/manifests/{version}")
    digest = answer.headers["Docker-Content-Digest"]
    subject = {"mediaType": TYPE, "digest": digest, "size": len(text)}
    packages = [{"name": f"package-{n}", "versionInfo": f"1.{n}"} for n in range(500)]
    attach(registry, subject, "application/spdx+json", {"spdxVersion": "SPDX-2.3", "packages": packages})
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    recipe = {"name": "web.yaml", "digest": {"sha256": "0" * 64}}
    report = {"result": "PASSED", "configuration": [recipe], "passedTests": ["a"], "failedTests": [], "ingot": {"finished": now}}
    attach(registry, subject, "application/vnd.in-toto+json", {
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "subject": [{"name": name, "digest": {"sha256": digest.split(":")[1]}}], "predicate": report})


def fill():
    registry = Registry()
    layer = registry.blob(b"one layer for all", "application/octet-stream")
    registry.blob(b"{}", EMPTY["mediaType"])

    def push(part):
        own = Registry()
        for n in range(part, count, 8):
            own.manifest(f"0.{n // 100}.{n % 100}", layer, annotations={"number": str(n)})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(push, range(8)))
    registry = Registry()
    for version in ("1.0.0", "1.1.0"):
        attach_evidence(registry, version)


def timed(registry, path, body):
    began = time.perf_counter()
    text = registry.ask("POST", f"/api/v1/{name}/{path}", json.dumps(body).encode())[1]
    took = (time.perf_counter() - began) * 1000
    assert json.loads(text)["moved"], text
    return took


def moves():
    registry = Registry()
    promotions, rollbacks = [], []
    for n in range(count):
        version = ("1.0.0", "1.1.0")[n % 2]
        timed(registry, "channels/dev", {"from": version})
        time.sleep(1.1)  # the gate soak
        promotions.append(timed(registry, "channels/prod", {"from": version}))
        if n > 0:
            rollbacks.append(timed(registry, "rollback/prod", {}))
            timed(registry, "channels/prod", {"from": version})
    print(f"promote {statistics.median(promotions):.1f}\nrollback {statistics.median(rollbacks):.1f}")


{"fill": fill, "moves": moves}[verb]()
