/* Versions of boxes as Vagrant reads them (Ruby's Gem::Version): numbers and words between dots, "20241002.0.0",
 * "1.2", "2.0.0.beta1", "1.0.0-rc.1". One that it can't read spoils the whole catalogue for it. Pure functions. */
#pragma once

#include <glib.h>

gboolean vagrant_version_is_readable(const char *version);
/* The order in which Vagrant has two that it can read: below, at, above 0. Words come before numbers, so 1.0.0-rc.1 is
 * before 1.0.0; "1.0" and "1.0.0" are the same to it. */
int vagrant_version_compare(const char *a, const char *b);
