/* What lies below a prefix in a bucket of S3's, as a site. What changes is served with "no-cache", so that caches ask.
 */
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "cli/publish/site.h"

typedef struct {
    Site site;
    S3 *s3;
    char *bucket, *prefix; /* prefix: "" or "boxes/" */
} SiteS3;

static char *key_of(const Site *site, const char *path)
{
    return g_strconcat(((const SiteS3 *)site)->prefix, path, NULL);
}

static char *bucket_name(const Site *site, const char *path)
{
    const SiteS3 *bucket = (const SiteS3 *)site;
    return g_strdup_printf("s3://%s/%s%s", bucket->bucket, bucket->prefix, path);
}

static char *bucket_url(const Site *site)
{
    const SiteS3 *bucket = (const SiteS3 *)site;
    g_autofree char *url = s3_url(bucket->s3, bucket->prefix);
    return g_strndup(url, strlen(url) - 1); /* without the slash */
}

static gboolean bucket_find(Site *site, const char *path, gboolean *there, guint64 *size, GError **error)
{
    g_autofree char *key = key_of(site, path);
    return s3_find(((SiteS3 *)site)->s3, key, there, size, error);
}

static gboolean bucket_read(Site *site, const char *path, gsize limit, GBytes **bytes, char **version, GError **error)
{
    g_autofree char *key = key_of(site, path);
    return s3_get(((SiteS3 *)site)->s3, key, limit, bytes, version, error);
}

static gboolean bucket_put(Site *site, const char *path, const SiteObject *object, GError **error)
{
    g_autofree char *key = key_of(site, path);
    g_auto(IngotFd) fd = ingot_file_open(object->path, O_RDONLY, 0, error);
    const S3Body body = {.type = object->type, .fd = fd, .size = object->size, .digest = object->digest};
    return fd >= 0 && s3_put(((SiteS3 *)site)->s3, key, &body, error);
}

static gboolean bucket_replace(Site *site, const char *path, const char *type, GBytes *bytes, const char *version,
                               gboolean *moved, GError **error)
{
    g_autofree char *key = key_of(site, path);
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    S3Body body = {.type = type, .cache_control = "no-cache", .data = data, .size = size};
    ingot_digest_of(data, size, &body.digest);
    return s3_replace(((SiteS3 *)site)->s3, key, &body, version, moved, error);
}

static void bucket_free(Site *site)
{
    SiteS3 *bucket = (SiteS3 *)site;
    g_clear_pointer(&bucket->s3, s3_free);
    g_free(bucket->bucket);
    g_free(bucket->prefix);
    g_free(bucket);
}

/* "a/b" and "a/b/" are the same place. Empty parts and dots would be other keys than they look. */
static char *prefix_of(const char *place, const char *rest, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(rest, "/", -1);
    guint count = g_strv_length(parts);
    if (count > 0 && *parts[count - 1] == '\0') {
        g_clear_pointer(&parts[--count], g_free);
    }
    for (guint i = 0; i < count; i++) {
        if (*parts[i] == '\0' || strcmp(parts[i], ".") == 0 || strcmp(parts[i], "..") == 0 ||
            !g_utf8_validate(parts[i], -1, NULL)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: s3://BUCKET/PREFIX is expected", place);
            return NULL;
        }
    }
    g_autofree char *joined = g_strjoinv("/", parts);
    return count == 0 ? g_strdup("") : g_strconcat(joined, "/", NULL);
}

Site *site_s3_open(const SiteOptions *options, GError **error)
{
    static const SiteKind kind = {.find = bucket_find,
                                  .read = bucket_read,
                                  .put = bucket_put,
                                  .replace = bucket_replace,
                                  .url = bucket_url,
                                  .name = bucket_name,
                                  .free = bucket_free};
    const char *from = options->place + strlen("s3://"), *slash = strchr(from, '/');
    g_autofree char *bucket = slash == NULL ? g_strdup(from) : g_strndup(from, (gsize)(slash - from));
    g_autofree char *prefix = prefix_of(options->place, slash == NULL ? "" : slash + 1, error);
    S3 *s3 = prefix == NULL ? NULL : s3_new(bucket, options->s3, options->remote, options->progress, error);
    if (s3 == NULL) {
        return NULL;
    }
    SiteS3 *site = g_new0(SiteS3, 1);
    *site = (SiteS3){
        .site = {.kind = &kind}, .s3 = s3, .bucket = g_steal_pointer(&bucket), .prefix = g_steal_pointer(&prefix)};
    return &site->site;
}
