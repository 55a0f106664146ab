/* What is attached to an image, between the store and a registry: signatures, package lists, test reports, of any tool.
 *
 * Each goes byte for byte: its manifest, or OCI index, with the digest that it has, and every blob and manifest that it
 * names. That is what its registry lists as attached by its subject; what is attached to that in turn, such as the
 * signature of a package list, but nothing deeper; and what cosign keeps by tags beside the image's.
 *
 * An image is whole without it. A pull takes what it can have, within bounds, says what it could not, and keeps a note
 * of that in the store (store/lacking.h) by which a push says so too; the next pull asks for it again. */
#pragma once

#include <ingot/progress.h>
#include <ingot/remote.h>
#include <ingot/store.h>

/* FALSE: the process is to end. */
gboolean attachments_pull(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *image,
                          IngotProgress *progress, guint64 *received, GError **error);
/* FALSE: the image can't be sent either. *left (free it) says what could not be sent for a reason of its own: it is
 * damaged here, say, or of a form that the registry refuses. NULL: nothing. whole: what stays behind since the
 * registry has something else by a tag of cosign's counts as such, too; else progress says so. */
gboolean attachments_push(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *image,
                          gboolean whole, IngotProgress *progress, char **left, GError **error);
/* Sends one that the store has, by its manifest; it was attached to the image itself. */
gboolean attachment_push(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *image,
                         const IngotDescriptor *attached, GError **error);
