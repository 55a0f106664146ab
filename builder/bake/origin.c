#include "bake/origin.h"

#include <ingot/error.h>
#include <string.h>

#include "recipe/committed.h"
#include "step/step.h"

void origin_clear(Origin *origin)
{
    g_clear_pointer(&origin->commit, g_free);
    g_clear_pointer(&origin->problem, g_free);
    g_clear_pointer(&origin->unclean, g_free);
    git_origin_clear(&origin->place);
}

/* The recipe's file, and what its steps read of this host. */
static GPtrArray *origin_paths(const Recipe *recipe)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    const json_t *steps = json_object_get(recipe->tree, "steps");
    const json_t *shown = json_object_get(recipe->public_tree, "steps");
    g_autofree char *file = g_path_get_basename(recipe->path);
    g_ptr_array_add(paths, g_build_filename(recipe->folder, file, NULL));
    for (size_t i = 0; i < json_array_size(steps); i++) {
        g_autoptr(GPtrArray) inputs = step_inputs(json_array_get(steps, i), json_array_get(shown, i));
        for (guint k = 0; k < inputs->len; k++) {
            const StepInput *input = g_ptr_array_index(inputs, k);
            g_ptr_array_add(paths, g_canonicalize_filename(input->path, recipe->folder));
        }
    }
    return paths;
}

/* What keeps a work tree without changes from being what the image is built from; NULL: nothing. Free it. */
static char *origin_beyond(const Recipe *recipe)
{
    g_autofree char *lacking = NULL;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GPtrArray) paths = origin_paths(recipe);
    if (!committed_look(recipe->folder, paths, &lacking, &problem)) {
        return g_strdup(problem->message);
    }
    g_autofree char *masked = lacking == NULL ? NULL : recipe_mask(recipe, lacking);
    return lacking == NULL ? NULL : g_strdup_printf("%s is not in that commit", masked);
}

void origin_ask(const Recipe *recipe, Origin *origin)
{
    gboolean dirty;
    g_autoptr(GError) problem = NULL;
    *origin = (Origin){0};
    if (recipe->image != NULL) {
        return; /* it is in no work tree: a repository above the folder that it was unpacked into is another's */
    }
    if (recipe_git(recipe->folder, &origin->commit, &dirty, &problem)) {
        origin->unclean = dirty ? NULL : origin_beyond(recipe);
        origin->clean = !dirty && origin->unclean == NULL;
    } else if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        origin->problem = g_strdup(problem->message);
    }
    recipe_git_origin(recipe->folder, &origin->place);
}

static gboolean origin_is_unchanged(const Origin *origin, const Recipe *recipe)
{
    const char *asked = json_string_value(json_object_get(recipe->values, "git.commit")); /* when it was loaded */
    g_auto(Origin) now = {0};
    origin_ask(recipe, &now);
    return now.clean && strcmp(now.commit, origin->commit) == 0 && (asked == NULL || strcmp(asked, now.commit) == 0) &&
           recipe_is_unchanged(recipe);
}

void origin_settle(Origin *origin, const Recipe *recipe, IngotProgress *progress)
{
    if (origin->problem != NULL) {
        ingot_progress_message(progress, "the image's config does not say its commit: %s", origin->problem);
    }
    if (origin->unclean != NULL) {
        ingot_progress_message(progress, "the image does not count as built from a clean commit: %s", origin->unclean);
    }
    if (origin->clean && !origin_is_unchanged(origin, recipe)) {
        origin->clean = FALSE;
        ingot_progress_message(progress, "the work tree changed while the recipe and its files were read: the image "
                                         "does not count as built from a clean commit");
    }
}
