/* Recipes: the input is one, with inputs that set a variable and a secret. What is taken holds what recipe.h promises,
 * and what may be shown of it tells no secret. */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secrets.h"
#include "fuzz.h"
#include "recipe/recipe.h"

/* The stars that stand for a secret would be taken for one that is made of them. */
static gboolean any_star(const GPtrArray *secrets)
{
    for (guint i = 0; i < secrets->len; i++) {
        if (strchr(g_ptr_array_index(secrets, i), '*') != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

static void check_shown(const json_t *value, const GPtrArray *secrets)
{
    const char *key;
    json_t *one;
    size_t i;
    if (json_is_string(value)) {
        g_autofree char *masked = ingot_secrets_mask(secrets, json_string_value(value));
        g_assert_cmpstr(masked, ==, json_string_value(value));
    }
    json_array_foreach(value, i, one)
    {
        g_assert(one != NULL);
        check_shown(one, secrets);
    }
    json_object_foreach((json_t *)value, key, one)
    {
        g_assert(one != NULL);
        if (strcmp(key, "kind") != 0) { /* our word, not the recipe's */
            check_shown(one, secrets);
        }
    }
}

static void check_recipe(const Recipe *recipe)
{
    static const char *const lists[] = {"steps", "tests"};
    g_assert(json_is_object(recipe->tree) && json_is_object(recipe->public_tree));
    g_assert(ingot_name_check(recipe->name, NULL));
    g_assert(recipe->version == NULL || ingot_version_check(recipe->version, NULL));
    g_assert(json_is_object(json_object_get(recipe->tree, "source")));
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        const json_t *list = json_object_get(recipe->tree, lists[i]);
        g_assert(json_is_array(list));
        g_assert(json_array_size(list) == json_array_size(json_object_get(recipe->public_tree, lists[i])));
    }
    RecipeMachine machine = recipe_machine(recipe);
    g_assert(machine.cpus >= 1 && machine.memory >= 64 << 20);
    g_autofree char *text = ingot_json_canonical(recipe->tree);
    g_autofree char *public_text = ingot_json_canonical(recipe->public_tree);
    if (recipe->secrets->len == 0 || any_star(recipe->secrets)) {
        return;
    }
    check_shown(recipe->public_tree, recipe->secrets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const vars[] = {"given=some value", "token=s3cret-x\nof two lines", NULL};
    g_autoptr(GError) error = NULL;
    /* No git: a recipe that asks for the commit would start it for every input. */
    g_setenv("PATH", "/nonexistent", TRUE);
    int fd = memfd_create("recipe", MFD_CLOEXEC);
    g_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(GHashTable) declared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    RecipeFindings findings = {.declared = declared};
    g_autoptr(Recipe) recipe = recipe_load(path, &(RecipeInputs){vars, NULL, &findings}, &error);
    close(fd);
    g_free(findings.parent);
    g_assert((recipe == NULL) == (error != NULL));
    if (recipe != NULL) {
        check_recipe(recipe);
    } else {
        g_assert_error(error, INGOT_ERROR, INGOT_ERROR_INVALID);
        g_assert(g_utf8_validate(error->message, -1, NULL));
    }
    return 0;
}
