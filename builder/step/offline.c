#include "step/offline.h"

#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/appliance.h"
#include "step/context.h"
#include "step/shell.h"

#define FOLDER "/tmp/.ingot-step" /* in the system, while a step runs */
#define SCRIPT FOLDER "/script"
#define OUTPUT FOLDER "/output"
#define OUTPUT_MAX (16u << 20) /* bytes */

static const char *text_of(const json_t *step, const char *key)
{
    return json_string_value(json_object_get(step, key));
}

/* Runs a line in the system; its output is not looked at. */
static gboolean chroot_line(guestfs_h *g, const char *line, GError **error)
{
    g_autofree char *output = guestfs_sh(g, line);
    return output != NULL || appliance_failed(g, line, error);
}

/* --- shell --- */

/* The line that runs the script: its output in a file, its status as what the line prints. */
static char *command_line(const json_t *step, gboolean shebang)
{
    const char *workdir = text_of(step, "workdir");
    g_autofree char *folder = g_shell_quote(workdir == NULL ? "/root" : workdir);
    g_autoptr(GString) line = g_string_new(NULL);
    const char *name;
    json_t *value;
    g_string_append_printf(line, "export HOME=/root; cd %s || exit 1; ", folder);
    json_object_foreach(json_object_get(step, "env"), name, value)
    {
        g_autofree char *quoted = g_shell_quote(json_string_value(value));
        g_string_append_printf(line, "export %s=%s; ", name, quoted);
    }
    g_string_append_printf(line, "%s" SCRIPT " >" OUTPUT " 2>&1 </dev/null; echo $?", shebang ? "" : "/bin/sh -e ");
    return g_string_free(g_steal_pointer(&line), FALSE);
}

static gboolean show_output(StepContext *context, guestfs_h *g, GError **error)
{
    g_autofree char *path = g_build_filename(context->workdir, "offline-output", NULL);
    if (guestfs_download(g, OUTPUT, path) != 0) {
        return appliance_failed(g, OUTPUT, error);
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, OUTPUT_MAX, error);
    if (bytes == NULL) {
        return FALSE;
    }
    g_autofree char *text = g_utf8_make_valid(g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    for (guint i = 0; lines[i] != NULL && *text != '\0'; i++) {
        step_line(context, lines[i]);
    }
    return TRUE;
}

static gboolean run_shell(StepContext *context, guestfs_h *g, const json_t *step, GError **error)
{
    g_autofree char *script = NULL;
    gsize size;
    if (!step_shell_script(step, &script, &size, error)) {
        return FALSE;
    }
    if (guestfs_mkdir_p(g, FOLDER) != 0 || guestfs_write(g, SCRIPT, script, size) != 0 ||
        guestfs_chmod(g, 0700, SCRIPT) != 0) {
        return appliance_failed(g, SCRIPT, error);
    }
    g_autofree char *line = command_line(step, size > 2 && memcmp(script, "#!", 2) == 0);
    g_autofree char *status = guestfs_sh(g, line);
    if (status == NULL) {
        return appliance_failed(g, "the script", error);
    }
    return show_output(context, g, error) && chroot_line(g, "rm -rf " FOLDER, error) &&
           step_shell_expected(step, atoi(status), error);
}

/* --- file --- */

static gboolean upload_tree(guestfs_h *g, const char *from, const char *to, GError **error)
{
    g_auto(IngotFd) tar = guest_make_tar(from, error);
    if (tar < 0) {
        return FALSE;
    }
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", tar);
    return (guestfs_mkdir_p(g, to) == 0 && guestfs_tar_in(g, path, to) == 0) || appliance_failed(g, to, error);
}

static gboolean upload_file(guestfs_h *g, const char *from, const char *to, mode_t mode, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(to);
    return (guestfs_mkdir_p(g, folder) == 0 && guestfs_upload(g, from, to) == 0 &&
            guestfs_chmod(g, (int)mode, to) == 0) ||
           appliance_failed(g, to, error);
}

static gboolean set_owner(guestfs_h *g, const char *path, const char *owner, const char *mode, gboolean tree,
                          GError **error)
{
    g_autofree char *quoted = g_shell_quote(path), *who = g_shell_quote(owner == NULL ? "root:root" : owner);
    g_autofree char *line = g_strdup_printf("chown -R %s -- %s", who, quoted);
    g_autofree char *modes =
        tree && mode != NULL ? g_strdup_printf("find %s -type f -exec chmod %s {} +", quoted, mode) : NULL;
    return chroot_line(g, line, error) && (modes == NULL || chroot_line(g, modes, error));
}

/* `to`, or the file of the same name in it where it ends in '/'. Free it. */
static char *target_of(const char *from, const char *to)
{
    g_autofree char *base = g_path_get_basename(from);
    return g_str_has_suffix(to, "/") ? g_strconcat(to, base, NULL) : g_strdup(to);
}

static gboolean run_upload(guestfs_h *g, const json_t *step, GError **error)
{
    const char *from = text_of(step, "from"), *to = text_of(step, "to"), *mode = text_of(step, "mode");
    struct stat st;
    if (stat(from, &st) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: is not there", from);
        return FALSE;
    }
    gboolean tree = S_ISDIR(st.st_mode);
    g_autofree char *target = tree ? g_strdup(to) : target_of(from, to);
    mode_t bits = mode == NULL ? st.st_mode & 07777 : (mode_t)g_ascii_strtoull(mode, NULL, 8);
    return (tree ? upload_tree(g, from, target, error) : upload_file(g, from, target, bits, error)) &&
           set_owner(g, target, text_of(step, "owner"), mode, tree, error);
}

static gboolean run_download(guestfs_h *g, const json_t *step, GError **error)
{
    const char *from = text_of(step, "from"), *to = text_of(step, "to");
    if (guestfs_is_dir(g, from) == 1) {
        return ingot_file_make_folder(to, error) &&
               (guestfs_copy_out(g, from, to) == 0 || appliance_failed(g, from, error));
    }
    g_autofree char *target = target_of(from, to);
    g_autofree char *folder = g_path_get_dirname(target);
    return ingot_file_make_folder(folder, error) &&
           (guestfs_download(g, from, target) == 0 || appliance_failed(g, from, error));
}

static guestfs_h *open_disk(const StepContext *context, GError **error)
{
    ApplianceOptions options = {
        .disk = context->disk, .format = context->format, .cache = context->cache, .network = TRUE};
    g_autofree char *root = NULL;
    return appliance_open(&options, &root, error);
}

static gboolean close_disk(guestfs_h *g, GError **error)
{
    return guestfs_shutdown(g) == 0 || appliance_failed(g, "closing the disk", error);
}

gboolean offline_shell(StepContext *context, const json_t *step, GError **error)
{
    g_autoptr(guestfs_h) g = open_disk(context, error);
    return g != NULL && run_shell(context, g, step, error) && close_disk(g, error);
}

gboolean offline_file(StepContext *context, const json_t *step, GError **error)
{
    gboolean down = g_strcmp0(text_of(step, "direction"), "down") == 0;
    g_autoptr(guestfs_h) g = open_disk(context, error);
    return g != NULL && (down ? run_download(g, step, error) : run_upload(g, step, error)) && close_disk(g, error);
}
