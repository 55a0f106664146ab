/* A registry as it is asked on behalf of others: by a cache before it, or a job that goes on for long. */
#pragma once

#include <ingot/remote.h>

/* Asked about once a second while bytes are waited for; FALSE, with an error: they are not wanted any more. */
void ingot_remote_while(IngotRemote *remote, gboolean (*goes_on)(gpointer user, GError **error), gpointer user);
/* How the last request ended, where it failed. */
typedef enum {
    INGOT_REMOTE_OTHERWISE, /* or it did not fail */
    INGOT_REMOTE_UNREACHED, /* no connection to the registry came about */
    INGOT_REMOTE_REFUSED,   /* it does not give what was asked for: 401 or 403, with the login that it takes, if any */
} IngotRemoteEnd;
IngotRemoteEnd ingot_remote_ended(const IngotRemote *remote);
/* The registry knows what these functions are given by that digest by another name (a digest of another algorithm, as
 * text), which is asked for in its place until the next call. */
void ingot_remote_call(IngotRemote *remote, const IngotDigest *digest, const char *text);

/* One range of a blob over one connection: got is called as bytes come, in order. A server that ignores Range sends the
 * blob from its start: the offsets say so. length 0: to the blob's end. */
gboolean ingot_remote_stream(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 offset,
                             guint64 length, IngotRangeFunc got, gpointer user, guint64 *received, GError **error);
