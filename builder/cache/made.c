#include "cache/made.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/checksum.h"

/* --- names --- */

/* A path as JSON has it: UTF-8, whatever its bytes are. Free it. */
static char *made_name(const char *path)
{
    char high[129] = {0};
    for (guint i = 0; i < 128; i++) {
        high[i] = (char)(128 + i);
    }
    return g_strescape(path, g_utf8_validate(path, -1, NULL) ? high : NULL);
}

/* --- what a file is --- */

/* Bytes of a file, or where a link leads. NULL: it can't be read. Free it. */
static char *made_checksum(const char *path, gboolean link)
{
    if (!link) {
        return checksum_of_file(path, FALSE, NULL);
    }
    g_autofree char *target = g_file_read_link(path, NULL);
    return target == NULL ? NULL : g_compute_checksum_for_string(G_CHECKSUM_SHA256, target, -1);
}

/* The time is the inode's, which no copied time of a file changes: in nanoseconds. */
static json_t *made_quick(const struct stat *st)
{
    json_int_t time = (json_int_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
    return ingot_json_pack("[I, I, I]", (json_int_t)st->st_size, (json_int_t)st->st_ino, time);
}

/* Its status comes from before its bytes are read: a write meanwhile shows itself by another time. */
static json_t *made_describe(const char *path, const struct stat *st)
{
    gboolean link = S_ISLNK(st->st_mode);
    g_autofree char *checksum = made_checksum(path, link);
    json_t *file = ingot_json_pack("{s:o, s:b}", "quick", made_quick(st), "link", link);
    ingot_json_set_string(file, "checksum", checksum);
    return file;
}

json_t *made_list(const GPtrArray *paths)
{
    json_t *made = json_object();
    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        g_autofree char *name = made_name(path);
        struct stat st;
        if (json_object_get(made, name) == NULL && lstat(path, &st) == 0 &&
            (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))) {
            json_object_set_new(made, name, made_describe(path, &st));
        }
    }
    return made;
}

json_t *made_without(const json_t *made, const json_t *later)
{
    json_t *rest = made == NULL ? NULL : json_copy((json_t *)made);
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)later, name, file)
    {
        json_object_del(rest, name);
    }
    return rest;
}

/* --- later --- */

static gboolean made_is_same(const char *path, const json_t *file, const struct stat *st)
{
    gboolean link = json_is_true(json_object_get(file, "link"));
    const char *noted = json_string_value(json_object_get(file, "checksum"));
    g_autoptr(json_t) quick = made_quick(st);
    const json_t *before = json_object_get(file, "quick");
    if (json_integer_value(json_array_get(before, 0)) != (json_int_t)st->st_size ||
        (link ? !S_ISLNK(st->st_mode) : !S_ISREG(st->st_mode))) {
        return FALSE;
    }
    if (json_equal(quick, before)) {
        return TRUE;
    }
    if (noted == NULL) {
        return FALSE; /* this user may not read it, so nobody knows what was in it */
    }
    g_autofree char *now = made_checksum(path, link);
    return g_strcmp0(now, noted) == 0;
}

char *made_why_stale(const json_t *made)
{
    const char *name;
    json_t *file;
    if (made != NULL && !json_is_object(made)) {
        return g_strdup("what it made was noted without its content");
    }
    json_object_foreach((json_t *)made, name, file)
    {
        g_autofree char *path = g_strcompress(name);
        int flags = json_is_true(json_object_get(file, "link")) ? AT_SYMLINK_NOFOLLOW : 0;
        struct stat st;
        if (fstatat(AT_FDCWD, path, &st, flags) != 0) {
            return g_strdup_printf("%s, which it made, is not there", path);
        }
        if (!made_is_same(path, file, &st)) {
            return g_strdup_printf("%s, which it made, is not as it made it", path);
        }
    }
    return NULL;
}
