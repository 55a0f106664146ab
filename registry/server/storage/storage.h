/* Storage: all that the server keeps, behind one narrow door.
 *
 * Invariants: a blob that can be opened is whole and has the digest of its name; it was fsynced before put or finish
 * returned. A tag names one manifest; moving it is atomic. A repository sees only blobs that were pushed or mounted to
 * it. All functions are thread safe. Names, tags and digests have been checked against their grammar by the caller. */
#pragma once

#include <ingot/digest.h>

typedef struct Storage Storage;

/* Takes the folder for this process alone (EXISTS if another has it); drops what ended uploads left. */
Storage *storage_open(const char *path, GError **error);
void storage_close(Storage *storage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Storage, storage_close)

/* Whether something can be kept now: DENIED or NO_SPACE otherwise. */
gboolean storage_writable(Storage *storage, GError **error);

/* An open descriptor of a blob (manifests are blobs too) of a repository; NOT_FOUND. */
int storage_blob(Storage *storage, const char *name, const IngotDigest *digest, guint64 *size, GError **error);
gboolean storage_has(Storage *storage, const char *name, const IngotDigest *digest);
/* Makes a blob of one repository visible in another; FALSE without an error: there is none. */
gboolean storage_mount(Storage *storage, const char *from, const char *name, const IngotDigest *digest, GError **error);
gboolean storage_remove_blob(Storage *storage, const char *name, const IngotDigest *digest, GError **error);

/* Uploads: pieces in order, then a digest that must fit (INVALID if it does not; the upload is dropped then). */
char *storage_upload_new(Storage *storage, GError **error); /* its id; free it */
gboolean storage_upload_size(Storage *storage, const char *id, guint64 *size, GError **error);
gboolean storage_upload_add(Storage *storage, const char *id, const void *data, gsize size, GError **error);
gboolean storage_upload_finish(Storage *storage, const char *id, const char *name, const IngotDigest *digest,
                               GError **error);
gboolean storage_upload_drop(Storage *storage, const char *id, GError **error);

/* Manifests. A tag may be NULL. media_type is kept and given back. subject may be NULL: whose referrer this one is. */
gboolean storage_put_manifest(Storage *storage, const char *name, const char *tag, const void *data, gsize size,
                              const char *media_type, const IngotDigest *subject, IngotDigest *digest, GError **error);
gboolean storage_find_tag(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error);
/* The bytes and media type of a manifest; NOT_FOUND. */
GBytes *storage_manifest(Storage *storage, const char *name, const IngotDigest *digest, char **media_type,
                         GError **error);
gboolean storage_remove_tag(Storage *storage, const char *name, const char *tag, GError **error);
gboolean storage_remove_manifest(Storage *storage, const char *name, const IngotDigest *digest, GError **error);

/* Sorted lists: free with g_strfreev. An unknown repository is NOT_FOUND. */
char **storage_tags(Storage *storage, const char *name, GError **error);
char **storage_repositories(Storage *storage, GError **error);
/* Digests (as text) of the manifests whose subject this is. */
char **storage_referrers(Storage *storage, const char *name, const IngotDigest *subject);
