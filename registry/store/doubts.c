#include "store/doubts.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unchanged.h"

#define FOLDER "doubts"
#define NOTE_MAX 256u /* bytes */

static char *doubts_path(const IngotStore *store, const IngotDigest *index)
{
    return layout_note_path(store, FOLDER, index);
}

/* NULL: there is no such file. Free it. */
static char *doubts_text(const char *disk)
{
    struct stat st;
    return stat(disk, &st) != 0 ? NULL : unchanged_stamp(&st);
}

void doubts_note(const IngotStore *store, const IngotDigest *index, const char *disk)
{
    g_autofree char *text = doubts_text(disk), *path = doubts_path(store, index), *folder = layout_path(store, FOLDER);
    if (text != NULL && ingot_file_make_folder(folder, NULL)) {
        ingot_file_replace(path, text, strlen(text), 0644, NULL);
    }
}

gboolean doubts_has(const IngotStore *store, const IngotDigest *index, const char *disk)
{
    g_autofree char *text = doubts_text(disk), *path = doubts_path(store, index);
    g_autoptr(GBytes) noted = ingot_file_read(path, NOTE_MAX, NULL);
    return text != NULL && noted != NULL && g_bytes_get_size(noted) == strlen(text) &&
           memcmp(g_bytes_get_data(noted, NULL), text, strlen(text)) == 0;
}

void doubts_drop(const IngotStore *store, const IngotDigest *index)
{
    g_autofree char *path = doubts_path(store, index);
    unlink(path);
}
