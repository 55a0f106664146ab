/* A file that gets its name when it is whole.
 *
 * Until then it has no name at all or, on a file system without such files (nameless.h), one that is drawn at random in
 * the folder where it is to be. So nobody takes it for theirs, not even a process with the same number in another
 * container, and a process that is killed leaves at most ".ingot-" and 16 digits behind. */
#pragma once

#include <glib.h>

typedef struct IngotNewFile IngotNewFile;

/* Empty, for reading and writing, to be at path, where nothing changes yet. mode: as open(2) has it. */
IngotNewFile *ingot_newfile_open(const char *path, int mode, GError **error);
int ingot_newfile_fd(const IngotNewFile *file); /* the file's own; -1 once it has its name */
/* Closes it, and gives it its name, in the place of what had that before: not where the file system says, as some do
 * only then, that not all of it was written. */
gboolean ingot_newfile_name(IngotNewFile *file, GError **error);
/* Closes it; one that was not named is gone. */
void ingot_newfile_free(IngotNewFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotNewFile, ingot_newfile_free)
