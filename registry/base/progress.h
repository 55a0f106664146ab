/* More than one place for the reports of a progress. */
#pragma once

#include <ingot/progress.h>

/* What this one reports, but for its children, goes there too; a former such place is left. free_user (may be NULL) is
 * called on user in the end. */
void progress_listen(IngotProgress *progress, IngotProgressFunc func, gpointer user, GDestroyNotify free_user);
