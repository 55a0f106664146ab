/* Pulling through: what a registry does not have it gets from its upstreams when it is first asked for.
 *
 * A tag is looked up there each time, so that it is never older than there, unless it is ours: it was pushed here, or
 * is a channel that a pipeline of here guards. Such a tag names what it does here, or nothing, whatever an upstream
 * calls by its name. One that the upstream has no more, while it has the repository, goes here too; its image stays, by
 * digest, as long as any that nothing names. Where the upstream does not answer within a moment, what is here is
 * answered, and the look-up goes on without the client. Blobs and manifests by digest come once. Two that ask for the
 * same wait for one fetch. That an upstream lacks something is remembered for a short time, and one that can't be
 * reached is left in peace (upstream.h). What is not a name, a tag or a digest goes nowhere. Thread safe. */
#pragma once

#include "server/mirror/coldread.h"
#include "server/mirror/fetches.h"
#include "server/mirror/upstream.h"
#include "server/storage/storage.h"

typedef struct Through Through;

/* folder: for what is on its way. upstreams: of Upstream, at least one; the list becomes through's. remember: seconds
 * for which what is not there, or failed, is not asked for again. */
Through *through_new(Storage *storage, const char *folder, GPtrArray *upstreams, guint remember);
void through_free(Through *through);

/* Whether no upstream has a say in what the tag names. */
gboolean through_is_ours(Storage *storage, const char *name, const char *tag);

/* Each waits for some seconds at most: what takes longer goes on, and is FETCH_PENDING.
 *
 * Each sees to it that what is asked for is here, if the upstream has it; what goes wrong is logged. through may be
 * NULL: there is no upstream, which then has nothing (FETCH_ABSENT). */
FetchOutcome through_manifest(Through *through, const char *name, const char *reference);
FetchOutcome through_blob(Through *through, const char *name, const OciDigest *named);
/* The same without waiting for the whole of it: where that is long, *reader (free it) gives what comes meanwhile, else
 * it is NULL. */
FetchOutcome through_open(Through *through, const char *name, const OciDigest *named, ColdReader **reader);
/* What is here counts while the upstream can't be asked, or refuses to tell of a manifest that is here; also nothing,
 * where that is all that it has told of: DONE. What it has attached to a manifest is asked for once when that comes. */
FetchOutcome through_referrers(Through *through, const char *name, const OciDigest *subject);
/* Whether all is here that the upstream names as attached to a manifest, as it says now: what it has told of before
 * does not count, unless somebody has pushed the manifest here. FALSE: nobody can say for now. Waits longer. */
gboolean through_attached(Through *through, const char *name, const IngotDigest *image, GError **error);
#define THROUGH_WAIT (20 * G_TIME_SPAN_SECOND) /* for which a client waits for what is not here at all */
/* All the blobs that a manifest mentions (mentions.h), which come at once. waits: until they are here; else what is on
 * its way is FETCH_PENDING at once. */
FetchOutcome through_needs(Through *through, const char *name, const GArray *mentions, gboolean waits);

/* How many bytes a blob has there, which is not copied. */
FetchOutcome through_size(Through *through, const char *name, const OciDigest *named, guint64 *size);
/* Adds the tags that a repository has there, and the names that the upstreams have, to a sorted list of ours (free it
 * with g_strfreev; NULL counts as empty), which stays as it is where they can't be had; NULL where both are empty.
 * *outcome: DONE where they could be had, of all upstreams. */
char **through_tags(Through *through, const char *name, char **ours, FetchOutcome *outcome);
char **through_names(Through *through, char **ours, FetchOutcome *outcome);

/* The versions that a channel has named there, up to the one that it names now, by Vagrant's catalogue: each is its tag
 * with the digests of the images behind it that the catalogue has boxes of ("TAG sha256:… …"); free them with
 * g_strfreev. NULL: they can't be had, as *outcome says. */
char **through_channel(Through *through, const char *name, const char *channel, FetchOutcome *outcome);

/* Whether an outcome leaves open if there is such a thing: the client is to ask later. */
gboolean through_is_open(FetchOutcome outcome);
/* What the client is told then. */
const char *through_reason(FetchOutcome outcome);
