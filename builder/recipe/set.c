#include "recipe/set.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "recipe/variables.h"

/* A registry can make up recipes without end, each based on the next. */
#define FETCHED_MAX 16

typedef struct {
    RecipeSet *set;
    RecipeInputs inputs;
    GPtrArray *way;    /* paths of the recipes that led here */
    GPtrArray *images; /* those that the recipe that is read, and the recipes that led to it, came with */
    RecipeFetch fetch; /* and fetch_user: the caller's */
    gpointer fetch_user;
} Loader;

static void member_free(gpointer data)
{
    RecipeMember *member = data;
    g_free(member->given);
    g_free(member->path);
    g_clear_pointer(&member->recipe, recipe_free);
    g_clear_error(&member->error);
    g_free(member);
}

void recipe_set_free(RecipeSet *set)
{
    if (set != NULL) {
        g_ptr_array_unref(set->members);
        g_ptr_array_unref(set->mistakes);
        g_free(set);
    }
}

static RecipeMember *set_find(const RecipeSet *set, const char *path)
{
    for (guint i = 0; i < set->members->len; i++) {
        RecipeMember *member = g_ptr_array_index(set->members, i);
        if (strcmp(member->path, path) == 0) {
            return member;
        }
    }
    return NULL;
}

static void set_refuse(const RecipeSet *set, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void set_refuse(const RecipeSet *set, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    g_ptr_array_add(set->mistakes, g_strdup_vprintf(format, list));
    va_end(list);
}

/* A RecipeFetch, with a Loader: the caller's, as long as the chain of images has not become too long. */
static const RecipeFetched *loader_fetch(const char *reference, gpointer user, GError **error)
{
    const Loader *loader = user;
    if (loader->images->len < FETCHED_MAX) {
        return loader->fetch(reference, loader->fetch_user, error);
    }
    g_autoptr(GString) chain = g_string_new(NULL);
    for (guint i = 0; i < loader->images->len; i++) {
        g_string_append_printf(chain, "%s → ", (const char *)g_ptr_array_index(loader->images, i));
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "more than %d recipes of images, each based on the next: %s%s",
                FETCHED_MAX, chain->str, reference);
    return NULL;
}

static RecipeMember *member_load(Loader *loader, const char *path, const Place *named_at, const RecipeFetched *fetched);

static void parent_load(Loader *loader, RecipeMember *member)
{
    g_autofree char *path = g_steal_pointer(&loader->inputs.findings->parent);
    if (path != NULL) {
        const Place place = loader->inputs.findings->parent_place;
        const RecipeFetched *fetched = loader->inputs.findings->parent_fetched;
        g_ptr_array_add(loader->way, member->path);
        member->parent = member_load(loader, path, &place, fetched);
        g_ptr_array_set_size(loader->way, (int)loader->way->len - 1);
    }
}

/* From the recipe at first back to it, each by its name within that one's folder where it lies there. */
static void refuse_cycle(const Loader *loader, guint first, const Place *place)
{
    const char *start = g_ptr_array_index(loader->way, first);
    g_autofree char *folder = g_path_get_dirname(start), *prefix = g_strconcat(folder, "/", NULL);
    g_autoptr(GString) way = g_string_new(NULL);
    for (guint i = first; i <= loader->way->len; i++) {
        const char *path = i < loader->way->len ? g_ptr_array_index(loader->way, i) : start;
        const char *name = g_str_has_prefix(path, prefix) ? path + strlen(prefix) : path;
        g_string_append_printf(way, "%s%s", i == first ? "" : " → ", name);
    }
    set_refuse(loader->set, "%s:%u:%u: the recipe is based on itself: %s", place->file, place->line, place->column,
               way->str);
}

/* NULL only for a recipe that leads back to itself. named_at: where another one says that it is based on it; NULL: a
 * person asks for it. fetched: it came with an image; or NULL. */
static RecipeMember *member_load(Loader *loader, const char *path, const Place *named_at, const RecipeFetched *fetched)
{
    gboolean asked_for = named_at == NULL;
    guint first;
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    if (!asked_for && g_ptr_array_find_with_equal_func(loader->way, absolute, g_str_equal, &first)) {
        refuse_cycle(loader, first, named_at);
        return NULL;
    }
    RecipeMember *member = set_find(loader->set, absolute);
    if (member != NULL) {
        member->asked_for |= asked_for;
        return member;
    }
    member = g_new0(RecipeMember, 1);
    member->given = g_strdup(path);
    member->path = g_steal_pointer(&absolute);
    member->asked_for = asked_for;
    loader->inputs.fetched = fetched;
    if (fetched != NULL) {
        g_ptr_array_add(loader->images, fetched->image);
    }
    member->recipe = recipe_load(path, &loader->inputs, &member->error);
    parent_load(loader, member);
    if (fetched != NULL) {
        g_ptr_array_set_size(loader->images, (int)loader->images->len - 1);
    }
    g_ptr_array_add(loader->set->members, member);
    return member;
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void folder_load(Loader *loader, const char *path)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) folder = g_dir_open(path, 0, &problem);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (g_str_has_suffix(name, ".yaml") || g_str_has_suffix(name, ".yml")) {
            g_ptr_array_add(files, g_build_filename(path, name, NULL));
        }
    }
    if (problem != NULL || files->len == 0) {
        set_refuse(loader->set, "%s: %s", path,
                   problem == NULL ? "there is no *.yaml or *.yml in it" : problem->message);
    }
    g_ptr_array_sort(files, by_name);
    for (guint i = 0; i < files->len && ingot_interrupt_check(NULL); i++) {
        member_load(loader, g_ptr_array_index(files, i), NULL, NULL);
    }
}

/* What was set for the recipes must be some recipe's variable. */
static void names_check(const Loader *loader)
{
    g_autoptr(GError) problem = NULL;
    if (loader->set->members->len > 0 && !variables_check_names(&loader->inputs, loader->set->members->len, &problem)) {
        set_refuse(loader->set, "%s", problem->message);
    }
}

RecipeSet *recipe_set_load(const GPtrArray *paths, const RecipeInputs *inputs)
{
    RecipeSet *set = g_new0(RecipeSet, 1);
    set->members = g_ptr_array_new_with_free_func(member_free);
    set->mistakes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) way = g_ptr_array_new(), images = g_ptr_array_new();
    g_autoptr(GHashTable) declared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    RecipeFindings findings = {.declared = declared};
    Loader loader = {.set = set,
                     .inputs = *inputs,
                     .way = way,
                     .images = images,
                     .fetch = inputs->fetch,
                     .fetch_user = inputs->fetch_user};
    loader.inputs.findings = &findings;
    if (inputs->fetch != NULL) {
        loader.inputs.fetch = loader_fetch;
        loader.inputs.fetch_user = &loader;
    }
    for (guint i = 0; i < paths->len && ingot_interrupt_check(NULL); i++) {
        const char *path = g_ptr_array_index(paths, i);
        if (*path == '\0') {
            set_refuse(set, "'': a recipe's file, or a folder of recipes, is expected");
        } else if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
            folder_load(&loader, path);
        } else {
            member_load(&loader, path, NULL, NULL);
        }
    }
    names_check(&loader);
    return set;
}

gboolean recipe_set_refuse_twin(GHashTable *names, Recipe *recipe, const char *tag, GError **error)
{
    const char *version = recipe->version == NULL ? "latest" : recipe->version;
    g_autofree char *name = tag != NULL ? g_strdup(tag) : g_strdup_printf("%s:%s", recipe->name, version);
    const Recipe *other = g_hash_table_lookup(names, name);
    if (other != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: its image would be %s, as that of %s; give one of them another name or version", recipe->path,
                    name, other->path);
        return FALSE;
    }
    g_hash_table_insert(names, g_steal_pointer(&name), recipe);
    return TRUE;
}

void recipe_set_find_twins(RecipeSet *set)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < set->members->len; i++) {
        const RecipeMember *member = g_ptr_array_index(set->members, i);
        g_autoptr(GError) problem = NULL;
        if (member->recipe != NULL && !recipe_set_refuse_twin(names, member->recipe, NULL, &problem)) {
            set_refuse(set, "%s", problem->message);
        }
    }
}

/* One that several recipes have (it is in a --var-file, say) is told once. */
static void add_lines(GString *all, const char *message)
{
    g_auto(GStrv) lines = g_strsplit(message, "\n", -1);
    g_auto(GStrv) told = g_strsplit(all->str, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (!g_strv_contains((const char *const *)told, lines[i])) {
            g_string_append_printf(all, "%s%s", all->len > 0 ? "\n" : "", lines[i]);
        }
    }
}

gboolean recipe_set_raise(const RecipeSet *set, GError **error)
{
    g_autoptr(GString) all = g_string_new(NULL);
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    for (guint i = 0; i < set->members->len; i++) {
        const RecipeMember *member = g_ptr_array_index(set->members, i);
        if (member->error != NULL) {
            add_lines(all, member->error->message);
        }
    }
    for (guint i = 0; i < set->mistakes->len; i++) {
        add_lines(all, g_ptr_array_index(set->mistakes, i));
    }
    if (all->len > 0) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INVALID, all->str);
    }
    return all->len == 0;
}
