#!/usr/bin/env python3
"""A QEMU without a machine: speaks QMP, prints on the console, reads and writes saved states.

What it does is in $FAKE_QEMU, a JSON object:
  "status"   what query-status says ("running")
  "refuse"   commands that are refused; "refuse_first": each once
  "silent"   commands that get no answer
  "die"      commands at which it ends with status 1, after words on stderr
  "registers" lists of what it prints of its processors' registers: one each time it is asked, the last one from then on
  "ignore"   true: the power key does nothing
  "ends"     seconds after which it ends by itself
  "print"    text for the console; "flood": how many bytes of lines instead
  "state"    bytes of the state that it saves (1 MiB)
  "reads"    bytes of a state that it reads before it fails to load it (all, and it succeeds)
  "hangs"    true: a migration never ends
  "finalizing" how many times after a save query-status says that it is not finalized; until then nothing may go on
Every command is noted in $FAKE_QEMU_LOG.
"""
import json
import os
import socket
import sys
import threading
import time

fake = json.loads(os.environ.get("FAKE_QEMU", "{}"))


def option(name, prefix):
    for key, value in zip(sys.argv, sys.argv[1:]):
        if key == name and value.startswith(prefix):
            return value[len(prefix):].split(",server")[0]
    sys.exit(f"no {name} {prefix}")


def note(text):
    with open(os.environ["FAKE_QEMU_LOG"], "a") as log:
        log.write(text + "\n")


console = socket.socket(socket.AF_UNIX)
console.connect(option("-chardev", "socket,id=console,path="))
console.sendall(fake.get("print", "").encode("latin-1"))


def flood():
    line = b"x" * 98 + b"\r\n"
    for _ in range(fake["flood"] // len(line)):
        console.sendall(line)
    console.sendall(b"the last line\r\n")


if "ends" in fake:
    threading.Timer(fake["ends"], lambda: os._exit(0)).start()
if "flood" in fake:
    threading.Thread(target=flood, daemon=True).start()

path = option("-qmp", "unix:")
listener = socket.socket(socket.AF_UNIX)
listener.bind(path + ".new")
listener.listen(1)
os.rename(path + ".new", path)
qmp = listener.accept()[0]
lock = threading.Lock()
fds = {}
finalizing = 0


def say(message):
    with lock:
        qmp.sendall(json.dumps(message).encode() + b"\r\n")


def event(status):
    say({"event": "MIGRATION", "data": {"status": status}})


def save(fd):
    global finalizing
    left = fake.get("state", 1 << 20)
    try:
        while left > 0:
            left -= os.write(fd, bytes(i % 251 for i in range(min(left, 65536))))
    except OSError:
        left = -1
    if not fake.get("hangs"):
        os.close(fd)
        finalizing = fake.get("finalizing", 0)
        event("completed" if left == 0 else "failed")


def load(fd):
    most = fake.get("reads", 1 << 40)
    got = 0
    while got < most:
        part = os.read(fd, min(65536, most - got))
        if not part:
            break
        got += len(part)
    if fake.get("hangs"):
        return
    os.close(fd)
    note(f"read {got}")
    event("failed" if "reads" in fake else "completed")


def run(name, arguments, received):
    global finalizing
    if name == "getfd":
        fds[arguments["fdname"]] = received[0]
    elif name == "closefd":
        os.close(fds.pop(arguments["fdname"]))
    elif name in ("migrate", "migrate-incoming"):
        fd = fds.pop("state")
        threading.Thread(target=save if name == "migrate" else load, args=(fd,), daemon=True).start()
    elif name == "query-status":
        finalizing -= 1
        return {"status": "finish-migrate" if finalizing >= 0 else fake.get("status", "running")}
    elif name == "human-monitor-command":
        lists = fake.get("registers", [""])
        return lists.pop(0) if len(lists) > 1 else lists[0]
    elif name == "query-block":
        return [{"device": "", "io-status": fake.get("io-status", "ok")}]
    elif name == "query-migrate":
        return {"status": "failed", "error-desc": "the fake had enough"}
    elif name == "query-chardev":
        return []
    elif name == "quit" or (name == "system_powerdown" and not fake.get("ignore")):
        threading.Thread(target=lambda: (time.sleep(0.05), os._exit(fake.get("exit", 0)))).start()
    return {}


say({"QMP": {"version": {}, "capabilities": []}})
pending = b""
while True:
    data, received, _, _ = socket.recv_fds(qmp, 65536, 4)
    if not data:
        break
    pending += data
    while b"\n" in pending:
        line, pending = pending.split(b"\n", 1)
        request = json.loads(line)
        command = request["execute"]
        note(command)
        if command in fake.get("die", []):
            sys.stderr.write("qemu: \033[1mout of luck\n")
            sys.stderr.flush()
            os._exit(1)
        if command in fake.get("silent", []):
            continue
        once = fake.get("refuse_first", [])
        if command in fake.get("refuse", []) or command in once or (command == "cont" and finalizing > 0):
            say({"error": {"class": "GenericError", "desc": f"{command}: not today"}, "id": request["id"]})
            if command in once:
                once.remove(command)
        else:
            say({"return": run(command, request.get("arguments", {}), received), "id": request["id"]})
            received = []
