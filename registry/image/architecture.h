/* Names of processor architectures: one word for each, and the others that are in use for the same. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The word that images, registries and Vagrant's catalogue use ("amd64", "arm64", "i386", ...) for whatever is said of
 * the same architecture ("x86_64", "aarch64", "i686", ...), in any letter case. NULL: not known, as of NULL. It is that
 * of Go and of OCI but for "i386". */
const char *architecture_word(const char *text);
/* The same, but what is not known stays as it is: text itself. */
const char *architecture_plain(const char *text);
/* The same of what a user says (--arch, $INGOT_ARCH): INVALID where it is not known. */
gboolean architecture_check(const char *text, GError **error);
/* This machine's; "amd64" where the kernel's word for it is not known. */
const char *architecture_of_host(void);

G_END_DECLS
