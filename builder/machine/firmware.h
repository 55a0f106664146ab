/* UEFI firmware (OVMF, AAVMF): the code that all machines share, and a copy of its variables for each. */
#pragma once

#include <glib.h>

/* Copies the variables to path, unless that is NULL; *code receives the firmware's path, which belongs to nobody.
 * NOT_FOUND: none for that architecture is installed. */
gboolean firmware_prepare(const char *architecture, const char *path, const char **code, GError **error);
