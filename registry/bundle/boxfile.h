/* The Vagrantfile within a box: Ruby, of which no line is run. The settings that say what the machine is are known by
 * their text. */
#pragma once

#include <glib.h>

typedef struct {
    gboolean uefi;            /* it sets a loader, or variables, of a UEFI firmware */
    const char *architecture; /* as architecture_word calls it; NULL: not told */
    gboolean own;             /* it is one that Ingot writes into boxes: nothing of a box's maker is in it */
} BoxFile;

BoxFile boxfile_read(const char *text);
