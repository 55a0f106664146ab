/* The Vagrantfile within a box: Ruby, of which no line is run. The settings that say what the machine is are known by
 * their text. */
#pragma once

#include <glib.h>

typedef struct {
    gboolean uefi;      /* it sets a loader, or variables, of a UEFI firmware */
    char *architecture; /* as it says it; NULL: it does not, or what it says is computed */
    gboolean own;       /* it is one that Ingot writes into boxes: nothing of a box's maker is in it */
} BoxFile;

BoxFile boxfile_read(const char *text);
void boxfile_clear(BoxFile *said);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BoxFile, boxfile_clear)
