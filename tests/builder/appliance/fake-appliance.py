#!/usr/bin/env python3
"""A QEMU whose appliance hangs, for libguestfs ($LIBGUESTFS_HV); what it can do is asked of the real one.

$FAKE_APPLIANCE says where it hangs: "launch" (it never says that it is up), or "call" (it is up, and answers nothing).
$FAKE_APPLIANCE_LOG is there once it hangs, with its process id and the processor that it has got.
"""
import os
import signal
import socket
import sys

paths = [part[len("path="):] for word in sys.argv for part in word.split(",")
         if part.startswith("path=") and part.endswith("guestfsd.sock")]
if not paths:
    os.execvp("qemu-system-" + os.uname().machine, ["qemu"] + sys.argv[1:])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
port = socket.socket(socket.AF_UNIX)
port.connect(paths[0])
if os.environ["FAKE_APPLIANCE"] == "call":
    port.sendall(b"\xf5\xf5\x5f\xf5")  # what libguestfs's daemon says first
with open(os.environ["FAKE_APPLIANCE_LOG"] + ".new", "w", encoding="ascii") as log:
    log.write(f"{os.getpid()} {sys.argv[len(sys.argv) - sys.argv[::-1].index('-cpu')]}")
os.rename(os.environ["FAKE_APPLIANCE_LOG"] + ".new", os.environ["FAKE_APPLIANCE_LOG"])
while True:
    signal.pause()
