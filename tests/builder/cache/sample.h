/* A cache of a test's own, with plans of a recipe's steps and nodes as builds leave them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "cache/made.h"
#include "cache/nodes.h"

#define SAMPLE_BEGAN 1700000000 /* when run 'a' of a stage ended; 'b' ended a second later, and so on */

typedef struct {
    char *folder; /* of all of it, the recipe included */
    char *cache;
    char *source;       /* a file that nodes may stand on */
    GPtrArray *recipes; /* of Recipe, since plans borrow from them; the newest last */
} Sample;

static inline int sample_set_up(void **state)
{
    Sample *sample = g_new0(Sample, 1);
    sample->folder = g_dir_make_tmp("ingot-cache-XXXXXX", NULL);
    sample->cache = g_build_filename(sample->folder, "cache", NULL);
    sample->source = g_build_filename(sample->folder, "source.raw", NULL);
    sample->recipes = g_ptr_array_new_with_free_func((GDestroyNotify)recipe_free);
    *state = sample;
    return g_file_set_contents(sample->source, "disk", -1, NULL) ? 0 : -1;
}

static inline int sample_tear_down(void **state)
{
    Sample *sample = *state;
    ingot_file_remove_tree(sample->folder, NULL);
    g_free(sample->folder);
    g_free(sample->cache);
    g_free(sample->source);
    g_ptr_array_unref(sample->recipes);
    g_free(sample);
    return 0;
}

#define SAMPLE_TEST(function) cmocka_unit_test_setup_teardown(function, sample_set_up, sample_tear_down)

static inline char *sample_path(const Sample *sample, const char *name)
{
    return g_build_filename(sample->folder, name, NULL);
}

/* A file of the sample's folder; folders on the way are made. */
static inline void sample_write(const Sample *sample, const char *name, const char *text)
{
    g_autofree char *path = sample_path(sample, name);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(ingot_file_replace(path, text, strlen(text), 0644, NULL));
}

static inline void sample_collect(const char *path, GPtrArray *paths)
{
    g_autoptr(GDir) names = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    if (names == NULL) {
        g_ptr_array_add(paths, g_strdup(path));
    }
    for (const char *name; names != NULL && (name = g_dir_read_name(names)) != NULL;) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        sample_collect(child, paths);
    }
}

/* What a step notes that has written the file, or all that is in the folder. */
static inline json_t *sample_made(const char *path)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    sample_collect(path, paths);
    return made_list(paths);
}

/* The plan of a recipe with these steps (YAML): always of the same name, as a recipe that is edited. */
static inline Plan *sample_plan(Sample *sample, const char *steps)
{
    g_autofree char *text = g_strdup_printf("name: web\nsource: {from: debian}\nsteps: %s\n", steps);
    g_autofree char *path = sample_path(sample, "web.yaml");
    sample_write(sample, "web.yaml", text);
    g_autoptr(GError) error = NULL;
    Recipe *recipe = recipe_load(path, NULL, &error);
    Plan *plan = recipe == NULL ? NULL : plan_new(recipe, "source", "salt", &error);
    if (plan == NULL) {
        fail_msg("%s", error->message);
    }
    g_ptr_array_add(sample->recipes, recipe);
    return plan;
}

/* Runs of the plan's first stages: one letter for each, which is the run's id. A later letter is a later run. */
static inline GPtrArray *sample_runs(const Plan *plan, const char *letters)
{
    GPtrArray *runs = g_ptr_array_new_with_free_func(node_run_free);
    for (guint i = 0; letters[i] != '\0'; i++) {
        const PlanStage *stage = plan_stage(plan, i);
        char id[] = {letters[i], '\0'};
        NodeRun run = {
            .key = stage->key, .id = id, .title = stage->title, .ran = SAMPLE_BEGAN + letters[i] - 'a', .seconds = 1.5};
        g_ptr_array_add(runs, node_run_copy(&run));
    }
    return runs;
}

static inline char *sample_folder(const Sample *sample, const char *name)
{
    return g_build_filename(sample->cache, "nodes", name, NULL);
}

/* A finished node in the cache, over another one (NULL: over the source). */
static inline void sample_node_on(const Sample *sample, const Plan *plan, const char *name, const char *below,
                                  const char *source, const char *letters)
{
    g_autoptr(Node) node = node_new();
    node->folder = sample_folder(sample, name);
    node->below = g_strdup(below);
    node->source = g_strdup(source);
    node->recipe = g_strdup("web");
    g_ptr_array_unref(node->runs);
    node->runs = sample_runs(plan, letters);
    json_object_set_new(node->files, NODE_DISK, json_null());
    g_autofree char *disk = node_file(node, NODE_DISK), *lock = node_file(node, NODE_LOCK);
    g_autofree char *bytes = g_strnfill(64 << 10, 'x'); /* more than a file system keeps in an inode */
    assert_true(ingot_file_make_folder(node->folder, NULL));
    assert_true(g_file_set_contents(lock, "", 0, NULL));
    assert_true(g_file_set_contents(disk, bytes, -1, NULL));
    assert_true(node_publish(node, NULL));
}

static inline void sample_node(const Sample *sample, const Plan *plan, const char *name, const char *below,
                               const char *letters)
{
    sample_node_on(sample, plan, name, below, sample->source, letters);
}

static inline gboolean sample_has(const Sample *sample, const char *name)
{
    g_autofree char *folder = sample_folder(sample, name);
    return g_file_test(folder, G_FILE_TEST_EXISTS);
}

static inline Node *sample_read(const Sample *sample, const char *name)
{
    g_autofree char *folder = sample_folder(sample, name);
    Node *node = node_read(folder, NULL);
    assert_non_null(node);
    return node;
}
