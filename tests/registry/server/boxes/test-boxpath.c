/* The paths of Vagrant Cloud's API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/error.h>

#include "server/boxes/boxpath.h"

static void assert_text(const char *path, const char *found, const char *expected)
{
    if (g_strcmp0(found, expected) != 0) {
        fail_msg("%s: '%s', not '%s'", path, found, expected);
    }
}

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        BoxPathKind kind;
        const char *name, *version, *provider, *architecture, *upload;
    } cases[] = {
        {"team/web", BOX_PATH_BOX, "team/web", NULL, NULL, NULL, NULL},
        {"Team/Web", BOX_PATH_BOX, "team/web", NULL, NULL, NULL, NULL},
        {"web", BOX_PATH_BOX, "web", NULL, NULL, NULL, NULL},
        {"a/b/c/d", BOX_PATH_BOX, "a/b/c/d", NULL, NULL, NULL, NULL},
        {"version/versions", BOX_PATH_VERSIONS, "version", NULL, NULL, NULL, NULL},
        {"team/version/version/1.0", BOX_PATH_VERSION, "team/version", "1.0", NULL, NULL, NULL},
        {"team/web/versions", BOX_PATH_VERSIONS, "team/web", NULL, NULL, NULL, NULL},
        {"a/b/c/version/1", BOX_PATH_VERSION, "a/b/c", "1", NULL, NULL, NULL},
        {"team/web/version/1.0.0/release", BOX_PATH_RELEASE, "team/web", "1.0.0", NULL, NULL, NULL},
        {"team/web/version/1.0.0/revoke", BOX_PATH_REVOKE, "team/web", "1.0.0", NULL, NULL, NULL},
        {"team/web/version/1.0.0/providers", BOX_PATH_PROVIDERS, "team/web", "1.0.0", NULL, NULL, NULL},
        {"team/web/version/1.0.0/provider/qemu", BOX_PATH_PROVIDER, "team/web", "1.0.0", "qemu", NULL, NULL},
        {"team/web/version/1.0.0/provider/qemu/arm64", BOX_PATH_PROVIDER, "team/web", "1.0.0", "qemu", "arm64", NULL},
        {"team/web/version/1.0.0/provider/qemu/upload", BOX_PATH_UPLOAD, "team/web", "1.0.0", "qemu", NULL, NULL},
        {"team/web/version/1/provider/qemu/arm64/upload/direct", BOX_PATH_DIRECT, "team/web", "1", "qemu", "arm64",
         NULL},
        {"team/web/version/1/provider/qemu/upload/direct/x", BOX_PATH_UPLOADED, "team/web", "1", "qemu", NULL, "x"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BoxPath) path = box_path_parse(cases[i].path, &error);
        if (path == NULL || path->kind != cases[i].kind) {
            fail_msg("%s: %s", cases[i].path, path == NULL ? error->message : "another kind");
        }
        assert_text(cases[i].path, path->name, cases[i].name);
        assert_text(cases[i].path, path->version, cases[i].version);
        assert_text(cases[i].path, path->provider, cases[i].provider);
        assert_text(cases[i].path, path->architecture, cases[i].architecture);
        assert_text(cases[i].path, path->upload, cases[i].upload);
    }
}

static void test_none(void **state)
{
    static const struct {
        const char *path;
        int code;
    } cases[] = {
        {"", INGOT_ERROR_INVALID},
        {"/", INGOT_ERROR_INVALID},
        {"team/../web", INGOT_ERROR_INVALID},
        {"team//version/1", INGOT_ERROR_INVALID},
        {"team/web/version", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/", INGOT_ERROR_INVALID},
        {"team/web/version/latest", INGOT_ERROR_INVALID},
        {"team/web/versions/1", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/1/more", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/1/release/more", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/1/provider", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/1/provider/", INGOT_ERROR_INVALID},
        {"team/web/version/1/provider/Q", INGOT_ERROR_INVALID},
        {"team/web/version/1/provider/a b", INGOT_ERROR_INVALID},
        {"team/web/version/1/provider/qemu/ARM", INGOT_ERROR_INVALID},
        {"team/web/version/1/provider/qemu/arm64/more", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/1/provider/qemu/upload/sideways", INGOT_ERROR_NOT_FOUND},
        {"team/web/version/1/provider/qemu/upload/direct/x/y", INGOT_ERROR_NOT_FOUND},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BoxPath) path = box_path_parse(cases[i].path, &error);
        if (path != NULL || !g_error_matches(error, INGOT_ERROR, cases[i].code)) {
            fail_msg("%s: %s", cases[i].path, path == NULL ? error->message : "a path");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
