/* What was built before: the plan's key of an image leads to the manifest that came of it.
 *
 * A record is one small file, CACHE/images/HEX.json, replaced whole. It only points into a store: a record whose image
 * is no longer there counts as none, and so does one of which a stage ran longer ago than it may. */
#pragma once

#include <ingot/store.h>

#include "plan/plan.h"

/* FALSE without an error: no such record, its manifest is not in the store, or it is too old. now: seconds since 1970.
 */
gboolean record_find(const char *cache, IngotStore *store, const Plan *plan, gint64 now, IngotDescriptor *manifest);
/* runs: of NodeRun. */
gboolean record_save(const char *cache, const Plan *plan, const GPtrArray *runs, const IngotDescriptor *manifest,
                     GError **error);
