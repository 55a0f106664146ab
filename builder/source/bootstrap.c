/* A disk bootstrapped from a distribution's packages.
 *
 * mmdebstrap makes the tree as a tar archive, layout.c the disk from it. Kept in the cache as sources/KEY/disk-ID.raw,
 * where ID follows from the disk's bytes: a disk that later builds stand on is never replaced, only followed by another
 * one that sources/KEY/source.json then names. */
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/text.h>
#include <string.h>

#include "ready/ready.h"
#include "source/apt.h"
#include "source/extents.h"
#include "source/kinds.h"
#include "source/layout.h"
#include "source/mmdebstrap.h"
#include "source/tree.h"

#define LAYOUT_VERSION "1" /* raised when the same inputs shall give another disk */
#define DISK_DEFAULT (4ull << 30)
#define MIB (1ull << 20)
#define RECORD_MAX (64u << 20)

/* What every machine needs to boot, to get an address and to be reached. */
static const char *const bones[] = {"systemd-sysv", "udev",           "kmod", "initramfs-tools",
                                    "zstd",         "openssh-server", "dbus", "systemd-resolved",
                                    "iproute2",     "netbase",        NULL};
#define KERNEL_CLOUD "linux-image-cloud-amd64" /* a third of the other, without most hardware */
#define KERNEL_FULL "linux-image-amd64"

static guint64 disk_size(const SourceContext *context)
{
    guint64 wanted = recipe_machine(context->recipe).disk;
    return wanted == 0 ? DISK_DEFAULT : wanted / MIB * MIB;
}

/* What is installed besides the recipe's packages: NULL where a kernel is among them. */
static const char *kernel_of(const SourceContext *context, const json_t *source)
{
    size_t i;
    json_t *package;
    json_array_foreach(json_object_get(source, "packages"), i, package)
    {
        if (g_str_has_prefix(json_string_value(package), "linux-image-")) {
            return NULL;
        }
    }
    return ready_beyond_clouds(json_object_get(context->recipe->tree, "outputs")) ? KERNEL_FULL : KERNEL_CLOUD;
}

static void add_settings(IngotHasher *hasher, const char *lines, const char *apt_conf)
{
    TreeOptions options = {.root_uuid = "", .esp_uuid = "", .apt = lines, .apt_conf = apt_conf};
    g_autoptr(GPtrArray) files = tree_settings(&options);
    for (guint i = 0; i < files->len; i++) {
        const TreeFile *file = g_ptr_array_index(files, i);
        g_autofree char *mode = g_strdup_printf("%o", file->mode);
        source_add_text(hasher, file->path);
        source_add_text(hasher, mode);
        source_add_text(hasher, file->content == NULL ? "" : file->content);
    }
}

static gboolean bootstrap_key(const SourceContext *context, const json_t *source, IngotHasher *hasher, GError **error)
{
    g_autofree char *lines = apt_sources(source, error);
    g_autofree char *host_conf = NULL;
    g_autofree char *guest_conf = NULL;
    if (lines == NULL || !apt_settings(&host_conf, &guest_conf, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_json_canonical(source);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, disk_size(context));
    source_add_text(hasher, "bootstrap " LAYOUT_VERSION);
    source_add_text(hasher, text);
    source_add_text(hasher, size);
    for (const char *const *bone = bones; *bone != NULL; bone++) {
        source_add_text(hasher, *bone);
    }
    if (g_strcmp0(kernel_of(context, source), KERNEL_FULL) == 0) {
        source_add_text(hasher, KERNEL_FULL);
    }
    add_settings(hasher, lines, guest_conf);
    return TRUE;
}

/* The recipe's packages, the bones, and a kernel unless the recipe chose one. */
static char *package_list(const SourceContext *context, const json_t *source)
{
    g_autoptr(GString) list = g_string_new(NULL);
    const char *kernel = kernel_of(context, source);
    size_t i;
    json_t *package;
    json_array_foreach(json_object_get(source, "packages"), i, package)
    {
        g_string_append_printf(list, "%s,", json_string_value(package));
    }
    g_autofree char *needed = g_strjoinv(",", (char **)bones);
    g_string_append_printf(list, "%s%s%s", needed, kernel == NULL ? "" : ",", kernel == NULL ? "" : kernel);
    return g_string_free(g_steal_pointer(&list), FALSE);
}

static gboolean make_tree(const SourceContext *context, const json_t *source, const char *sources,
                          const char *host_conf, gint64 time, const char *tar, const char *workdir, GError **error)
{
    g_autofree char *conf = g_build_filename(workdir, "apt.conf", NULL);
    g_autofree char *packages = package_list(context, source);
    MmdebstrapOptions options = {
        .suite = json_string_value(json_object_get(source, "suite")),
        .sources = sources,
        .packages = packages,
        .apt_conf = conf,
        .time = time,
        .tar = tar,
        .workdir = workdir,
    };
    return ingot_file_replace(conf, host_conf, strlen(host_conf), 0644, error) && mmdebstrap_run(&options, error);
}

/* What the cache remembers of a disk: source.json. */
static json_t *describe(const TreeFacts *facts, const char *sources, gint64 time, const char *disk)
{
    g_autofree char *date = ingot_text_time(time);
    return json_pack("{s:s, s:o, s:o, s:s, s:s}", "disk", disk, "os", facts->os, "packages", facts->packages, "apt",
                     sources, "date", date);
}

/* Moves the finished disk to its name in folder, and last the record that names it. */
static gboolean publish(const char *made, const char *folder, const TreeFacts *facts, const char *sources, gint64 time,
                        GError **error)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    if (!extents_digest(made, &digest, error)) {
        return FALSE;
    }
    ingot_digest_write_text(&digest, text);
    g_autofree char *name = g_strdup_printf("disk-%.16s.raw", text + strlen("sha256:"));
    g_autofree char *disk = g_build_filename(folder, name, NULL);
    g_autofree char *record_path = g_build_filename(folder, "source.json", NULL);
    g_autoptr(json_t) record = describe(facts, sources, time, name);
    g_autofree char *record_text = ingot_json_pretty(record);
    g_auto(IngotFd) fd = ingot_file_open(made, O_RDONLY, 0, error);
    return fd >= 0 && ingot_file_make_folder(folder, error) &&
           (g_file_test(disk, G_FILE_TEST_EXISTS) || ingot_file_publish(fd, made, disk, error)) &&
           ingot_file_replace(record_path, record_text, strlen(record_text), 0644, error);
}

static gboolean make_disk(const SourceContext *context, const json_t *source, const char *key, const char *workdir,
                          const char *folder, GError **error)
{
    g_autofree char *tar = g_build_filename(workdir, "tree.tar", NULL);
    g_autofree char *disk = g_build_filename(workdir, "disk.raw", NULL);
    g_autofree char *lines = apt_sources(source, error);
    g_autofree char *host_conf = NULL;
    g_autofree char *guest_conf = NULL;
    g_autofree char *sources = NULL;
    TreeFacts facts = {NULL, NULL};
    gint64 time;
    if (lines == NULL || !apt_settings(&host_conf, &guest_conf, error) ||
        !apt_state(lines, json_string_value(json_object_get(source, "distribution")), workdir, &sources, &time,
                   error) ||
        !make_tree(context, source, sources, host_conf, time, tar, workdir, error) || !tree_facts(tar, &facts, error)) {
        return FALSE;
    }
    LayoutOptions options = {
        .path = disk,
        .size = disk_size(context),
        .key = key,
        .time = time,
        .tree = tar,
        .apt = sources,
        .apt_conf = guest_conf,
        .workdir = workdir,
    };
    if (!layout_make(&options, error)) {
        json_decref(facts.os);
        json_decref(facts.packages);
        return FALSE;
    }
    return publish(disk, folder, &facts, sources, time, error);
}

/* NULL without an error where the cache has none. */
static Source *find_cached(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "source.json", NULL);
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return NULL;
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, error);
    g_autoptr(json_t) record =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    const char *name = record == NULL ? NULL : ingot_json_get_string(record, "disk", path, error);
    if (name == NULL) {
        return NULL;
    }
    g_autofree char *disk = g_build_filename(folder, name, NULL);
    if (!g_file_test(disk, G_FILE_TEST_EXISTS)) {
        return NULL;
    }
    Source *source = source_new(g_steal_pointer(&disk), "raw");
    source->sealed = TRUE;
    source->packages = json_incref(json_object_get(record, "packages"));
    json_object_set(source->config, "os", json_object_get(record, "os"));
    json_object_set_new(source->config, "firmware", json_pack("[ss]", "bios", "uefi"));
    json_object_set_new(source->config, "source",
                        json_pack("{s:s, s:O, s:O}", "kind", "bootstrap", "apt", json_object_get(record, "apt"), "date",
                                  json_object_get(record, "date")));
    return source;
}

/* Under the key's lock: whatever lies in the folder for work is a killed build's. */
static gboolean make_anew(const SourceContext *context, const json_t *source, const char *key, const char *folder,
                          GError **error)
{
    g_autofree char *workdir = g_strconcat(folder, ".making", NULL);
    if (!mmdebstrap_sweep(workdir, error) || !ingot_file_make_folder(workdir, error)) {
        return FALSE;
    }
    ingot_progress_begin(context->progress, 0, "bootstrap %s %s",
                         json_string_value(json_object_get(source, "distribution")),
                         json_string_value(json_object_get(source, "suite")));
    gboolean made = make_disk(context, source, key, workdir, folder, error);
    gboolean removed = mmdebstrap_sweep(workdir, made ? error : NULL);
    if (made) {
        ingot_progress_end(context->progress, NULL);
    }
    return made && removed;
}

static Source *bootstrap_prepare(const SourceContext *context, const json_t *source, const char *key, GError **error)
{
    g_autofree char *folder = source_cache_path(context, key, error);
    g_autofree char *lock_path = folder == NULL ? NULL : g_strconcat(folder, ".lock", NULL);
    g_autoptr(IngotLock) lock = lock_path == NULL ? NULL : ingot_lock_take(lock_path, TRUE, TRUE, error);
    if (lock == NULL) {
        return NULL;
    }
    g_autoptr(GError) problem = NULL;
    Source *cached = context->no_cache ? NULL : find_cached(folder, &problem);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (cached != NULL) {
        return cached;
    }
    return make_anew(context, source, key, folder, error) ? find_cached(folder, error) : NULL;
}

const SourceKind source_bootstrap = {"bootstrap", bootstrap_key, bootstrap_prepare};
