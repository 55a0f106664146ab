/* A folder of recipes of a test's own, and words that name some of them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "base/file.h"

static char *folder;

static inline int set_up(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-recipes-XXXXXX", NULL);
    return folder == NULL;
}

static inline int tear_down(void **state)
{
    (void)state;
    ingot_file_remove_tree(folder, NULL);
    g_clear_pointer(&folder, g_free);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Returns its path; free it. */
static inline char *write_file(const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

/* Paths of recipes: names with spaces between, each of NAME.yaml; "": the folder itself. */
static inline GPtrArray *paths_of(const char *names)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) list = g_strsplit(names, " ", -1);
    for (guint i = 0; list[i] != NULL; i++) {
        g_ptr_array_add(paths, g_strdup_printf("%s/%s.yaml", folder, list[i]));
    }
    if (paths->len == 0) {
        g_ptr_array_add(paths, g_strdup(folder));
    }
    return paths;
}
