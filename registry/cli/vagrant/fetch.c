#include "cli/vagrant/fetch.h"

#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/text.h"
#include "transfer/pull.h"

#define PREFIX "/formats/"

void fetch_place_clear(FetchPlace *place)
{
    g_free(place->host);
    g_free(place->name);
    g_free(place->digest);
    g_free(place->format);
    g_free(place->file);
}

/* host: HOST[:PORT]; free it. */
static GUri *address_read(const char *url, char **host)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_ENCODED_PATH, NULL);
    const char *name = uri == NULL ? NULL : g_uri_get_host(uri);
    if (name == NULL || *name == '\0') {
        return NULL;
    }
    g_autofree char *bare = g_strdup_printf(strchr(name, ':') == NULL ? "%s" : "[%s]", name);
    *host = g_uri_get_port(uri) < 0 ? g_strdup(bare) : g_strdup_printf("%s:%d", bare, g_uri_get_port(uri));
    return g_steal_pointer(&uri);
}

gboolean fetch_address(const char *url, char **host, char **path)
{
    g_autofree char *full = NULL;
    g_autoptr(GUri) uri = address_read(url, &full);
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    if (uri == NULL || strcmp(g_uri_get_scheme(uri), ingot_remote_scheme(options, full)) != 0) {
        return FALSE;
    }
    *host = g_steal_pointer(&full);
    *path = g_strdup(g_uri_get_path(uri));
    return TRUE;
}

const char *fetch_behind_door(const char *path)
{
    static const char *const doors[] = {"/vagrant/", "/api/v2/vagrant/", PREFIX};
    for (guint i = 0; i < G_N_ELEMENTS(doors); i++) {
        if (g_str_has_prefix(path, doors[i])) {
            return path + strlen(doors[i]);
        }
    }
    return NULL;
}

char *fetch_split(const char *text, char **which, char **format, char **file)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    guint count = g_strv_length(parts);
    if (count < 4) {
        return NULL;
    }
    *file = g_steal_pointer(&parts[count - 1]);
    *format = g_steal_pointer(&parts[count - 2]);
    *which = g_steal_pointer(&parts[count - 3]); /* the name is what stands before it */
    return g_strjoinv("/", parts);
}

gboolean fetch_parse(const char *url, FetchPlace *place)
{
    g_autofree char *path = NULL;
    IngotDigest digest;
    *place = (FetchPlace){0};
    if (!fetch_address(url, &place->host, &path) || !g_str_has_prefix(path, PREFIX)) {
        return FALSE;
    }
    place->name = fetch_split(path + strlen(PREFIX), &place->digest, &place->format, &place->file);
    return place->name != NULL && ingot_digest_parse(place->digest, &digest, NULL) &&
           ingot_name_check(place->name, NULL);
}

/* --- the image --- */

/* What had the name before goes, where no other name keeps it and no other fetch was first. The new image is there
 * whatever becomes of it. */
static void drop(IngotStore *store, IngotStoreEntry *former, IngotProgress *progress)
{
    g_autoptr(GError) problem = NULL;
    former->former = TRUE;
    if (!ingot_store_remove(store, former, NULL, &problem)) {
        ingot_progress_message(progress, "%s: the image before stays in the store: %s", former->name, problem->message);
    }
}

static IngotImage *pull(IngotStore *store, const FetchPlace *place, IngotProgress *progress, guint64 *received,
                        GError **error)
{
    g_autoptr(IngotReference) named = ingot_reference_new(place->host, place->name, FETCH_TAG, NULL);
    g_autoptr(IngotReference) exact = ingot_reference_new(place->host, place->name, FETCH_TAG, place->digest);
    g_autoptr(IngotStoreEntry) former = ingot_store_find(store, named, NULL);
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions options = {.progress = progress, .remote = remote};
    IngotDescriptor manifest;
    if (!pull_as(store, exact, FETCH_TAG, &options, &manifest, received, error)) {
        return NULL;
    }
    if (former != NULL && !ingot_digest_equal(&former->manifest.digest, &manifest.digest)) {
        drop(store, former, progress);
    }
    return ingot_store_image(store, exact, error);
}

/* --- the file --- */

static gboolean write_file(const IngotImage *image, const FetchPlace *place, const char *path, IngotProgress *progress,
                           guint64 *size, GError **error)
{
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, error);
    const IngotFormat *format = disk == NULL ? NULL : ingot_format_find(place->format, error);
    /* As the registry has it for that path. */
    const IngotFormatInput input = {.disk = disk, .config = image->config, .name = place->name};
    if (format == NULL) {
        return FALSE;
    }
    ingot_progress_begin(progress, ingot_image_size(image), "write %s", place->file);
    if (!ingot_format_export_file(format, &input, place->file, path, size, progress, error)) {
        return FALSE;
    }
    ingot_image_remember(image, disk);
    return TRUE;
}

gboolean fetch_file(IngotStore *store, const FetchPlace *place, const char *path, IngotProgress *progress,
                    GError **error)
{
    guint64 received, size;
    g_autoptr(IngotImage) image = pull(store, place, progress, &received, error);
    if (image == NULL || !write_file(image, place, path, progress, &size, error)) {
        ingot_progress_drop(progress);
        return FALSE;
    }
    g_autofree char *came = ingot_text_size(received), *all = ingot_text_size(size);
    ingot_progress_end(progress, "%s of %s came over the network", came, all);
    return TRUE;
}

char *fetch_tag(const FetchPlace *place)
{
    const IngotFormat *format = ingot_format_find(place->format, NULL);
    IngotDigest manifest;
    return format != NULL && ingot_digest_parse(place->digest, &manifest, NULL)
               ? ingot_format_tag(format, place->file, &manifest)
               : NULL;
}
