#include "store/collect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "store/blobs.h"
#include "store/doubts.h"
#include "store/frametables.h"
#include "store/hold.h"
#include "store/lacking.h"
#include "store/reach.h"
#include "store/standing.h"

/* --- with a name --- */

/* What a row stands for, unless it says of it that it is attached to itself. */
static GHashTable *listed_digests(IngotStore *store, const json_t *rows)
{
    GHashTable *listed = reach_new();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        g_autofree char *subject = reach_subject(store, row);
        const char *digest = json_string_value(json_object_get(row, "digest"));
        if (digest != NULL && g_strcmp0(digest, subject) != 0) {
            reach_note(listed, digest);
        }
    }
    return listed;
}

static gboolean is_held(IngotStore *store, const char *text)
{
    IngotDigest digest;
    g_auto(IngotFd) fd = -1;
    return ingot_digest_parse(text, &digest, NULL) && hold_claim(store, &digest, &fd) == HOLD_BY_ANOTHER;
}

/* Takes out the rows of what is attached to something that goes, until none is left. What is attached to an image that
 * has no name, but does not go, or that another process is about to name, stays: that is how an image begins. So does
 * what is attached to something that has a row of its own, though what goes names it too. */
static void drop_attachments(IngotStore *store, json_t *rows, GHashTable *gone)
{
    size_t before;
    do {
        g_autoptr(GHashTable) listed = listed_digests(store, rows);
        before = json_array_size(rows);
        for (size_t i = before; i-- > 0;) {
            IngotDescriptor manifest;
            g_autofree char *name = NULL, *tag = NULL;
            g_autofree char *subject = reach_subject(store, json_array_get(rows, i));
            if (subject != NULL && layout_row(json_array_get(rows, i), &manifest, &name, &tag) &&
                g_hash_table_contains(gone, subject) && !g_hash_table_contains(listed, subject) &&
                !is_held(store, subject)) {
                reach_add(store, &manifest.digest, gone, NULL);
                json_array_remove(rows, i);
            }
        }
    } while (json_array_size(rows) < before); /* what is attached to one of them may stand behind it */
}

static gboolean has_gone(IngotStore *store, const IngotDigest *digest)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    struct stat st;
    return lstat(path, &st) != 0 && errno == ENOENT;
}

/* Takes out the rows without a name whose manifest has gone. */
static void drop_missing(IngotStore *store, json_t *rows)
{
    for (size_t i = json_array_size(rows); i-- > 0;) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (layout_row(json_array_get(rows, i), &manifest, &name, &tag) && name == NULL &&
            has_gone(store, &manifest.digest)) {
            json_array_remove(rows, i);
        }
    }
}

void collect_begin(Collection *collection, IngotStore *store, json_t *rows, const IngotDigest *manifest)
{
    collection->gone = reach_new();
    collection->reached = reach_new();
    /* A damaged image can be removed too; what it named, nobody can tell. */
    reach_add(store, manifest, collection->gone, NULL);
    drop_attachments(store, rows, collection->gone);
    drop_missing(store, rows);
    reach_rows(store, rows, collection->reached, &collection->unread, &collection->problem);
}

typedef enum { DROP_DONE, DROP_HELD, DROP_FAILED } DropResult;

/* DROP_HELD: another process holds it. DROP_FAILED: with *error. */
static DropResult drop_blob(IngotStore *store, const IngotDigest *digest, guint64 *freed, GError **error)
{
    g_auto(IngotFd) fd = -1;
    g_autofree char *path = ingot_store_blob_path(store, digest);
    struct stat st = {0};
    HoldState state = hold_claim(store, digest, &fd);
    if (state == HOLD_BY_ANOTHER) {
        return DROP_HELD;
    }
    gboolean regular = state == HOLD_BY_NOBODY && fstat(fd, &st) == 0;
    if (unlink(path) != 0 && errno != ENOENT) {
        ingot_error_set_errno(error, errno, "%s: cannot remove", path);
        return DROP_FAILED;
    }
    *freed += regular ? (guint64)st.st_size : 0;
    frametables_drop(store, digest);
    ingot_store_drop_frames(store, digest);
    doubts_drop(store, digest);
    lacking_drop(store, digest);
    standing_drop(store, digest);
    return DROP_DONE;
}

guint64 collect_finish(const Collection *collection, IngotStore *store)
{
    guint64 freed = 0;
    GHashTableIter iter;
    gpointer text;
    g_hash_table_iter_init(&iter, collection->gone);
    while (collection->problem == NULL && g_hash_table_iter_next(&iter, &text, NULL)) {
        IngotDigest digest;
        if (!g_hash_table_contains(collection->reached, text) && ingot_digest_parse(text, &digest, NULL)) {
            drop_blob(store, &digest, &freed, NULL);
        }
    }
    return freed;
}

void collect_clear(Collection *collection)
{
    g_clear_pointer(&collection->gone, g_hash_table_unref);
    g_clear_pointer(&collection->reached, g_hash_table_unref);
    g_clear_error(&collection->problem);
}

/* --- all --- */

/* Of `orphans`, numbers of rows with the subject of each, those whose subject is needed are taken out, and reached. One
 * that can't be read is passed over, as reach_rows does it: its own digest is reached. */
static void reach_attached(IngotStore *store, const json_t *rows, GHashTable *reached, GHashTable *orphans,
                           guint *unread)
{
    gboolean more = TRUE;
    while (more) {
        more = FALSE;
        GHashTableIter iter;
        gpointer number, subject;
        g_hash_table_iter_init(&iter, orphans);
        while (g_hash_table_iter_next(&iter, &number, &subject)) {
            IngotDescriptor manifest;
            g_autofree char *name = NULL, *tag = NULL;
            if ((!g_hash_table_contains(reached, subject) && !is_held(store, subject)) ||
                !layout_row(json_array_get(rows, GPOINTER_TO_UINT(number)), &manifest, &name, &tag)) {
                continue;
            }
            *unread += reach_add(store, &manifest.digest, reached, NULL) ? 0 : 1;
            reach_note(reached, subject); /* the rest of it is held by who holds this */
            g_hash_table_iter_remove(&iter);
            more = TRUE;
        }
    }
}

/* Takes out the images that lost their names, but for one that somebody reads just now. */
static void drop_former(IngotStore *store, json_t *rows, IngotGarbage *garbage)
{
    for (size_t i = json_array_size(rows); i-- > 0;) {
        const char *digest = json_string_value(json_object_get(json_array_get(rows, i), "digest"));
        if (layout_former(json_array_get(rows, i)) == NULL || digest == NULL) {
            continue;
        }
        if (is_held(store, digest)) {
            garbage->held++;
        } else {
            json_array_remove(rows, i);
            garbage->images++;
        }
    }
}

/* Takes out the rows of attachments whose image has gone; the others keep what they reach. */
static gboolean drop_orphans(IngotStore *store, json_t *rows, GHashTable *reached, guint *unread, GError **error)
{
    g_autoptr(GHashTable) orphans = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_autoptr(json_t) kept = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        char *subject = reach_subject(store, row);
        if (subject == NULL) {
            json_array_append(kept, row);
        } else {
            g_hash_table_insert(orphans, GUINT_TO_POINTER((guint)i), subject);
        }
    }
    if (!reach_rows(store, kept, reached, unread, error)) {
        return FALSE;
    }
    reach_attached(store, rows, reached, orphans, unread);
    for (size_t i = json_array_size(rows); i-- > 0;) {
        if (g_hash_table_contains(orphans, GUINT_TO_POINTER((guint)i))) {
            json_array_remove(rows, i);
        }
    }
    return TRUE;
}

/* The names in a folder of the store: GPtrArray of char *. A folder that is not there is empty. */
static GPtrArray *names_in(const IngotStore *store, const char *folder, GError **error)
{
    g_autofree char *path = layout_path(store, folder);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    if (dir == NULL && errno != ENOENT) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        g_ptr_array_add(names, g_strdup(entry->d_name));
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return g_steal_pointer(&names);
}

static gboolean digest_of_name(const char *name, IngotDigest *digest)
{
    g_autofree char *text = g_strconcat("sha256:", name, NULL);
    return ingot_digest_parse(text, digest, NULL);
}

/* *problem, unless it is set: the first that can't be removed, which does not keep the others. */
static void drop_unreached(IngotStore *store, GHashTable *reached, IngotGarbage *garbage, GError **problem)
{
    g_autoptr(GPtrArray) names = names_in(store, "blobs/sha256", *problem == NULL ? problem : NULL);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        IngotDigest digest;
        g_autofree char *text = g_strconcat("sha256:", g_ptr_array_index(names, i), NULL);
        if (g_hash_table_contains(reached, text) || !ingot_digest_parse(text, &digest, NULL)) {
            continue;
        }
        DropResult result = drop_blob(store, &digest, &garbage->freed, *problem == NULL ? problem : NULL);
        garbage->blobs += result == DROP_DONE;
        garbage->held += result == DROP_HELD;
    }
}

/* A download that nobody is busy with. */
static void drop_partial(const char *path, IngotGarbage *garbage)
{
    if (!ingot_file_is_regular(path)) {
        unlink(path);
        return;
    }
    g_auto(IngotFd) fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        garbage->held++;
    } else if (unlink(path) == 0) {
        garbage->partials++;
        garbage->freed += (guint64)st.st_size;
    }
}

static gboolean drop_partials(IngotStore *store, IngotGarbage *garbage, GError **error)
{
    g_autoptr(GPtrArray) names = names_in(store, "tmp", error);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *file = g_build_filename("tmp", name, NULL), *path = layout_path(store, file);
        if (g_str_has_prefix(name, "partial-") || g_str_has_prefix(name, "blob-")) {
            drop_partial(path, garbage);
        }
    }
    return names != NULL;
}

/* What ingot_file_replace leaves when it is killed; who replaces these has the lock that we have. */
static gboolean drop_temporary(IngotStore *store, GError **error)
{
    g_autoptr(GPtrArray) names = names_in(store, ".", error);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = layout_path(store, name);
        if (g_str_has_prefix(name, ".index.json.") || g_str_has_prefix(name, ".oci-layout.")) {
            unlink(path);
        }
    }
    return names != NULL;
}

/* Tables of frames whose blob has gone, and what was half written of others: hints all, which nobody misses. */
static gboolean drop_hints(IngotStore *store, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) names = names_in(store, folder, error);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *file = g_build_filename(folder, name, NULL), *path = layout_path(store, file);
        IngotDigest digest;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            (!digest_of_name(name, &digest) || !ingot_store_has(store, &digest))) {
            unlink(path);
        }
    }
    return names != NULL;
}

/* What the store needs is in *reached; the rows name that alone. *standing: what they have reached before. */
static gboolean shorten_rows(IngotStore *store, json_t *rows, GHashTable *standing, GHashTable *reached,
                             IngotGarbage *garbage, GError **error)
{
    guint unread = 0;
    if (reach_rows(store, rows, standing, &unread, error)) {
        drop_former(store, rows, garbage);
        drop_missing(store, rows);
        if (drop_orphans(store, rows, reached, &garbage->unread, error)) {
            return TRUE;
        }
    }
    g_prefix_error(error, "nothing is removed, since it cannot be told what is needed: ");
    return FALSE;
}

/* What needs no other list of images than there is: on a full disk this makes room for another. */
static gboolean drop_first(IngotStore *store, GHashTable *standing, IngotGarbage *garbage, GError **problem,
                           GError **error)
{
    IngotGarbage loose = {0};
    drop_unreached(store, standing, &loose, problem);
    garbage->blobs += loose.blobs; /* those that are held are counted once, in the end */
    garbage->freed += loose.freed;
    return drop_partials(store, garbage, error) && drop_temporary(store, error) && drop_hints(store, "frames", error) &&
           drop_hints(store, "frame-digests", error) && drop_hints(store, "checked", error) &&
           drop_hints(store, LACKING_FOLDER, error) && drop_hints(store, STANDING_FOLDER, error);
}

/* On a full disk the list is written once there is room for it: whoever is killed in between leaves a name, or a row
 * without one, of an image that has gone, which is removed as any. */
gboolean collect_write(IngotStore *store, const json_t *index, gboolean *again, GError **error)
{
    GError *problem = NULL;
    *again = !layout_write(store, index, &problem) && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE);
    if (problem != NULL && !*again) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

gboolean ingot_store_collect(IngotStore *store, IngotGarbage *garbage, GError **error)
{
    *garbage = (IngotGarbage){0};
    g_autoptr(GHashTable) standing = reach_new(), reached = reach_new();
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotLock) lock = layout_lock(store, error);
    g_autoptr(json_t) index = lock == NULL ? NULL : layout_read(store, error);
    json_t *rows = json_object_get(index, "manifests");
    size_t before = json_array_size(rows);
    gboolean again = FALSE;
    if (index == NULL || !shorten_rows(store, rows, standing, reached, garbage, error) ||
        !drop_first(store, standing, garbage, &problem, error) ||
        (json_array_size(rows) < before && !collect_write(store, index, &again, error))) {
        return FALSE;
    }
    drop_unreached(store, reached, garbage, &problem);
    if (again && !layout_write(store, index, error)) {
        return FALSE;
    }
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    return TRUE;
}
