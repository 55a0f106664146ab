/* Bytes of a blob that come in small runs and are handed on in larger ones: libcurl gives at most 16 KiB at once, and
 * each run costs whoever takes it a write.
 *
 * Invariant: bytes are handed on in the order in which they came, each once. Whoever is about to wait calls
 * gather_hand_on first, so that nothing which has come is lost with the process. */
#pragma once

#include <ingot/remote.h>

typedef struct {
    IngotRangeFunc got;
    gpointer user;
    GByteArray *bytes; /* that were not handed on */
    guint64 offset;    /* in the blob, of the first of them */
} Gather;
void gather_init(Gather *gather, IngotRangeFunc got, gpointer user);
void gather_clear(Gather *gather);
/* FALSE: got has failed. */
gboolean gather_add(Gather *gather, guint64 offset, const void *data, gsize size, GError **error);
gboolean gather_hand_on(Gather *gather, GError **error);
