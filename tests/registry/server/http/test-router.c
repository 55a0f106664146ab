/* Routes: a path fits in one way only, whatever words a name holds; the method decides between rows, and what is not
 * allowed is told. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/router.h"

static const Route first[] = {
    {.methods = "GET", .pattern = "/token", .name = "token", .kind = 1},
    {.methods = "GET, HEAD", .pattern = "/v2/", .name = "root", .kind = 2},
    {.methods = "POST", .pattern = "/v2/{name}/blobs/uploads/", .name = "uploads", .kind = 3},
    {.methods = "POST", .pattern = "/v2/{name}/blobs/uploads", .name = "uploads", .kind = 3},
    {.methods = "PATCH, PUT", .pattern = "/v2/{name}/blobs/uploads/{reference}", .name = "upload", .kind = 4},
    {.methods = "GET, DELETE", .pattern = "/v2/{name}/blobs/uploads/{reference}", .name = "upload", .kind = 5},
    {.methods = "GET, HEAD", .pattern = "/v2/{name}/blobs/{reference}", .name = "blob", .kind = 6},
    {.methods = "GET, HEAD", .pattern = "/v2/{name}/manifests/{reference}", .name = "manifest", .kind = 7},
    {.methods = "GET, HEAD", .pattern = "/v2/{name}/tags/list", .name = "tags", .kind = 8},
    {0},
};
static const Route second[] = {{.methods = "GET, HEAD", .pattern = "/formats/*", .name = "formats", .kind = 9}, {0}};
static const Route last[] = {
    {.methods = "GET, HEAD", .pattern = "/{name}/{reference}", .name = "box", .kind = 10, .fallback = TRUE}, {0}};
static const Route *const tables[] = {first, second, NULL};
static const Route *const with_last[] = {first, second, last, NULL};

static void paths_fit(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int kind; /* 0: none */
        const char *name, *reference, *allow;
    } rows[] = {
        {"GET", "/token", 1, NULL, NULL, NULL},
        {"GET", "/token/", 0, NULL, NULL, NULL},
        {"HEAD", "/v2/", 2, NULL, NULL, NULL},
        {"POST", "/v2/a/b/blobs/uploads/", 3, "a/b", NULL, NULL},
        {"POST", "/v2/a/b/blobs/uploads", 3, "a/b", NULL, NULL},
        {"PUT", "/v2/a/blobs/uploads/x.1", 4, "a", "x.1", NULL},
        {"DELETE", "/v2/a/blobs/uploads/x.1", 5, "a", "x.1", NULL},
        {"GET", "/v2/a/blobs/sha256:0", 6, "a", "sha256:0", NULL},
        /* A name of the same words. */
        {"GET", "/v2/blobs/uploads/manifests/tags/list", 8, "blobs/uploads/manifests", NULL, NULL},
        {"GET", "/v2/a/blobs/uploads/manifests/1", 7, "a/blobs/uploads", "1", NULL},
        {"GET", "/v2/manifests/manifests/manifests", 7, "manifests", "manifests", NULL},
        {"GET", "/formats/a/b/", 9, NULL, "a/b/", NULL},
        {"GET", "/formats/", 9, NULL, "", NULL},
        /* Nothing in the place of a part. */
        {"GET", "/v2//blobs/x", 0, NULL, NULL, NULL},
        {"GET", "/v2/blobs/x", 0, NULL, NULL, NULL},
        {"GET", "/v2/a/blobs/", 0, NULL, NULL, NULL},
        {"GET", "/v2/tags/list", 0, NULL, NULL, NULL},
        {"GET", "/formats", 0, NULL, NULL, NULL},
        {"GET", "", 0, NULL, NULL, NULL},
        {"GET", "*", 0, NULL, NULL, NULL},
        /* Another method. */
        {"DELETE", "/token", 0, NULL, NULL, "GET"},
        {"POST", "/v2/a/blobs/uploads/x", 0, NULL, NULL, "PATCH, PUT, GET, DELETE"},
        {"GE", "/v2/", 0, NULL, NULL, "GET, HEAD"},
        {"HEAD, GET", "/v2/", 0, NULL, NULL, "GET, HEAD"},
        {"", "/v2/", 0, NULL, NULL, "GET, HEAD"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(RouteMatch) match = {0};
        router_find(tables, rows[i].method, rows[i].path, &match);
        if (match.kind != rows[i].kind || g_strcmp0(match.name, rows[i].name) != 0 ||
            g_strcmp0(match.reference, rows[i].reference) != 0 || g_strcmp0(match.allow, rows[i].allow) != 0) {
            fail_msg("%s %s: %d %s %s, allowed %s", rows[i].method, rows[i].path, match.kind, match.name,
                     match.reference, match.allow);
        }
        assert_int_equal(match.route != NULL, rows[i].kind != 0);
    }
}

/* A fallback has what no other route has by any method, and is no method more for those. */
static void fallback_fits(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int kind;
        const char *name, *reference, *allow;
    } rows[] = {
        {"GET", "/team/web", 10, "team", "web", NULL},
        {"GET", "/a/b/c", 10, "a/b", "c", NULL},
        {"GET", "/token", 1, NULL, NULL, NULL},
        {"GET", "/formats/x", 9, NULL, "x", NULL},
        {"PUT", "/formats/x", 0, NULL, NULL, "GET, HEAD"},
        {"POST", "/v2/a/blobs/uploads/x", 0, NULL, NULL, "PATCH, PUT, GET, DELETE"},
        {"POST", "/team/web", 0, NULL, NULL, NULL},
        {"GET", "/team/", 0, NULL, NULL, NULL},
        {"GET", "/team", 0, NULL, NULL, NULL},
        {"GET", "/v2/web", 0, NULL, NULL, NULL},
        {"GET", "/v2/a\n\x1b b", 0, NULL, NULL, NULL},
        {"GET", "/formats", 0, NULL, NULL, NULL},
        {"GET", "/v2x/web", 10, "v2x", "web", NULL},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(RouteMatch) match = {0};
        router_find(with_last, rows[i].method, rows[i].path, &match);
        if ((match.route == NULL ? 0 : match.kind) != rows[i].kind || g_strcmp0(match.name, rows[i].name) != 0 ||
            g_strcmp0(match.reference, rows[i].reference) != 0 || g_strcmp0(match.allow, rows[i].allow) != 0) {
            fail_msg("%s %s: %d '%s' '%s', allowed %s", rows[i].method, rows[i].path, match.kind, match.name,
                     match.reference, match.allow);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths_fit), cmocka_unit_test(fallback_fits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
