/* A disk in any format that QEMU knows, served by a qemu-nbd of its own on a private socket.
 *
 * The server starts with the object and is gone when the object is freed. Size and bytes are what a guest would see.
 * One thread at a time; further connections may be made to the same server by its URI. */
#pragma once

#include <ingot/blocks.h>
#include <libnbd.h>

G_BEGIN_DECLS

typedef struct IngotNbd IngotNbd;

/* format: "qcow2", "vmdk", … Writable disks are served with cache=unsafe: they belong to a build until it ends. A file
 * that qemu-nbd does not take is INVALID, with its reason. */
IngotNbd *ingot_nbd_open(const char *path, const char *format, gboolean writable, GError **error);
/* The same for reading alone, of a part of a file; `name` names it in errors. */
IngotNbd *ingot_nbd_open_part(const IngotPart *part, const char *name, const char *format, GError **error);
/* Hands everything written to the operating system and ends the server; then free it. */
gboolean ingot_nbd_finish(IngotNbd *nbd, GError **error);
void ingot_nbd_free(IngotNbd *nbd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotNbd, ingot_nbd_free)

guint64 ingot_nbd_size(const IngotNbd *nbd);              /* bytes */
const char *ingot_nbd_uri(const IngotNbd *nbd);           /* for nbd_connect_uri */
struct nbd_handle *ingot_nbd_handle(const IngotNbd *nbd); /* connected, with base:allocation; stays the object's */

gboolean ingot_nbd_read(IngotNbd *nbd, guint64 offset, void *buffer, gsize size, GError **error);
/* The run at offset that is all of one kind: *length > 0 bytes of data, or of zeros. Quick in rising order. */
gboolean ingot_nbd_extent(IngotNbd *nbd, guint64 offset, guint64 *length, gboolean *zero, GError **error);
/* Makes a range zeros, without allocating where the format can. */
gboolean ingot_nbd_zero(IngotNbd *nbd, guint64 offset, guint64 size, GError **error);

G_END_DECLS
