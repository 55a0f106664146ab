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
glib = ctypes.CDLL("libglib-2.0.so.0")


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


class Entry(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("tag", c_char_p), ("manifest", Descriptor), ("former", c_int)]


class IngotError(Exception):
    def __init__(self, error):
        super().__init__(error.message.decode())
        self.domain, self.code = error.domain, error.code


NOT_FOUND = 2  # INGOT_ERROR_NOT_FOUND


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
push = function("ingot_transfer_push", c_int, c_void_p, POINTER(Reference), POINTER(Reference), c_void_p, POINTER(Descriptor))
pull = function("ingot_transfer_pull", c_int, c_void_p, POINTER(Reference), c_void_p, POINTER(Descriptor), POINTER(c_uint64))
quark = function("ingot_error_quark", c_uint, fails=False)


def text(value):
    return "sha256:" + bytes(value.bytes).hex()


here = store_open(os.path.join(folder, "store").encode())
local, remote = parse(b"team/web:1.0.0"), parse(f"{registry}/team/web:1.0.0".encode())
pushed, pulled, received = Descriptor(), Descriptor(), c_uint64()
push(here, local, remote, None, byref(pushed))
assert text(pushed.digest) == digest, text(pushed.digest)

there = store_open(os.path.join(folder, "python").encode())
pull(there, remote, None, byref(pulled), byref(received))
assert text(pulled.digest) == digest and received.value > 0, (text(pulled.digest), received.value)
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
