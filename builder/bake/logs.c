#include "bake/logs.h"

#include "base/file.h"
#include "base/secrets.h"

/* A console shows what steps print, so secrets are masked here too. */
static gboolean log_copy(const char *machine, const char *name, const char *folder, GError **error)
{
    g_autofree char *from = g_build_filename(machine, name, NULL);
    g_autofree char *owner = g_path_get_basename(machine);
    g_autofree char *own = g_strdup_printf("%s-%s", owner, name);
    g_autofree char *to = g_build_filename(folder, own, NULL);
    g_autofree char *text = NULL;
    gsize size = 0;
    if (!g_file_test(from, G_FILE_TEST_IS_REGULAR)) {
        return TRUE;
    }
    if (!g_file_get_contents(from, &text, &size, error)) {
        return FALSE;
    }
    for (gsize i = 0; i < size; i++) {
        text[i] = text[i] == '\0' ? ' ' : text[i];
    }
    g_autofree char *masked = ingot_secrets_mask_all(text);
    return g_file_set_contents(to, masked, -1, error);
}

gboolean logs_keep(const char *workdir, const char *folder, GError **error)
{
    g_autoptr(GDir) machines = g_dir_open(workdir, 0, error);
    const char *name;
    gboolean ok = machines != NULL && ingot_file_make_folder(folder, error);
    while (ok && (name = g_dir_read_name(machines)) != NULL) {
        g_autofree char *machine = g_build_filename(workdir, name, NULL);
        ok = !g_file_test(machine, G_FILE_TEST_IS_DIR) ||
             (log_copy(machine, "console.log.1", folder, error) && log_copy(machine, "console.log", folder, error) &&
              log_copy(machine, "qemu.log", folder, error));
    }
    return ok;
}
