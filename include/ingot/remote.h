/* A registry as its client sees it: the OCI distribution-spec 1.1 over libcurl.
 *
 * HTTPS; plain HTTP for loopback hosts (127.0.0.0/8, ::1, localhost) and those that the options name alone. Every wait
 * is bounded: connecting by 10 s, a transfer that moves nothing by 30 s (options.h), and errors say what was tried.
 * Whatever is asked is asked again where the registry is busy, fails, or breaks the connection off: soon, a few times,
 * and at the byte where it ended. One IngotRemote belongs to one thread at a time. */
#pragma once

#include <ingot/credentials.h>
#include <ingot/index.h>
#include <ingot/manifest.h>
#include <ingot/options.h>
#include <ingot/progress.h>
#include <ingot/reference.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct IngotRemote IngotRemote;

/* "http" or "https": how a HOST[:PORT] is asked, by these rules. */
const char *ingot_remote_scheme(const IngotRemoteOptions *options, const char *host);
/* where: HOST[:PORT], or with the scheme before it that is to be used: http://HOST[:PORT], https://HOST[:PORT]. By
 * plain HTTP no login goes to another host than those. A copy of the options is made; NULL: the usual. */
IngotRemote *ingot_remote_new(const char *where, const IngotRemoteOptions *options, GError **error);
void ingot_remote_free(IngotRemote *remote);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotRemote, ingot_remote_free)
/* Own bounds in seconds: of connecting, and of a transfer that moves nothing (0 each: as above); and how long a request
 * that brings nothing new may wait to be sent again, as the registry says (Retry-After) or not (60 unless set here; 0:
 * no request is sent twice). */
void ingot_remote_limit(IngotRemote *remote, guint connect, guint stall, guint patience);
/* These credentials stand for what is kept. */
void ingot_remote_use(IngotRemote *remote, const IngotCredentials *credentials);
/* Whether the registry takes these credentials (DENIED if not), which then stand for what is kept. *asked: whether it
 * asked for any. Other calls log in by themselves when they are asked to, with the
 * token of the options that is for the registry or what is kept (credentials.h). */
gboolean ingot_remote_login(IngotRemote *remote, const IngotCredentials *credentials, gboolean *asked, GError **error);

/* Manifests. reference is a tag or a digest (sha256 or sha512); the bytes are checked against the digest asked for. */
GBytes *ingot_remote_get_manifest(IngotRemote *remote, const char *name, const char *reference, IngotDescriptor *out,
                                  char **media_type, GError **error);
/* What a tag names, without the manifest's bytes; *told is FALSE where the registry does not say. NOT_FOUND. */
gboolean ingot_remote_find_tag(IngotRemote *remote, const char *name, const char *tag, IngotDigest *digest,
                               gboolean *told, GError **error);
gboolean ingot_remote_put_manifest(IngotRemote *remote, const char *name, const char *reference, const void *data,
                                   gsize size, const char *media_type, GError **error);

/* Blobs. */
gboolean ingot_remote_has_blob(IngotRemote *remote, const char *name, const IngotDigest *digest, gboolean *has,
                               GError **error);
/* Its length in bytes; NOT_FOUND. */
gboolean ingot_remote_blob_size(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 *size,
                                GError **error);
GBytes *ingot_remote_get_blob(IngotRemote *remote, const char *name, const IngotDigest *digest, gsize limit,
                              GError **error);
gboolean ingot_remote_put_blob(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotProgress *progress, GError **error);

/* Many ranges of one blob, which ascend, over a few connections at once: by lists where the registry is Ingot's,
 * elsewhere ranges that lie near one another are asked for together. got is called from the calling thread with bytes
 * of the ranges as they come, in one run or many (of ranges that touch, a run may have bytes of several), those of
 * different ranges in any order, each byte once; it returns
 * FALSE with an error to stop. A server that ignores Range is read through once, for what has not come by then. A range
 * outside the blob is CORRUPT: sizes come from peers. *received (may be NULL) counts body bytes. */
typedef struct {
    guint64 offset, length; /* bytes */
} IngotRange;
typedef gboolean (*IngotRangeFunc)(guint64 offset, const void *data, gsize size, gpointer user, GError **error);
gboolean ingot_remote_get_ranges(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 blob_size,
                                 const IngotRange *ranges, guint count, IngotRangeFunc got, gpointer user,
                                 guint64 *received, GError **error);

/* All names, all tags of a name (following Link): GStrv, free with g_strfreev. */
char **ingot_remote_list_names(IngotRemote *remote, GError **error);
char **ingot_remote_list_tags(IngotRemote *remote, const char *name, GError **error);
/* Manifests attached to a digest: the referrers API, else the fallback tag. Array of descriptors with "digest",
 * "artifactType"; empty where the registry knows neither. */
json_t *ingot_remote_referrers(IngotRemote *remote, const char *name, const IngotDigest *subject, GError **error);
/* The same as far as it came, for those who can do without: an array in any case; *problem is why it is not all. */
json_t *ingot_remote_some_referrers(IngotRemote *remote, const char *name, const IngotDigest *subject,
                                    GError **problem);
/* Puts a manifest (its bytes and digest) whose subject is that digest, and sees to it that the referrers list it: the
 * fallback tag is kept where the registry does not know subjects, and looked at again, since others may write it at the
 * same time. listed: what the list says of it, "mediaType", "digest", "size" at least. */
gboolean ingot_remote_attach(IngotRemote *remote, const char *name, const IngotDigest *subject, const json_t *listed,
                             const void *data, gsize size, GError **error);

#pragma GCC visibility pop
G_END_DECLS
