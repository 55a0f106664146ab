/* Told: which attachments of a manifest another registry has named, kept with the manifest as a measure (storage.h).
 *
 * The list is noted before anything in it is copied. So part of a list is never taken for the whole of it, whatever
 * ends the copying, and a list that was empty is known to be. */
#pragma once

#include "base/json.h"

#include "server/storage/storage.h"

/* list: digests, as texts. Nothing happens where the subject is not a manifest of the repository here. */
void told_note(Storage *storage, const char *name, const OciDigest *subject, const json_t *list);
/* Whether a list was noted. */
gboolean told_any(Storage *storage, const char *name, const OciDigest *subject);
/* Whether one was, and all that it names is here and whole. */
gboolean told_is_here(Storage *storage, const char *name, const OciDigest *subject);
