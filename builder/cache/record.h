/* What was built before: the plan's key of an image, with the version that the image has, leads to the manifest that
 * came of it.
 *
 * A record is one small file, CACHE/images/HEX.json, replaced whole. It only points into a store: a record whose image
 * is no longer there, or lacks a blob, counts as none, and so does one of which a stage ran longer ago than it may,
 * or of which a step has run again since, so that a build would go on from there: after a --refresh that failed. It
 * says whether the image has passed its tests: one that was built without them does not stand for one that is to be
 * tested. In the same way it says whether the image was built from a clean commit, which is in the image. */
#pragma once

#include <ingot/store.h>

#include "plan/plan.h"

typedef struct {
    const Plan *plan;
    const char *source;  /* the disk that the plan stands on: runs on another one do not count; NULL: on any */
    const char *version; /* of the image: its manifest says it */
    gboolean tested;     /* saved: it has passed its tests, or has none; wanted: only such a one */
    gboolean clean;      /* saved: its provenance says that it is built from a clean commit; wanted: only such a one */
} RecordOf;

/* FALSE: there is no such record, manifest, config, index or disk of its image is not in the store, or it is too old.
 * now: seconds since 1970. */
gboolean record_find(const char *cache, IngotStore *store, const RecordOf *of, gint64 now, IngotDescriptor *manifest);
/* runs: of NodeRun. */
gboolean record_save(const char *cache, const RecordOf *of, const GPtrArray *runs, const IngotDescriptor *manifest,
                     GError **error);
