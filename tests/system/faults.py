"""Clients of a registry that is killed again and again: faults.py FOLDER KILLS SEED [LIBRARY].

Each client knows what was acknowledged to it. What was on its way when the kill came may have happened or not: a set of
states is kept for it until the next start tells which. FOLDER has the frames that blobs are made of. With LIBRARY (tests/faults/lossy.c) each kill is a power cut.
"""
import collections
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import lossy
from killed import Failure, Killed, Server, Wire, check, digest_of

FOLDER, KILLS, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LIBRARY = sys.argv[4] if len(sys.argv) > 4 else None
DATA = os.path.join(FOLDER, "registry")
CLIENTS, REPOSITORIES, IMAGES, TAGS = 4, 2, 7, 4
SLOW = float(os.environ.get("SLOW", "1"))  # how many times, under a sanitizer
TYPE = "application/vnd.oci.image.manifest.v1+json"
DISK = lossy.Disk(LIBRARY, DATA, os.path.join(FOLDER, "disk"), random.Random(SEED)) if LIBRARY else None
ENVIRONMENT = DISK.environment if DISK else None
acknowledged = collections.Counter()
counting = threading.Lock()


def count(kind):
    with counting:
        acknowledged[kind] += 1


def serve(data=DATA):
    return Server(FOLDER, data, "2K", ENVIRONMENT)


class Client:
    def __init__(self, number, frames):
        self.number = number
        self.random = random.Random(SEED * 100 + number)
        self.name = f"team/{number % REPOSITORIES}"
        self.other = f"team/{(number + 1) % REPOSITORIES}"
        self.frames = frames
        self.serial = 0
        self.tags = {f"c{number}-{i}": {None} for i in range(TAGS)}  # -> digests that it may name
        self.manifests = {}  # digest -> [bytes, blobs, set of whether it may be there]
        self.pending = None  # (digest, tags): a put or a delete that the kill came into
        self.loose = {}  # digest -> bytes: acknowledged since the start
        self.rest = None  # an upload that the kill came into: location, bytes

    # --- work ---

    def blob(self):
        """Shared with others, or this client's own."""
        if self.random.random() < 0.4:
            kind = random.Random(self.random.randrange(12))
            return b"".join(kind.choice(self.frames) for _ in range(kind.randrange(1, 12)))
        own = f"client {self.number} blob {self.random.random()}".encode()
        data = b"".join(self.random.choice(self.frames) for _ in range(self.random.randrange(0, 15)))
        return data + own if self.random.random() < 0.5 else data + own * 100 + data

    def push_blob(self, wire, data):
        digest = digest_of(data)
        base = f"/v2/{self.name}/blobs/"
        way = self.random.random()
        if way < 0.3 and wire.ask("HEAD", base + digest)[0] == 200:
            return count("blob that is there")
        if way < 0.5:
            status, text, _ = wire.ask("POST", f"{base}uploads/?mount={digest}&from={self.other}")
            if status == 201:
                return count("mount")
            check(status == 202, "mount:", status, text)
        if way < 0.75:
            status, text, _ = wire.ask("POST", f"{base}uploads/?digest={digest}", data)
        else:
            status, text, answer = wire.ask("POST", base + "uploads/")
            check(status == 202, "POST:", status, text)
            self.rest = [answer.headers["Location"], data]
            status, text = self.send(wire, 0)
        check(status == 201, "blob:", status, text)
        self.rest = None
        self.loose[digest] = data
        count("blob")

    def send(self, wire, at):
        location, data = self.rest
        while at < len(data):
            part = data[at : at + self.random.randrange(1, 400000)]
            status, text, answer = wire.ask("PATCH", location, part, {"Content-Range": f"{at}-{at + len(part) - 1}"})
            check(status == 202, "PATCH:", status, text)
            at += len(part)
            location = answer.headers["Location"]
        status, text, _ = wire.ask("PUT", f"{location}?digest={digest_of(data)}")
        return status, text

    def go_on(self, wire):
        """An upload that a kill came into: what came of it is kept."""
        status, text, answer = wire.ask("GET", self.rest[0])
        check(status in (204, 404), "upload:", status, text)  # 404: it had come to its end
        if status == 204:
            first, last = answer.headers["Range"].split("-")
            status, text = self.send(wire, int(last) + 1 if int(last) > 0 else 0)
            check(status == 201, "resumed upload:", status, text)
            self.loose[digest_of(self.rest[1])] = self.rest[1]
            count("resumed upload")
        self.rest = None

    def push(self, wire):
        blobs = [self.blob() for _ in range(self.random.randrange(1, 4))]
        tag = self.random.choice(list(self.tags))
        self.serial += 1
        layers = [{"mediaType": "a/b", "digest": digest_of(one), "size": len(one)} for one in blobs]
        manifest = {"schemaVersion": 2, "mediaType": TYPE, "config": layers[0], "layers": layers[1:]}
        manifest["annotations"] = {"serial": f"{self.number}.{self.serial}"}
        text = json.dumps(manifest).encode()
        digest = digest_of(text)
        for _ in range(30):
            for one in blobs:
                self.push_blob(wire, one)
            old = self.tags[tag]
            self.pending = (digest, [tag])
            self.manifests[digest] = [text, blobs, {True, False}]
            self.tags[tag] = old | {digest}
            status, answer, _ = wire.ask("PUT", f"/v2/{self.name}/manifests/{tag}", text, {"Content-Type": TYPE})
            self.pending = None
            if status == 201:
                self.manifests[digest][2] = {True}
                self.tags[tag] = {digest}
                return count("manifest")
            self.tags[tag] = old
            del self.manifests[digest]
            # Without a grace a collection takes what no manifest names yet: once more.
            check(status == 404 and b"MANIFEST_BLOB_UNKNOWN" in answer, "manifest:", status, answer)
            count("manifest that came too late")
        return None

    def delete(self, wire):
        digest = self.random.choice(list(self.manifests))
        tags = [tag for tag, names in self.tags.items() if names == {digest}]
        self.pending = (digest, tags)
        self.manifests[digest][2] = {True, False}
        for tag in tags:
            self.tags[tag] = {digest, None}
        status, text, _ = wire.ask("DELETE", f"/v2/{self.name}/manifests/{digest}")
        check(status == 202, "delete:", status, text)
        self.pending = None
        del self.manifests[digest]
        for tag in tags:
            self.tags[tag] = {None}
        count("delete")

    def untag(self, wire):
        tag = self.random.choice(list(self.tags))
        if self.tags[tag] != {None}:
            self.tags[tag] = self.tags[tag] | {None}
            status, text, _ = wire.ask("DELETE", f"/v2/{self.name}/manifests/{tag}")
            check(status == 202, "untag:", status, text)
            self.tags[tag] = {None}
            count("untag")

    def pull(self, wire):
        digest = self.random.choice(list(self.manifests))
        self.verify_manifest(wire, digest, *self.manifests[digest])
        count("pull")

    def work(self, server):
        wire = Wire(server)
        try:
            if self.rest is not None:
                self.go_on(wire)
            while True:
                if not self.manifests or self.random.random() < 0.45:
                    self.push(wire)
                elif len(self.manifests) > IMAGES or self.random.random() < 0.2:
                    self.delete(wire)
                elif self.random.random() < 0.1:
                    self.untag(wire)
                else:
                    self.pull(wire)
        except Killed:
            pass

    # --- what is there ---

    def verify_blob(self, wire, data):
        status, found, _ = wire.ask("GET", f"/v2/{self.name}/blobs/{digest_of(data)}")
        check(status == 200 and found == data, self.name, "blob", digest_of(data), "of", len(data), "bytes:", status, found[:200])

    def verify_manifest(self, wire, digest, text, blobs, states):
        status, found, _ = wire.ask("GET", f"/v2/{self.name}/manifests/{digest}")
        check(status in (200, 404) and (status == 200) in states, self.name, "manifest", digest, status, states)
        if status == 200:
            check(found == text, "manifest", digest, "differs")
            for blob in blobs:
                self.verify_blob(wire, blob)
        return status == 200

    def verify_tag(self, wire, tag):
        status, found, _ = wire.ask("GET", f"/v2/{self.name}/manifests/{tag}")
        names = digest_of(found) if status == 200 else None
        check(status in (200, 404) and names in self.tags[tag], self.name, tag, "is", names, "not of", self.tags[tag], status)
        return names

    def verify(self, wire, keep):
        there = {digest for digest, one in self.manifests.items() if self.verify_manifest(wire, digest, *one)}
        tags = {tag: self.verify_tag(wire, tag) for tag in self.tags}
        check(set(tags.values()) - {None} <= there, "a tag names what is not there:", tags, there)
        listed = json.loads(wire.ask("GET", f"/v2/{self.name}/tags/list")[1]).get("tags") or []
        own = {tag for tag in listed if tag in self.tags}
        check(own == {tag for tag, names in tags.items() if names}, "tags/list:", listed, tags)
        if self.pending is not None:
            digest, named = self.pending
            check(all((tags[tag] == digest) == (digest in there) for tag in named), "by halves:", self.pending, tags, digest in there)
        if keep:
            self.pending = None
            self.tags = {tag: {names} for tag, names in tags.items()}
            self.manifests = {digest: one[:2] + [{True}] for digest, one in self.manifests.items() if digest in there}

    def verify_loose(self, wire):
        """Where no collection ran, what no manifest names is there too."""
        for data in self.loose.values():
            self.verify_blob(wire, data)


def ingotd(*arguments):
    done = subprocess.run(["ingotd", *arguments], capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    return done.returncode, done.stdout + done.stderr


class Collector(threading.Thread):
    """Collections, one after another, until the kill."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def run(self):
        while not self.server.killing:
            status, text = ingotd("gc", "--data", DATA, "--grace", "0s", "--untagged-grace", "1d")
            if status == 0:
                count("collection")
            elif not self.server.killing:
                failures.append(Failure("gc: " + text))
            time.sleep(random.random() * 0.03)


failures = []


def guarded(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:  # pylint: disable=broad-except
        failures.append(error)


def each(clients, function):
    threads = [threading.Thread(target=guarded, args=(function, client)) for client in clients]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def verify(clients, server, keep=True):
    for client in clients:
        client.verify(Wire(server), keep)


def verify_rebuilt(clients, keep_old):
    """A copy whose catalogue is lost, or stands beside as it was."""
    copy = os.path.join(FOLDER, "copy")
    shutil.copytree(DATA, copy, ignore=shutil.ignore_patterns("control.sock"))
    if not keep_old:
        for path in glob.glob(os.path.join(copy, "catalogue.sqlite*")):
            os.unlink(path)
    status, text = ingotd("rebuild", "--data", copy)
    check(status == 0, "rebuild:", text)
    server = serve(copy)
    try:
        verify(clients, server, keep=False)
        status, text = ingotd("scrub", "--data", copy)
        check(status == 0, "scrub of what was rebuilt:", text)
    finally:
        server.end(signal.SIGTERM)
        shutil.rmtree(copy)
    count("rebuild")


def scrub():
    status, text = ingotd("scrub", "--data", DATA)
    check(status == 0, "scrub:", text)
    count("scrub")


def kill_a_collection():
    """With no server a collection works on the folder itself."""
    process = subprocess.Popen(["ingotd", "gc", "--data", DATA, "--grace", "0s", "--untagged-grace", "1d"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    time.sleep(random.random() * 0.03)
    process.kill()
    process.wait()
    cut_power()


def cut_power():
    if DISK:
        DISK.cut()
        count("power cut")


def kill_a_rebuild():
    """One that is broken off is begun again."""
    process = subprocess.Popen(["ingotd", "rebuild", "--data", DATA], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    time.sleep(random.random() * 0.1)
    process.kill()
    process.wait()
    cut_power()
    status, text = ingotd("rebuild", "--data", DATA)
    check(status == 0 and "lost: 0" in text, "rebuild:", text)
    count("killed rebuild")


logs = set()  # of before checkpoints, that have been seen


def one_round(clients, server, number):
    collecting = number % 4 != 0
    for client in clients:
        client.loose = {}
    threads = each(clients, lambda client: client.work(server))
    if collecting:
        collector = Collector(server)
        collector.start()
        threads.append(collector)
    time.sleep((0.02 + random.random() * 0.28) * SLOW)
    server.end(signal.SIGKILL)
    join(threads)
    count("kill")
    cut_power()
    for path in set(glob.glob(os.path.join(DATA, "names.log.0*"))) - logs:
        logs.add(path)
        count("checkpoint")
    if number % 20 == 0:
        verify_rebuilt(clients, keep_old=True)
    if number % 10 == 5:
        kill_a_collection()
    if number % 10 == 7:
        kill_a_rebuild()
    server = serve()
    try:
        verify(clients, server)
        if not collecting:
            for client in clients:
                client.verify_loose(Wire(server))
        if number % 20 == 0:
            scrub()
    except BaseException:
        server.end(signal.SIGKILL)
        raise
    return server


def main():
    random.seed(SEED)
    frames = []
    for path in sorted(glob.glob(os.path.join(FOLDER, "frames", "*.zst"))):
        with open(path, "rb") as file:
            frames.append(file.read())
    clients = [Client(number, frames) for number in range(CLIENTS)]
    if DISK:
        os.makedirs(DATA)
        DISK.begin()
    server = serve()
    for number in range(1, KILLS + 1):
        server = one_round(clients, server, number)
    try:
        scrub()
    finally:
        server.end(signal.SIGTERM)
    verify_rebuilt(clients, keep_old=False)
    print(", ".join(f"{kind}: {number}" for kind, number in sorted(acknowledged.items())))


try:
    main()
except Failure as error:
    sys.exit(f"FAILED: {error}")
