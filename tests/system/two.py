#!/usr/bin/env python3
"""Clients of two registries on one folder: two.py A B DATA, where A and B are HOST:PORT of servers whose process ids stand in
DATA.a.pid and DATA.b.pid; B is killed once, and the caller starts it again on the same port.

Each thread has a repository of its own, but all blobs share pieces. What it pushes to one server it reads from the other, at once;
what it deletes at one is gone at the other. Garbage is collected all the time. At the end both show all that was acknowledged.
"""
import hashlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

SERVERS, DATA = sys.argv[1:3], sys.argv[3]
THREADS, ROUNDS, PATIENCE = 4, 40, 90
TYPE = "application/vnd.oci.image.manifest.v1+json"
SHARED = [random.Random(i).randbytes(1 << 20) for i in range(4)]  # a piece each
ended = threading.Event()
wrong = []


class Client:
    def __init__(self, server):
        self.server = server

    def ask(self, method, path, body=None, **headers):
        """One request; a server that is away for a moment is asked again."""
        until = time.monotonic() + PATIENCE
        while True:
            connection = http.client.HTTPConnection(self.server, timeout=60)
            try:
                connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            except (OSError, http.client.HTTPException):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            finally:
                connection.close()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def expect(what, status, *wanted):
    if status not in wanted:
        raise AssertionError(f"{what}: status {status}, not {' or '.join(map(str, wanted))}")


def push_blob(client, name, data):
    status, _, text = client.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(data)}", data,
                                 Content_Type="application/octet-stream")
    expect(f"push to {client.server}: {text[:200]}", status, 201)


def push_image(client, name, tag, blobs):
    """A client that is told that a blob has gone pushes it again: its grace is over where the machine is slow."""
    layers = [{"mediaType": "application/octet-stream", "digest": digest_of(blob), "size": len(blob)} for blob in blobs]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": layers[0], "layers": layers[1:]}).encode()
    for _ in range(10):
        for blob in blobs:
            push_blob(client, name, blob)
        status, _, text = client.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, Content_Type=TYPE)
        if status == 201:
            return manifest
        expect(f"manifest to {client.server}: {text[:200]}", status, 404, 400)
    raise AssertionError(f"{client.server} loses the blobs of {name}:{tag} again and again")


def check_image(client, name, tag, manifest, blobs):
    status, _, text = client.ask("GET", f"/v2/{name}/manifests/{tag}", Accept=TYPE)
    expect(f"manifest {name}:{tag} of {client.server}", status, 200)
    if text != manifest:
        raise AssertionError(f"{client.server} has another manifest as {name}:{tag}")
    for blob in blobs:
        status, _, text = client.ask("GET", f"/v2/{name}/blobs/{digest_of(blob)}")
        expect(f"blob of {name}:{tag} of {client.server}", status, 200)
        if text != blob:
            raise AssertionError(f"{client.server} has other bytes in a blob of {name}:{tag}")


def live(number):
    chance = random.Random(number)
    name, kept = f"team/t{number}", {}
    clients = [Client(server) for server in SERVERS]
    for i in range(ROUNDS):
        one = clients[i % 2]
        other = clients[(i + 1) % 2]
        blobs = [chance.choice(SHARED) + chance.randbytes(20000), chance.randbytes(3000)]
        tag = f"t{chance.randrange(4)}"
        kept[tag] = push_image(one, name, tag, blobs), blobs
        check_image(other, name, tag, *kept[tag])
        if chance.random() < 0.4:
            tag = chance.choice(sorted(kept))
            manifest, _ = kept[tag]
            status, *_ = other.ask("DELETE", f"/v2/{name}/manifests/{digest_of(manifest)}")
            # Asked again, since the server was killed before it could answer, it has gone.
            expect(f"deletion of {name}:{tag} at {other.server}", status, 202, 404)
            for gone in [tag for tag, image in kept.items() if image[0] == manifest]:
                del kept[gone]
            status, *_ = one.ask("GET", f"/v2/{name}/manifests/{digest_of(manifest)}", Accept=TYPE)
            expect(f"{name}:{tag} at {one.server}, deleted at {other.server}", status, 404)
    return name, kept


def collect():
    runs = 0
    while not ended.is_set():
        done = subprocess.run(["ingotd", "gc", "--data", DATA, "--grace", "3s"], capture_output=True, text=True)
        runs += done.returncode == 0
        ended.wait(0.3)
    if runs < 2:
        wrong.append(f"garbage was collected {runs} times: {done.stderr}")


def work(number, results):
    try:
        results.append(live(number))
    except Exception as error:  # noqa: BLE001: whatever it is, it is told
        wrong.append(f"client {number}: {error}")


def main():
    results = []
    collector = threading.Thread(target=collect)
    threads = [threading.Thread(target=work, args=(number, results)) for number in range(THREADS)]
    for thread in [collector, *threads]:
        thread.start()
    time.sleep(4)
    with open(DATA + ".b.pid") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    for thread in threads:
        thread.join()
    ended.set()
    collector.join()
    for name, kept in results:
        for server in SERVERS:
            for tag, image in kept.items():
                try:
                    check_image(Client(server), name, tag, *image)
                except AssertionError as error:
                    wrong.append(f"at the end: {error}")
    print(f"{sum(len(kept) for _, kept in results)} images at the end")
    sys.exit("\n".join(wrong) if wrong else 0)


main()
