/* Names of processor architectures: one word for each, and the others that are in use for the same. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The word that images, registries and Vagrant's catalogue use ("amd64", "arm64", "i386", ...) for whatever is said of
 * the same architecture ("x86_64", "aarch64", "i686", ...). NULL: not known. */
const char *architecture_word(const char *text);
/* This machine's; "amd64" where the kernel's word for it is not known. */
const char *architecture_of_host(void);

G_END_DECLS
