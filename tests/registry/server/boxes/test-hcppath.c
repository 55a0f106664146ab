/* The paths of HCP's API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/error.h>

#include "server/boxes/hcppath.h"

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
        {"Team/boxes", BOX_PATH_BOXES, "team", NULL, NULL, NULL, NULL},
        {"team/box/Web", BOX_PATH_BOX, "team/web", NULL, NULL, NULL, NULL},
        {"box/box/boxes", BOX_PATH_BOX, "box/boxes", NULL, NULL, NULL, NULL},
        {"team/box/version/version/1.0", BOX_PATH_VERSION, "team/version", "1.0", NULL, NULL, NULL},
        {"team/box/web/versions", BOX_PATH_VERSIONS, "team/web", NULL, NULL, NULL, NULL},
        {"team/box/web/version/1.0/release", BOX_PATH_RELEASE, "team/web", "1.0", NULL, NULL, NULL},
        {"team/box/web/version/1.0/revoke", BOX_PATH_REVOKE, "team/web", "1.0", NULL, NULL, NULL},
        {"team/box/web/version/1.0/providers", BOX_PATH_GROUPS, "team/web", "1.0", NULL, NULL, NULL},
        {"team/box/web/version/1.0/provider/qemu", BOX_PATH_GROUP, "team/web", "1.0", "qemu", NULL, NULL},
        {"team/box/web/version/1/provider/qemu/architectures", BOX_PATH_PROVIDERS, "team/web", "1", "qemu", NULL, NULL},
        {"team/box/web/version/1/provider/qemu/architecture/arm64", BOX_PATH_PROVIDER, "team/web", "1", "qemu", "arm64",
         NULL},
        {"team/box/web/version/1/provider/qemu/architecture/upload/upload", BOX_PATH_UPLOAD, "team/web", "1", "qemu",
         "upload", NULL},
        {"team/box/web/version/1/provider/qemu/architecture/arm64/direct/upload", BOX_PATH_DIRECT, "team/web", "1",
         "qemu", "arm64", NULL},
        {"team/box/web/version/1/provider/qemu/architecture/arm64/direct/complete/x", BOX_PATH_UPLOADED, "team/web",
         "1", "qemu", "arm64", "x"},
        {"team/box/web/version/1/provider/qemu/architecture/arm64/download", BOX_PATH_DOWNLOAD, "team/web", "1", "qemu",
         "arm64", NULL},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BoxPath) path = hcp_path_parse(cases[i].path, &error);
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
        {"", INGOT_ERROR_NOT_FOUND},
        {"/boxes", INGOT_ERROR_INVALID},
        {"team", INGOT_ERROR_NOT_FOUND},
        {"team/", INGOT_ERROR_NOT_FOUND},
        {"team/box", INGOT_ERROR_NOT_FOUND},
        {"team/box/", INGOT_ERROR_NOT_FOUND},
        {"team/box/..", INGOT_ERROR_INVALID},
        {"team/web", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/", INGOT_ERROR_NOT_FOUND},
        {"team/box/a/b/version/1", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version/", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version/latest", INGOT_ERROR_INVALID},
        {"team/box/web/version/1/release/more", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version/1/provider", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version/1/provider/Q", INGOT_ERROR_INVALID},
        {"team/box/web/version/1/provider/qemu/arm64", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version/1/provider/qemu/architecture", INGOT_ERROR_NOT_FOUND},
        {"team/box/web/version/1/provider/qemu/architecture/ARM", INGOT_ERROR_INVALID},
        {"team/box/web/version/1/provider/qemu/architecture/arm64/direct", INGOT_ERROR_NOT_FOUND},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BoxPath) path = hcp_path_parse(cases[i].path, &error);
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
