#include "cli/publish/beside.h"

#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "store/attached.h"
#include "store/layout.h"

static gboolean is_before(const json_t *row)
{
    return layout_annotation(row, LAYOUT_BEFORE) != NULL;
}

static gboolean is_same(const json_t *a, const json_t *b, const char *key)
{
    return g_strcmp0(layout_annotation(a, key), layout_annotation(b, key)) == 0;
}

static const char *digest_of(const json_t *row)
{
    return json_string_value(json_object_get(row, "digest"));
}

/* NULL: it can't be read. */
static json_t *read_manifest(Site *site, const char *folder, const json_t *row)
{
    const char *digest = digest_of(row);
    g_autoptr(GBytes) bytes = NULL;
    if (digest == NULL || !g_str_has_prefix(digest, "sha256:")) {
        return NULL;
    }
    g_autofree char *path = g_strconcat(folder, digest + strlen("sha256:"), NULL);
    return site_read(site, path, INGOT_MANIFEST_MAX, &bytes, NULL) && bytes != NULL
               ? ingot_json_parse_bytes(bytes, path, INGOT_MANIFEST_VALUES, NULL)
               : NULL;
}

static gboolean holds(Site *site, const char *folder, const json_t *row, const json_t *other)
{
    g_autoptr(json_t) one = read_manifest(site, folder, row);
    g_autoptr(json_t) held = one == NULL ? NULL : read_manifest(site, folder, other);
    return held != NULL && attached_holds(one, held);
}

/* How the rows of the same tag stand to a new one. */
typedef struct {
    json_t *same;    /* the row of the same digest, or NULL */
    json_t *current; /* what the tag names, or NULL */
    guint before;    /* what it has named before */
} Standing;

static Standing find_standing(json_t *rows, const json_t *row)
{
    Standing standing = {0};
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *one = json_array_get(rows, i);
        if (!is_same(one, row, LAYOUT_SUBJECT) || !is_same(one, row, LAYOUT_BESIDE)) {
            continue;
        }
        standing.same = g_strcmp0(digest_of(one), digest_of(row)) == 0 ? one : standing.same;
        standing.current = is_before(one) ? standing.current : one;
        standing.before += is_before(one) ? 1 : 0;
    }
    return standing;
}

static void remove_row(json_t *rows, const json_t *row)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (json_array_get(rows, i) == row) {
            json_array_remove(rows, i);
            return;
        }
    }
}

/* FALSE: the row is not needed. Of very many the first and the last stay. */
static gboolean make_room(Site *site, const char *folder, json_t *rows, const json_t *row, const Standing *standing)
{
    gboolean full = standing->before >= ATTACHED_BEFORE_MOST;
    if (is_before(row)) {
        return !full && (standing->current == NULL || !holds(site, folder, standing->current, row));
    }
    if (standing->current != NULL && (full || holds(site, folder, row, standing->current))) {
        remove_row(rows, standing->current);
    } else if (standing->current != NULL) {
        layout_annotate(standing->current, LAYOUT_BEFORE, "true");
    }
    return TRUE;
}

void beside_put(Site *site, const char *folder, json_t *rows, json_t *row)
{
    const Standing standing = find_standing(rows, row);
    if (standing.same == NULL && make_room(site, folder, rows, row, &standing)) {
        json_array_append(rows, row);
    } else if (standing.same != NULL && is_before(row)) { /* whoever says so has seen what came after it */
        layout_annotate(standing.same, LAYOUT_BEFORE, "true");
    } else if (standing.same != NULL && standing.current == NULL) {
        json_object_del(json_object_get(standing.same, "annotations"), LAYOUT_BEFORE);
    }
}
