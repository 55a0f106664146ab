/* UEFI firmware (OVMF): the code that all machines share, and a copy of its variables for each. */
#pragma once

#include <glib.h>

/* Copies the variables to path, unless that is NULL; *code receives the firmware's path, which belongs to nobody. */
gboolean firmware_prepare(const char *path, const char **code, GError **error);
