#include "cli/publish/site.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "remote/patience.h"

#define S3_SCHEME "s3://"
#define TRIES 30 /* of a change that others get ahead of */
#define WAIT_USEC (G_USEC_PER_SEC / 5)

gboolean site_is_s3(const char *place)
{
    return g_str_has_prefix(place, S3_SCHEME);
}

Site *site_open(const SiteOptions *options, GError **error)
{
    const char *scheme = strstr(options->place, "://");
    if (site_is_s3(options->place)) {
        return site_s3_open(options, error);
    }
    if (scheme != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a folder or s3://BUCKET/PREFIX is expected: what is published is written there",
                    options->place);
        return NULL;
    }
    return site_folder_open(options, error);
}

void site_free(Site *site)
{
    site->kind->free(site);
}

char *site_url(const Site *site)
{
    return site->kind->url == NULL ? NULL : site->kind->url(site);
}

char *site_name(const Site *site, const char *path)
{
    return site->kind->name(site, path);
}

gboolean site_find(Site *site, const char *path, gboolean *there, guint64 *size, GError **error)
{
    return site->kind->find(site, path, there, size, error);
}

gboolean site_read(Site *site, const char *path, gsize limit, GBytes **bytes, GError **error)
{
    g_autofree char *version = NULL;
    return site->kind->read(site, path, limit, bytes, &version, error);
}

gboolean site_put(Site *site, const char *path, const SiteObject *object, GError **error)
{
    return site->kind->put(site, path, object, error);
}

/* What is written must be read again. */
static gboolean check_limit(const Site *site, const char *path, GBytes *bytes, gsize limit, GError **error)
{
    if (g_bytes_get_size(bytes) <= limit) {
        return TRUE;
    }
    g_autofree char *name = site_name(site, path), *most = ingot_text_size(limit);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: would have more than %s, which is all that is read of it",
                name, most);
    return FALSE;
}

/* One try; *moved: another publisher was ahead. */
static gboolean change_once(Site *site, const char *path, const char *type, gsize limit, SiteChange change,
                            gpointer user, gboolean *moved, GError **error)
{
    g_autoptr(GBytes) before = NULL, after = NULL;
    g_autofree char *version = NULL;
    *moved = FALSE;
    if (!site->kind->read(site, path, limit, &before, &version, error)) {
        return FALSE;
    }
    after = change(before, user, error);
    if (after == NULL) {
        return FALSE;
    }
    return (before != NULL && g_bytes_equal(before, after)) ||
           (check_limit(site, path, after, limit, error) &&
            site->kind->replace(site, path, type, after, version, moved, error));
}

gboolean site_change(Site *site, const char *path, const char *type, gsize limit, SiteChange change, gpointer user,
                     GError **error)
{
    gboolean moved = TRUE;
    for (guint i = 0; i < TRIES; i++) {
        if (!change_once(site, path, type, limit, change, user, &moved, error)) {
            return FALSE;
        }
        if (!moved) {
            return TRUE;
        }
        if (!patience_sleep((gint64)g_random_int_range(1, WAIT_USEC), error)) {
            return FALSE;
        }
    }
    g_autofree char *name = site_name(site, path);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                "%s: others change it all the time: %d tries came too late; publish again later", name, TRIES);
    return FALSE;
}
