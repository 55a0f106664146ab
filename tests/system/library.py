"""Uses the installed libingot by ctypes: library.py LIBRARY FOLDER REGISTRY DIGEST.

FOLDER/store has the image team/web:1.0.0 with that digest: it is pushed, pulled into another store, and read there. What the C
compiler would have looked up in the headers is written out here; so a change of the interface that does not break C programs at
their build, but does break those that are built, is seen.
"""
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_uint8, c_uint64, c_void_p

library, folder, registry, digest = sys.argv[1:]
ingot = ctypes.CDLL(library)
gio = ctypes.CDLL("libgio-2.0.so.0")
gio.g_cancellable_new.restype = c_void_p
for name in ("push_current", "pop_current", "cancel"):
    getattr(gio, f"g_cancellable_{name}").argtypes = [c_void_p]


class Error(ctypes.Structure):
    _fields_ = [("domain", c_uint), ("code", c_int), ("message", c_char_p)]


class Digest(ctypes.Structure):
    _fields_ = [("bytes", c_uint8 * 32)]


class Descriptor(ctypes.Structure):
    _fields_ = [("digest", Digest), ("size", c_uint64)]


class Reference(ctypes.Structure):
    _fields_ = [("host", c_char_p), ("name", c_char_p), ("tag", c_char_p), ("digest", c_char_p)]


class PointerArray(ctypes.Structure):
    _fields_ = [("pdata", POINTER(c_void_p)), ("len", c_uint)]


class RemoteOptions(ctypes.Structure):
    _fields_ = [("ca", c_char_p), ("plain_http", c_char_p), ("tokens", c_char_p), ("token_host", c_char_p),
                ("logins", POINTER(c_char_p)), ("docker_logins", c_char_p), ("timeout", c_char_p), ("http_proxy", c_char_p), ("https_proxy", c_char_p),
                ("no_proxy", c_char_p), ("proxy_variables", c_int), ("reserved", c_void_p * 8)]


class TransferOptions(ctypes.Structure):
    _fields_ = [("progress", c_void_p), ("remote", POINTER(RemoteOptions)), ("reserved", c_void_p * 8)]


class Report(ctypes.Structure):
    _fields_ = [("event", c_int), ("progress", c_void_p), ("name", c_char_p), ("stage", c_char_p), ("done", c_uint64),
                ("total", c_uint64), ("seconds", ctypes.c_double), ("message", c_char_p)]


class Entry(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("tag", c_char_p), ("manifest", Descriptor), ("former", c_int)]


class IngotError(Exception):
    def __init__(self, error):
        super().__init__(error.message.decode())
        self.domain, self.code = error.domain, error.code


NOT_FOUND, INTERRUPTED = 2, 9  # of ingot/error.h
BEGUN, MOVED, ENDED, DROPPED, MESSAGE, WARNING = range(6)  # of ingot/progress.h


def function(name, result, *arguments, fails=True):
    """The function of that name; one that fails takes a GError ** last, which becomes an exception."""
    call = getattr(ingot, name)
    call.restype, call.argtypes = result, list(arguments) + ([POINTER(POINTER(Error))] if fails else [])
    if not fails:
        return call

    def checked(*values):
        error = POINTER(Error)()
        answer = call(*values, byref(error))
        if not answer:
            raise IngotError(error.contents)
        return answer

    return checked


store_open = function("ingot_store_open", c_void_p, c_char_p)
store_list = function("ingot_store_list", POINTER(PointerArray), c_void_p)
store_image = function("ingot_store_image", c_void_p, c_void_p, POINTER(Reference))
store_free = function("ingot_store_free", None, c_void_p, fails=False)
image_free = function("ingot_image_free", None, c_void_p, fails=False)
parse = function("ingot_reference_parse", POINTER(Reference), c_char_p)
reference_free = function("ingot_reference_free", None, POINTER(Reference), fails=False)
push = function("ingot_transfer_push", c_int, c_void_p, POINTER(Reference), POINTER(Reference), POINTER(TransferOptions),
                POINTER(Descriptor))
pull = function("ingot_transfer_pull", c_int, c_void_p, POINTER(Reference), POINTER(TransferOptions), POINTER(Descriptor),
                POINTER(c_uint64))
Tell = ctypes.CFUNCTYPE(None, POINTER(Report), c_void_p)
progress_new = function("ingot_progress_new", c_void_p, Tell, c_void_p, c_void_p, fails=False)
progress_free = function("ingot_progress_free", None, c_void_p, fails=False)
quark = function("ingot_error_quark", c_uint, fails=False)


def text(value):
    return "sha256:" + bytes(value.bytes).hex()


# The environment is nothing to the library: a file of certificates that is not there, a proxy that answers nothing.
os.environ.update(INGOT_CA="/nowhere", HTTP_PROXY="http://127.0.0.1:1", INGOT_PLAIN_HTTP="none", INGOT_TIMEOUT="1")

here = store_open(os.path.join(folder, "store").encode())
local, remote = parse(b"team/web:1.0.0"), parse(f"{registry}/team/web:1.0.0".encode())
pushed, pulled, received = Descriptor(), Descriptor(), c_uint64()
push(here, local, remote, None, byref(pushed))
assert text(pushed.digest) == digest, text(pushed.digest)

# The function that is told of progress cancels the first pull: nothing is named then, and the second goes on.
there = store_open(os.path.join(folder, "python").encode())
cancellable = gio.g_cancellable_new()
told = []


@Tell
def tell(report, _):
    told.append((report.contents.event, report.contents.stage.decode()))
    if len(told) == 1:
        gio.g_cancellable_cancel(cancellable)


progress = progress_new(tell, None, None)
options = TransferOptions(progress=progress, remote=ctypes.pointer(RemoteOptions(timeout=b"20")))
gio.g_cancellable_push_current(cancellable)
try:
    pull(there, remote, options, byref(pulled), byref(received))
    sys.exit("a pull that was cancelled came to its end")
except IngotError as error:
    assert error.domain == quark() and error.code == INTERRUPTED, error
gio.g_cancellable_pop_current(cancellable)
stage = f"pull {registry}/team/web:1.0.0"
assert told == [(BEGUN, stage), (DROPPED, stage)] and store_list(there).contents.len == 0, told
pull(there, remote, options, byref(pulled), byref(received))
assert text(pulled.digest) == digest and received.value > 0, (text(pulled.digest), received.value)
assert told[2] == (BEGUN, stage) and told[-1] == (ENDED, stage), told
progress_free(progress)
entries = store_list(there).contents
entry = ctypes.cast(entries.pdata[0], POINTER(Entry)).contents
assert entries.len == 1 and entry.name.decode() == f"{registry}/team/web" and entry.tag == b"1.0.0", (entry.name, entry.tag)
image_free(store_image(there, remote))

missing = parse(f"{registry}/team/other:1.0.0".encode())
try:
    pull(there, missing, None, byref(pulled), byref(received))
    sys.exit("what is not there was pulled")
except IngotError as error:
    assert error.domain == quark() and error.code == NOT_FOUND and "team/other" in str(error), error

for one in (local, remote, missing):
    reference_free(one)
store_free(here)
store_free(there)
