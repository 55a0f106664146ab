#!/usr/bin/env python3
"""Runs a program as a unit file has it, without systemd: unit.py UNIT ROOM [--notify] COMMAND...

What the unit says of system calls, capabilities, file systems, devices, limits and address families is applied in the order in
which systemd does it; then COMMAND runs, "$STATE_DIRECTORY" in it standing for the one that the unit is given. ROOM is a folder
outside of /tmp and /home: state/ in it is the unit's, run/ its runtime folder, bin/ holds programs; the unit sees it as
/run/room. A key of [Service] that this file does not know is an error, so that no line of a unit is passed over. With --notify
its READY=1 is waited for and told on standard output. The names of system calls come from `systemd-analyze syscall-filter`, the filter
is made by the libseccomp that systemd itself uses.
"""
import ctypes
import errno
import os
import platform
import re
import resource
import signal
import socket
import subprocess
import sys

SEEN_AS = "/run/room"
USER = 61184  # the first that DynamicUser= gives
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
ALLOW, KILL = 0x7FFF0000, 0x80000000
EQ, MASKED_EQ, NE = 4, 7, 1

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def errno_action(number):
    return 0x00050000 | number


def read_unit(path):
    unit, section = {}, None
    for line in open(path):
        line = line.strip()
        if line.startswith("["):
            section = line
        elif "=" in line and not line.startswith("#") and section == "[Service]":
            key, _, value = line.partition("=")
            unit.setdefault(key, []).append(value)
    return unit


# --- system calls ---

def groups():
    """@name -> names of calls and of other groups"""
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = []
        elif name and line.startswith("    ") and not line.strip().startswith("#"):
            found[name].append(line.strip())
    return found


def expand(word, table):
    if word not in table:
        return {word}
    return set().union(*(expand(part, table) for part in table[word]))


class Filter:
    def __init__(self, default):
        self.context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))
        self.default = default

    def rule(self, action, name, *compares):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number == -1 or action == self.default:  # a call of another machine
            return
        array = (Compare * max(1, len(compares)))(*compares)
        result = seccomp.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number, len(compares), array)
        if result < 0:
            raise OSError(-result, f"no rule for {name}: {os.strerror(-result)}")

    def load(self):
        result = seccomp.seccomp_load(self.context)
        if result < 0:
            raise OSError(-result, f"the filter is not taken: {os.strerror(-result)}")


def deny(names, number=errno.EPERM):
    one = Filter(ALLOW)
    for name in names:
        one.rule(errno_action(number), name)
    one.load()


def deny_where(*rules, number=errno.EPERM):
    one = Filter(ALLOW)
    for name, *compares in rules:
        one.rule(errno_action(number), name, *compares)
    one.load()


def filter_calls(unit, table):
    """SystemCallFilter=: the first list says whether it allows or forbids, later ones add and take away."""
    lines = unit.get("SystemCallFilter", [])
    if not lines:
        return
    allows = not lines[0].startswith("~")
    listed = expand("@default", table) if allows else set()
    for line in lines:
        adds = line.startswith("~") != allows
        for word in line.lstrip("~").split():
            calls = expand(word, table)
            listed = listed | calls if adds else listed - calls
    name = unit.get("SystemCallErrorNumber", [""])[-1]
    bad = errno_action(getattr(errno, name)) if name else KILL
    one = Filter(bad if allows else ALLOW)
    for call_name in sorted(listed):
        one.rule(ALLOW if allows else bad, call_name)
    one.load()


def yes(unit, key):
    return unit.get(key, ["no"])[-1] in ("yes", "true", "1")


def restrict_calls(unit, table):
    protected = {"ProtectClock": "@clock", "ProtectKernelModules": "@module"}
    for key, group in protected.items():
        if yes(unit, key):
            deny(expand(group, table))
    if yes(unit, "ProtectKernelLogs"):
        deny(["syslog"])
    if yes(unit, "ProtectHostname"):
        deny(["sethostname", "setdomainname"])
    if yes(unit, "RestrictRealtime"):
        deny_where(*[("sched_setscheduler", Compare(1, EQ, policy, 0)) for policy in (1, 2, 6)])
    if yes(unit, "LockPersonality"):
        deny_where(("personality", Compare(0, NE, libc.personality(ctypes.c_ulong(0xFFFFFFFF)), 0)))
    if yes(unit, "MemoryDenyWriteExecute"):
        deny_where(("mmap", Compare(2, MASKED_EQ, 6, 6)), ("mprotect", Compare(2, MASKED_EQ, 4, 4)),
                   ("pkey_mprotect", Compare(2, MASKED_EQ, 4, 4)), ("shmat", Compare(2, MASKED_EQ, 0o100000, 0o100000)))
    if yes(unit, "RestrictNamespaces"):
        spaces = [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]
        deny_where(*[(name, Compare(0, MASKED_EQ, flag, flag)) for name in ("unshare", "clone") for flag in spaces], ("setns",))
        deny(["clone3"], errno.ENOSYS)
    if yes(unit, "RestrictSUIDSGID"):
        modes = [("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2), ("mknod", 1), ("mknodat", 2)]
        deny_where(*[(name, Compare(at, MASKED_EQ, bit, bit)) for name, at in modes for bit in (0o4000, 0o2000)])
    families = unit.get("RestrictAddressFamilies")
    if families:
        allowed = {int(getattr(socket, name)) for line in families for name in line.split()}
        deny_where(*[("socket", Compare(0, EQ, family, 0)) for family in range(46) if family not in allowed],
                   number=errno.EAFNOSUPPORT)


# --- what it sees ---

def mount(source, target, kind, flags, options=None):
    call("mount", source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), options and options.encode())


def make_devices():
    mount("tmpfs", "/run/devices", "tmpfs", MS_NOSUID, "mode=0755")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        os.close(os.open(f"/run/devices/{name}", os.O_CREAT | os.O_WRONLY))
        mount(f"/dev/{name}", f"/run/devices/{name}", None, MS_BIND)
    os.mkdir("/run/devices/shm")
    mount("/run/devices", "/dev", None, MS_BIND | MS_REC)


def read_only_everywhere():
    places = [line.split()[4] for line in open("/proc/self/mountinfo")]
    kept = ("/proc", "/sys", "/dev", SEEN_AS, "/tmp", "/var/tmp")
    for place in sorted(set(places), key=len):
        place = place.encode().decode("unicode_escape")
        if not any(place == one or place.startswith(one + "/") for one in kept):
            try:
                mount("none", place, None, MS_REMOUNT | MS_BIND | MS_RDONLY)
            except OSError as problem:  # a mount that is hidden below another
                if problem.errno not in (errno.EINVAL, errno.ENOENT, errno.EPERM):
                    raise


def show_little(unit, room):
    call("unshare", CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    room = os.open(room, os.O_PATH | os.O_DIRECTORY)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    for folder in (SEEN_AS, "/run/devices", "/run/hidden"):
        os.mkdir(folder)
    os.chmod("/run/hidden", 0)
    mount(f"/proc/self/fd/{room}", SEEN_AS, None, MS_BIND)
    os.close(room)
    if yes(unit, "ProtectHome"):
        for home in ("/home", "/root"):
            if os.path.isdir(home):
                mount("/run/hidden", home, None, MS_BIND)
    if yes(unit, "PrivateTmp"):
        for folder in ("/tmp", "/var/tmp"):
            mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if yes(unit, "PrivateDevices"):
        make_devices()
    if "ProtectProc" in unit or "ProcSubset" in unit:
        words = {"ProtectProc": "hidepid", "ProcSubset": "subset"}
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              ",".join(f"{word}={unit[key][-1]}" for key, word in words.items() if key in unit))
    if unit.get("ProtectSystem", [""])[-1] == "strict":
        read_only_everywhere()


def drop_rights(unit):
    if unit.get("CapabilityBoundingSet") == [""]:
        for capability in range(64):
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; there are fewer
    if yes(unit, "DynamicUser"):
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)


def limit(unit):
    for key, values in unit.items():
        if key.startswith("Limit"):
            number = int(values[-1])
            which = getattr(resource, "RLIMIT_" + key[len("Limit"):])
            most = resource.getrlimit(which)[1]
            resource.setrlimit(which, (number, number) if most == resource.RLIM_INFINITY or number <= most else (most, most))
    os.umask(int(unit.get("UMask", ["0022"])[-1], 8))


APPLIED = """Type Environment ExecStart DynamicUser StateDirectory StateDirectoryMode RuntimeDirectory RuntimeDirectoryMode UMask ProtectSystem
    ProtectHome PrivateTmp PrivateDevices ProtectClock ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectProc ProcSubset
    NoNewPrivileges RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality
    MemoryDenyWriteExecute CapabilityBoundingSet AmbientCapabilities SystemCallArchitectures SystemCallFilter
    SystemCallErrorNumber LimitNOFILE""".split()
# What the service manager does from outside, or what the read-only file system gives already.
OUTSIDE = """ExecReload KillMode Restart RestartSec RestartPreventExitStatus TimeoutStartSec TimeoutStopSec RemoveIPC ProtectKernelTunables
    ProtectControlGroups""".split()


def listen_for_ready(room):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = os.path.join(room, "run", "notify")
    if os.path.exists(path):
        os.unlink(path)
    sock.bind(path)
    os.chmod(path, 0o666)
    sock.settimeout(120)
    return sock


def wait_for_ready(sock, child):
    while True:
        try:
            said = sock.recv(4096).decode().split("\n")
        except socket.timeout:
            os.kill(child, signal.SIGKILL)
            sys.exit("unit.py: it is never ready")
        if "READY=1" in said:
            print(next((word for word in said if word.startswith("STATUS=")), "READY"), flush=True)
            return


def run(unit, room, command, notify):
    # All that needs files and programs of the host comes before they are hidden.
    table = groups()
    b"x".decode("unicode_escape")  # while Python can load what that needs
    environment = {"PATH": f"{SEEN_AS}/bin:/usr/bin:/bin", "STATE_DIRECTORY": f"{SEEN_AS}/state", "LANG": "C.UTF-8"}
    if notify:
        environment["NOTIFY_SOCKET"] = f"{SEEN_AS}/run/notify"
    if "RuntimeDirectory" in unit:
        environment["RUNTIME_DIRECTORY"] = f"{SEEN_AS}/run"
    command = [word.replace("$STATE_DIRECTORY", environment["STATE_DIRECTORY"]) for word in command]
    limit(unit)
    show_little(unit, room)
    drop_rights(unit)
    if yes(unit, "NoNewPrivileges"):
        call("prctl", 38, 1, 0, 0, 0)
    # Once filters stand, not even Python may do all it wants: the last one is the strictest.
    restrict_calls(unit, table)
    filter_calls(unit, table)
    os.chdir("/")
    os.execve(f"{SEEN_AS}/bin/{command[0]}", command, environment)


def main():
    path, room, *command = sys.argv[1:]
    notify = command[0] == "--notify"
    command = command[notify:]
    unit = read_unit(path)
    unknown = set(unit) - set(APPLIED) - set(OUTSIDE)
    if unknown:
        sys.exit(f"unit.py: {path}: this test does not know {', '.join(sorted(unknown))}")
    for key in ("SystemCallArchitectures",):  # libseccomp's filters know no other
        if unit.get(key, ["native"]) != ["native"]:
            sys.exit(f"unit.py: {path}: only {key}=native is applied")
    for name in ("state", "run"):
        folder = os.path.join(room, name)
        os.makedirs(folder, exist_ok=True)
        if yes(unit, "DynamicUser") and os.stat(folder).st_uid != USER:
            os.chown(folder, USER, USER)
    os.chmod(os.path.join(room, "state"), int(unit.get("StateDirectoryMode", ["0755"])[-1], 8))
    sock = listen_for_ready(room) if notify else None
    child = os.fork()
    if child == 0:
        try:
            run(unit, room, command, notify)
        except Exception as problem:
            print(f"unit.py: {problem!r}", file=sys.stderr)
        os._exit(126)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda got, frame: os.kill(child, got))
    if notify:
        done, status = os.waitpid(child, os.WNOHANG)
        # The wait for its word ends with it: a child that died says nothing more.
        signal.signal(signal.SIGCHLD, lambda got, frame: (_ for _ in ()).throw(ChildProcessError()))
        try:
            if not done:
                wait_for_ready(sock, child)
        except ChildProcessError:
            pass
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        print(f"unit.py: ended by {signal.Signals(os.WTERMSIG(status)).name}", file=sys.stderr)
        sys.exit(128 + os.WTERMSIG(status))
    sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
