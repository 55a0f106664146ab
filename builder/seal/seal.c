#include "seal/seal.h"

#include <guestfs.h>
#include <ingot/error.h>
#include <string.h>

#include "seal/rules.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(guestfs_h, guestfs_close)

#define HOST_KEYS_UNIT "/etc/systemd/system/ingot-host-keys.service"
#define HOST_KEYS_WANTED "/etc/systemd/system/multi-user.target.wants/ingot-host-keys.service"

static const char host_keys_unit[] = "[Unit]\n"
                                     "Description=Make this machine's ssh host keys\n"
                                     "ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\n"
                                     "Before=ssh.service sshd.service ssh.socket\n"
                                     "\n"
                                     "[Service]\n"
                                     "Type=oneshot\n"
                                     "ExecStart=/usr/bin/ssh-keygen -A\n"
                                     "\n"
                                     "[Install]\n"
                                     "WantedBy=multi-user.target\n";

void seal_report_clear(SealReport *report)
{
    g_clear_pointer(&report->os, json_decref);
    g_clear_pointer(&report->packages, json_decref);
}

static gboolean failed(guestfs_h *g, const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "seal: %s: %s", what, guestfs_last_error(g));
    return FALSE;
}

static guestfs_h *launch(const char *disk, const char *format, GError **error)
{
    g_autoptr(guestfs_h) g = guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT);
    if (g == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "seal: libguestfs could not be started");
        return NULL;
    }
    guestfs_set_error_handler(g, NULL, NULL);
    guestfs_parse_environment(g);
    guestfs_set_autosync(g, 1);
    if (guestfs_add_drive_opts(g, disk, GUESTFS_ADD_DRIVE_OPTS_FORMAT, format, GUESTFS_ADD_DRIVE_OPTS_CACHEMODE,
                               "unsafe", GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort", -1) != 0) {
        failed(g, disk, error);
        return NULL;
    }
    if (guestfs_launch(g) != 0) {
        failed(g, "the libguestfs appliance", error);
        return NULL;
    }
    return g_steal_pointer(&g);
}

static int by_length(gconstpointer a, gconstpointer b)
{
    return (int)strlen(*(char *const *)a) - (int)strlen(*(char *const *)b);
}

/* Mounts the system's file systems, / first; *root is the device that names the system to the inspection. */
static gboolean mount_system(guestfs_h *g, char **root, GError **error)
{
    g_auto(GStrv) roots = guestfs_inspect_os(g);
    if (roots == NULL) {
        return failed(g, "looking for the operating system", error);
    }
    if (g_strv_length(roots) != 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "seal: %u operating systems on the disk, 1 expected",
                    g_strv_length(roots));
        return FALSE;
    }
    g_auto(GStrv) mounts = guestfs_inspect_get_mountpoints(g, roots[0]);
    if (mounts == NULL) {
        return failed(g, "its mount points", error);
    }
    g_autoptr(GPtrArray) points = g_ptr_array_new();
    g_autoptr(GHashTable) devices = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; mounts[i] != NULL && mounts[i + 1] != NULL; i += 2) {
        g_ptr_array_add(points, mounts[i]);
        g_hash_table_insert(devices, mounts[i], mounts[i + 1]);
    }
    g_ptr_array_sort(points, by_length);
    for (guint i = 0; i < points->len; i++) {
        const char *point = g_ptr_array_index(points, i);
        if (guestfs_mount(g, g_hash_table_lookup(devices, point), point) != 0) {
            return failed(g, point, error);
        }
    }
    *root = g_strdup(roots[0]);
    return TRUE;
}

static gboolean for_each(guestfs_h *g, const char *pattern, int (*act)(guestfs_h *, const char *), GError **error)
{
    g_auto(GStrv) paths = guestfs_glob_expand_opts(g, pattern, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);
    if (paths == NULL) {
        return failed(g, pattern, error);
    }
    for (guint i = 0; paths[i] != NULL; i++) {
        if (act(g, paths[i]) != 0) {
            return failed(g, paths[i], error);
        }
    }
    return TRUE;
}

static int empty_file(guestfs_h *g, const char *path)
{
    int file = guestfs_is_file(g, path);
    return file == 1 ? guestfs_truncate(g, path) : file;
}

static gboolean apply(guestfs_h *g, const char *const *patterns, int (*act)(guestfs_h *, const char *), GError **error)
{
    for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        if (!for_each(g, patterns[i], act, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean list_has(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (g_strcmp0(json_string_value(json_array_get(list, i)), word) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean clean(guestfs_h *g, const json_t *rules, GError **error)
{
    const json_t *keep = json_object_get(rules, "keep");
    for (const SealRule *rule = seal_rules; rule->name != NULL; rule++) {
        if (!list_has(keep, rule->name) &&
            (!apply(g, rule->remove, guestfs_rm_rf, error) || !apply(g, rule->truncate, empty_file, error))) {
            return FALSE;
        }
    }
    const json_t *more = json_object_get(rules, "remove");
    for (size_t i = 0; i < json_array_size(more); i++) {
        if (!for_each(g, json_string_value(json_array_get(more, i)), guestfs_rm_rf, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean remove_key(guestfs_h *g, const char *comment, GError **error)
{
    static const char path[] = "/root/.ssh/authorized_keys";
    if (guestfs_is_file(g, path) != 1) {
        return TRUE;
    }
    g_auto(GStrv) lines = guestfs_read_lines(g, path);
    if (lines == NULL) {
        return failed(g, path, error);
    }
    g_autoptr(GString) rest = g_string_new(NULL);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (strstr(lines[i], comment) == NULL) {
            g_string_append_printf(rest, "%s\n", lines[i]);
        }
    }
    int status = rest->len == 0 ? guestfs_rm(g, path) : guestfs_write(g, path, rest->str, rest->len);
    return status == 0 || failed(g, path, error);
}

/* A system without systemd, or without an ssh server, has its own way or needs none. */
static gboolean add_host_keys_unit(guestfs_h *g, GError **error)
{
    if (guestfs_is_file(g, "/usr/bin/ssh-keygen") != 1 || guestfs_is_dir(g, "/etc/systemd/system") != 1 ||
        guestfs_is_file(g, HOST_KEYS_UNIT) == 1) {
        return TRUE;
    }
    if (guestfs_write(g, HOST_KEYS_UNIT, host_keys_unit, strlen(host_keys_unit)) != 0 ||
        guestfs_mkdir_p(g, "/etc/systemd/system/multi-user.target.wants") != 0 ||
        guestfs_ln_sf(g, HOST_KEYS_UNIT, HOST_KEYS_WANTED) != 0) {
        return failed(g, HOST_KEYS_UNIT, error);
    }
    return TRUE;
}

static json_t *read_packages(guestfs_h *g, const char *root)
{
    json_t *list = json_array();
    struct guestfs_application2_list *applications = guestfs_inspect_list_applications2(g, root);
    for (guint i = 0; applications != NULL && i < applications->len; i++) {
        const struct guestfs_application2 *one = &applications->val[i];
        g_autofree char *version = one->app2_release[0] == '\0'
                                       ? g_strdup(one->app2_version)
                                       : g_strdup_printf("%s-%s", one->app2_version, one->app2_release);
        if (one->app2_epoch > 0) {
            g_autofree char *with_epoch = g_strdup_printf("%d:%s", one->app2_epoch, version);
            g_free(version);
            version = g_steal_pointer(&with_epoch);
        }
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", one->app2_name, "version", version,
                                              "architecture", one->app2_arch));
    }
    if (applications != NULL) {
        guestfs_free_application2_list(applications);
    }
    return list;
}

static json_t *read_os(guestfs_h *g, const char *root)
{
    g_autofree char *id = guestfs_inspect_get_distro(g, root);
    int major = guestfs_inspect_get_major_version(g, root);
    int minor = guestfs_inspect_get_minor_version(g, root);
    g_autofree char *version = minor > 0 ? g_strdup_printf("%d.%d", major, minor) : g_strdup_printf("%d", major);
    return json_pack("{s:s, s:s}", "id", id == NULL ? "unknown" : id, "version", version);
}

static gboolean trim(guestfs_h *g, GError **error)
{
    g_auto(GStrv) points = guestfs_mountpoints(g);
    if (points == NULL) {
        return failed(g, "mount points", error);
    }
    for (guint i = 0; points[i] != NULL && points[i + 1] != NULL; i += 2) {
        /* A file system that cannot trim (FAT before Linux 5.0) just stays larger. */
        guestfs_fstrim(g, points[i + 1], -1);
    }
    return TRUE;
}

gboolean seal_disk(const char *disk, const char *format, const json_t *rules, const char *key_comment,
                   SealReport *report, GError **error)
{
    g_autoptr(guestfs_h) g = launch(disk, format, error);
    g_autofree char *root = NULL;
    if (g == NULL || !mount_system(g, &root, error)) {
        return FALSE;
    }
    report->os = read_os(g, root);
    report->packages = read_packages(g, root);
    if (!clean(g, rules, error) || !remove_key(g, key_comment, error) || !add_host_keys_unit(g, error) ||
        !trim(g, error)) {
        return FALSE;
    }
    return guestfs_shutdown(g) == 0 || failed(g, "closing the disk", error);
}
