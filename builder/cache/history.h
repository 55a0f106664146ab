/* What a recipe's plan was made of when it was built last: so that a change can be named.
 *
 * CACHE/plans/HEX.json, HEX being the SHA-256 of the recipe's absolute path; replaced whole at each build. It only
 * explains: it never decides whether a node is valid. */
#pragma once

#include "plan/plan.h"

typedef struct History History;
/* NULL: the recipe was not built with this cache. */
History *history_load(const char *cache, const Recipe *recipe);
void history_free(History *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(History, history_free)

/* What of stage i's own inputs is not what it was: "file site/index.html changed". NULL: nothing. Free it. */
char *history_change(const History *history, const Plan *plan, guint i);
gboolean history_save(const char *cache, const Recipe *recipe, const Plan *plan, GError **error);
