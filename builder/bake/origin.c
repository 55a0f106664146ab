#include "bake/origin.h"

#include <ingot/error.h>
#include <string.h>

void origin_clear(Origin *origin)
{
    g_clear_pointer(&origin->commit, g_free);
    g_clear_pointer(&origin->problem, g_free);
    git_origin_clear(&origin->place);
}

void origin_ask(const Recipe *recipe, Origin *origin)
{
    gboolean dirty;
    g_autoptr(GError) problem = NULL;
    *origin = (Origin){0};
    if (recipe_git(recipe->folder, &origin->commit, &dirty, &problem)) {
        origin->clean = !dirty;
    } else if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        origin->problem = g_strdup(problem->message);
    }
    recipe_git_origin(recipe->folder, &origin->place);
}

static gboolean origin_is_unchanged(const Origin *origin, const Recipe *recipe)
{
    const char *asked = json_string_value(json_object_get(recipe->values, "git.commit")); /* when it was loaded */
    g_autofree char *commit = NULL;
    gboolean dirty;
    return recipe_git(recipe->folder, &commit, &dirty, NULL) && !dirty && strcmp(commit, origin->commit) == 0 &&
           (asked == NULL || strcmp(asked, commit) == 0) && recipe_is_unchanged(recipe);
}

void origin_settle(Origin *origin, const Recipe *recipe, IngotProgress *progress)
{
    if (origin->problem != NULL) {
        ingot_progress_message(progress, "the image's config does not say its commit: %s", origin->problem);
    }
    if (origin->clean && !origin_is_unchanged(origin, recipe)) {
        origin->clean = FALSE;
        ingot_progress_message(progress, "the work tree changed while the recipe and its files were read: the image "
                                         "does not count as built from a clean commit");
    }
}
