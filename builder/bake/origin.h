/* Origin: the commit that an image is built from, as git says it, and whether it is built from just that.
 *
 * Git alone does not say that: what it ignores counts as unchanged, and is in no commit (recipe/committed.h).
 *
 * A build takes minutes, and its work tree may change meanwhile. What the image is made of is fixed before: the
 * recipe's text when it was loaded, and the files of its steps when their keys were made. So git is asked before those
 * files are read and again after, and a build counts as clean only where both answers and the recipe's text agree. What
 * changes later is not in the image: a step that would read other bytes than its key says ends the build. */
#pragma once

#include <ingot/progress.h>

#include "recipe/git.h"
#include "recipe/recipe.h"

typedef struct {
    char *commit;    /* NULL: there is no repository or no commit, or git refuses to say */
    gboolean clean;  /* the recipe and its files are as they are in that commit */
    GitOrigin place; /* of the recipe's folder */
    char *problem;   /* why git refuses; NULL: it does not */
    char *unclean; /* why an image of a work tree without changes is not of that commit; NULL: nothing is against it */
} Origin;
void origin_clear(Origin *origin);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Origin, origin_clear)

/* Before the files are read. */
void origin_ask(const Recipe *recipe, Origin *origin);
/* After: an origin that has changed since is not clean. That, and what git refuses, is said to progress. */
void origin_settle(Origin *origin, const Recipe *recipe, IngotProgress *progress);
