"""Channels that move while the registry is killed again and again: promotions.py FOLDER ROUNDS SEED [LIBRARY].

Every move has a reason of its own, so that each can be found again. With LIBRARY (tests/faults/lossy.c) every second kill is a power cut.
After each, tags, channels, moves and events must agree, and every move that was acknowledged must be among them, once.
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

FOLDER, ROUNDS, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LIBRARY = sys.argv[4] if len(sys.argv) > 4 else None
DATA = os.path.join(FOLDER, "registry")
SLOW = float(os.environ.get("SLOW", "1"))  # how many times, under a sanitizer
MOVERS, PUSHERS, VERSIONS, PAGE = 4, 2, 5, 1000
TYPE = "application/vnd.oci.image.manifest.v1+json"
NAMES = {"team/plain": ["dev", "test", "prod"], "team/piped": ["edge", "live"]}  # the second has a pipeline of its own
PIPELINES = {"pipelines": {"team/piped": {"channels": [{"name": "edge"}, {"name": "live", "from": "edge"}]}}}
DISK = lossy.Disk(LIBRARY, DATA, os.path.join(FOLDER, "disk"), random.Random(SEED)) if LIBRARY else None
ENVIRONMENT = DISK.environment if DISK else None
counted = collections.Counter()
lock = threading.Lock()
failures = []


def count(kind):
    with lock:
        counted[kind] += 1


def ingotd(*arguments):
    done = subprocess.run(["ingotd", *arguments], capture_output=True, text=True, timeout=300, env=ENVIRONMENT)
    check(done.returncode == 0, "ingotd", *arguments, done.stdout, done.stderr)
    return done.stdout


def serve(data=DATA):
    return Server(FOLDER, data, "8K", ENVIRONMENT)


class Caller(Wire):
    """Asks with JSON, too."""

    def ask(self, method, path, body=None, kind="application/json"):
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        return super().ask(method, path, data, {} if data is None else {"Content-Type": kind})[:2]

    def get(self, path):
        status, text = self.ask("GET", path)
        check(status == 200, "GET", path, status, text)
        return json.loads(text)


def push(wire, name, tag, content):
    status, text = wire.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(content)}", content, "application/octet-stream")
    check(status == 201, "blob:", status, text)
    layer = {"mediaType": "a/b", "digest": digest_of(content), "size": len(content)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": layer, "layers": []}).encode()
    status, text = wire.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, TYPE)
    check(status == 201, "manifest:", status, text)
    count("push")
    return digest_of(manifest)


class Mover:
    """Moves channels of all names, as others do at the same time."""

    def __init__(self, number):
        self.random = random.Random(SEED * 100 + number)
        self.number, self.serial = number, 0
        self.done = {}  # reason -> (name, channel, digest, how): acknowledged
        self.doubtful = {}  # reason -> (name, channel, how): the kill came into it

    def move(self, wire):
        name = self.random.choice(list(NAMES))
        place = self.random.randrange(len(NAMES[name]))
        channel = NAMES[name][place]
        self.serial += 1
        reason = f"{self.number}.{self.serial}"
        how = "rollback" if self.random.random() < 0.2 else "promote"
        if how == "rollback":
            path, body = f"/api/v1/{name}/rollback/{channel}", {"reason": reason}
        else:
            source = NAMES[name][place - 1] if place > 0 else f"{self.random.randrange(1, VERSIONS + 1)}.0.0"
            path, body = f"/api/v1/{name}/channels/{channel}", {"from": source, "reason": reason}
        self.doubtful[reason] = (name, channel, how)
        status, text = wire.ask("POST", path, body)
        # 400: it named nothing before; 404: nothing stands there yet; 409: a gate refuses; 412: another mover was faster.
        check(status in (200, 404, 409, 412) or (status == 400 and b"nothing to go back to" in text), path, status, text)
        del self.doubtful[reason]
        answer = json.loads(text)
        if status == 200 and answer["moved"]:
            self.done[reason] = (name, channel, answer["digest"], how)
            count(how)
        else:
            count("move that was none" if status == 200 else "move that was refused")

    def work(self, server):
        wire = Caller(server)
        try:
            while True:
                self.move(wire)
        except Killed:
            pass


def push_on(server, number):
    """The load beside the moves: uploads and manifests of a name that has no channels set."""
    wire, n = Caller(server), 0
    try:
        while True:
            n += 1
            push(wire, "team/load", f"load-{number}-{n % 5}", os.urandom(random.randrange(100, 60000)))
    except Killed:
        pass


# --- what is there ---


def moves_of(wire, name):
    """All moves, the oldest first."""
    moves, before = [], ""
    while True:
        page = wire.get(f"/api/v1/{name}/log?n={PAGE}{before}")
        moves += page
        if len(page) < PAGE:
            return moves[::-1]
        before = f"&before={page[-1]['number']}"


def verify_moves(movers, name, moves, known):
    """Each that was acknowledged once, none that nobody asked for, none that has changed since it was seen."""
    check([one["number"] for one in moves] == list(range(1, len(moves) + 1)), name, "has gaps in its moves:", moves)
    check(moves[: len(known)] == known, name, "has other moves than before:", known, moves)
    found = {}
    for one in moves:
        check(one["reason"] not in found, "twice:", one)
        found[one["reason"]] = one
        mover = movers[int(one["reason"].split(".")[0])]
        asked = mover.doubtful.get(one["reason"])
        if asked is not None:
            check((name, one["channel"], one["how"]) == asked, one, "instead of", asked)
            mover.done[one["reason"]] = (name, one["channel"], one["digest"], one["how"])
            del mover.doubtful[one["reason"]]
            count("move that happened as the kill came")
        check(mover.done.get(one["reason"]) == (name, one["channel"], one["digest"], one["how"]), "nobody was told of", one)
    for mover in movers:
        for reason, done in mover.done.items():
            check(done[0] != name or reason in found, "acknowledged, and lost:", reason, done)


def verify_channels(wire, name, moves):
    """What a channel names is what its last move says, for the API, for other clients, and for who lists tags."""
    channels = {one["channel"]: one for one in wire.get(f"/api/v1/{name}/channels")}
    last = {one["channel"]: one for one in moves}
    tags = wire.get(f"/v2/{name}/tags/list")["tags"]
    for channel in NAMES[name]:
        status, manifest = wire.ask("GET", f"/v2/{name}/manifests/{channel}")
        check(status in (200, 404), name, channel, status, manifest)
        named = digest_of(manifest) if status == 200 else None
        said, move = channels.get(channel, {}), last.get(channel, {})
        check(named == said.get("digest") == move.get("digest"), name, channel, named, said, move)
        check([said.get(key) for key in ("since", "by", "reason")] == [move.get(key) for key in ("since", "by", "reason")], said, move)
        check((channel in tags) == (named is not None), "tags/list:", tags, channel, named)


def verify_events(data, name, moves):
    """The log of events, which stands alone, has the same moves, and the same end for each channel."""
    events = [json.loads(line) for line in ingotd("audit", "export", "--data", data, "--name", name).splitlines()]
    told, tags = {}, {}
    for event in events:
        if event["op"] == "record" and event["kind"] == "move":
            one = told.setdefault(int(event["key"]), event)
            check(one["body"] == event["body"], "a move was changed:", one, event)
        elif event["op"] == "tag":
            tags[event["tag"]] = event["digest"]
        elif event["op"] == "untag":
            tags.pop(event["tag"], None)
    check(sorted(told) == [one["number"] for one in moves], name, "events have the moves", sorted(told), "instead of", moves)
    for one in moves:
        body, event = told[one["number"]]["body"], told[one["number"]]
        check((body["tag"], body["digest"], body["how"], event["why"]) == (one["channel"], one["digest"], one["how"], one["reason"]), event, one)
    for channel in NAMES[name]:
        last = [one["digest"] for one in moves if one["channel"] == channel][-1:]
        check(last == [tags[channel]] if channel in tags else not last, "the events of", name, channel, "end with", tags.get(channel), "not", last)


def verify(movers, server, known):
    wire = Caller(server)
    for name in NAMES:
        moves = moves_of(wire, name)
        verify_moves(movers, name, moves, known.get(name, []))
        verify_channels(wire, name, moves)
        verify_events(DATA, name, moves)
        known[name] = moves
    check([one["name"] for one in wire.get("/api/v1/team/piped/pipeline")["channels"]] == NAMES["team/piped"], "the pipeline is another")
    # No mover asks for it again: what a kill has prevented never comes.
    for mover in movers:
        mover.doubtful = {}


def verify_head(head):
    """The log is whole, and still has the event that was the last of an earlier round. Returns the last of this one."""
    report = json.loads(ingotd("audit", "verify", "--data", DATA, "--json", *(["--head", head] if head else [])))
    check(report["faults"] == 0, "audit:", report)
    return report["head"]


def verify_rebuilt(known):
    """A catalogue that is made from the log and the packs has the same moves."""
    copy = os.path.join(FOLDER, "copy")
    shutil.copytree(DATA, copy, ignore=shutil.ignore_patterns("control.sock"))
    for path in glob.glob(os.path.join(copy, "catalogue.sqlite*")):
        os.unlink(path)
    ingotd("rebuild", "--data", copy)
    server = serve(copy)
    try:
        wire = Caller(server)
        for name, moves in known.items():
            check(moves_of(wire, name) == moves, name, "has other moves after a rebuild:", moves_of(wire, name), moves)
            verify_channels(wire, name, moves)
    finally:
        server.end(signal.SIGTERM)
        shutil.rmtree(copy)
    count("rebuild")


def guarded(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:  # pylint: disable=broad-except
        failures.append(error)


def collect_on(server):
    """Collections, each of which begins the log anew with a checkpoint where it has become long."""
    while not server.killing:
        try:
            ingotd("gc", "--data", DATA)
        except Failure:
            if not server.killing:
                raise
        time.sleep(random.random() * 0.05)


def wait_for_moves(most):
    """Until so many more were acknowledged, and then for as long as a move may take: the kill comes anywhere in the next one."""
    wanted = counted["promote"] + counted["rollback"] + most
    while counted["promote"] + counted["rollback"] < wanted and not failures:
        time.sleep(0.001)
    time.sleep(random.random() * 0.02 * SLOW)


def work_until_killed(movers, server):
    threads = [threading.Thread(target=guarded, args=(mover.work, server)) for mover in movers]
    threads += [threading.Thread(target=guarded, args=(push_on, server, number)) for number in range(PUSHERS)]
    threads.append(threading.Thread(target=guarded, args=(collect_on, server)))
    for thread in threads:
        thread.start()
    wait_for_moves(random.randrange(2, 20))
    server.end(signal.SIGKILL)
    for thread in threads:
        thread.join()
    count("kill")
    if failures:
        raise failures[0]


def set_up(server):
    wire = Caller(server)
    status, text = wire.ask("PUT", "/api/v1/pipelines", PIPELINES)
    check(status == 200, "pipelines:", status, text)
    for name in NAMES:
        for version in range(1, VERSIONS + 1):
            push(wire, name, f"{version}.0.0", f"{name} {version}".encode())


def main():
    random.seed(SEED)
    movers, known, head = [Mover(number) for number in range(MOVERS)], {}, None
    os.makedirs(DATA)
    if DISK:
        DISK.begin()
    server = serve()
    try:
        set_up(server)
        for number in range(1, ROUNDS + 1):
            work_until_killed(movers, server)
            if DISK and number % 2 == 0:
                DISK.cut()
                count("power cut")
            server = serve()
            verify(movers, server, known)
            head = verify_head(head)
            if number % 4 == 0:
                ingotd("gc", "--data", DATA)  # beside the others it may have been killed every time
            if number % 20 == 0 or number == ROUNDS:
                server.end(signal.SIGTERM)
                verify_rebuilt(known)
                server = serve()
    finally:
        server.end(signal.SIGTERM)
    counted["checkpoint"] = len(glob.glob(os.path.join(DATA, "names.log.0*")))
    print(", ".join(f"{kind}: {number}" for kind, number in sorted(counted.items())))
    check(counted["promote"] >= ROUNDS and counted["rollback"] > 0 and counted["checkpoint"] > 0, "hardly anything happened")


try:
    main()
except Failure as error:
    sys.exit(f"FAILED: {str(error)[:4000]}")
