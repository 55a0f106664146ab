#include "base/devices.h"

#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define SYS_FOLDER "/sys/dev/block/%u:%u"

static gboolean has_number(const guint64 *numbers, guint count, guint64 number)
{
    for (guint i = 0; i < count; i++) {
        if (numbers[i] == number) {
            return TRUE;
        }
    }
    return FALSE;
}

static void add_device(GArray *numbers, guint64 number);

/* Those of the folder's entries that are devices; mark: a file that they must have, or NULL. */
static void add_entries(GArray *numbers, const char *folder, const char *mark)
{
    g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
    const char *entry;
    while (entries != NULL && (entry = g_dir_read_name(entries)) != NULL) {
        g_autofree char *file = g_build_filename(folder, entry, "dev", NULL), *text = NULL;
        g_autofree char *marked = g_build_filename(folder, entry, mark, NULL);
        unsigned high, low;
        if (g_file_test(marked, G_FILE_TEST_EXISTS) && g_file_get_contents(file, &text, NULL, NULL) &&
            sscanf(text, "%u:%u", &high, &low) == 2) {
            add_device(numbers, makedev(high, low));
        }
    }
}

static void add_device(GArray *numbers, guint64 number)
{
    if (has_number((const guint64 *)(gpointer)numbers->data, numbers->len, number)) {
        return;
    }
    g_array_append_val(numbers, number);
    g_autofree char *folder = g_strdup_printf(SYS_FOLDER, major(number), minor(number));
    g_autofree char *holders = g_build_filename(folder, "holders", NULL);
    add_entries(numbers, folder, "partition");
    add_entries(numbers, holders, NULL);
}

GArray *device_numbers(guint64 number)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(guint64));
    add_device(numbers, number);
    return numbers;
}

/* The device that a line is about: by its number, or, of a file system that has numbers of its own (btrfs), by the
 * name of what it was mounted from. */
static gboolean is_about(unsigned high, unsigned low, const char *source, const guint64 *numbers, guint count)
{
    g_autofree char *path = g_strndup(source, strcspn(source, " "));
    struct stat info;
    return has_number(numbers, count, makedev(high, low)) ||
           (g_str_has_prefix(path, "/dev/") && stat(path, &info) == 0 && S_ISBLK(info.st_mode) &&
            has_number(numbers, count, info.st_rdev));
}

char *device_mounted(const char *mountinfo, const guint64 *numbers, guint count, gboolean writable)
{
    g_auto(GStrv) lines = g_strsplit(mountinfo, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        /* 36 35 8:1 / /mnt rw,noatime shared:1 - ext4 /dev/sda1 rw */
        const char *tail = strstr(lines[i], " - ");
        unsigned high, low;
        int where = 0, source = 0, options = 0;
        if (tail == NULL || sscanf(lines[i], "%*u %*u %u:%u %*s %n", &high, &low, &where) != 2 || where == 0 ||
            sscanf(tail, " - %*s %n%*s %n", &source, &options) == EOF || options == 0) {
            continue;
        }
        if (is_about(high, low, tail + source, numbers, count) &&
            (!writable || g_str_has_prefix(tail + options, "rw"))) {
            g_autofree char *point = g_strndup(lines[i] + where, strcspn(lines[i] + where, " "));
            return g_strcompress(point); /* blanks are \\040 there */
        }
    }
    return NULL;
}

gboolean device_find_mount(const char *path, guint64 number, gboolean writable, char **point, GError **error)
{
    g_autofree char *mountinfo = NULL;
    g_autoptr(GArray) numbers = device_numbers(number);
    if (!g_file_get_contents("/proc/self/mountinfo", &mountinfo, NULL, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s: whether it is mounted can't be told: /proc/self/mountinfo can't be read", path);
        return FALSE;
    }
    *point = device_mounted(mountinfo, (const guint64 *)(gpointer)numbers->data, numbers->len, writable);
    return TRUE;
}
