/* /etc/fstab, as far as somebody needs it who reads a disk from outside. */
#pragma once

#include <glib.h>

typedef struct {
    char *what;  /* "UUID=…", a device, or a file's path */
    char *where; /* without a slash at its end; "none" for swap */
    char *type;
    char *options; /* "" where the line has none */
} FstabEntry;

/* GPtrArray of FstabEntry, in the file's order; lines that fstab(5) does not know are passed over. Free it. */
GPtrArray *fstab_parse(const char *text);
gboolean fstab_has_option(const FstabEntry *entry, const char *option);
/* Paths of files that may be swap: those of fstab, and where distributions put one. Free it. */
GPtrArray *fstab_swap_files(const GPtrArray *entries);
