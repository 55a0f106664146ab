/* What a resumed machine needs before it is built on, and what its firmware remembers. */
#pragma once

#include "cache/draft.h"
#include "guest/guest.h"

/* The guest's clock is set, its random pool reseeded, the build's key in its place. An error where it cannot be made
 * other than its twin: such a machine must not go on. */
gboolean enter_resumed(Guest *guest, const GuestKey *key, GError **error);
/* The UEFI variables of a stopped machine into the node, and of a node into a new machine's folder. */
gboolean enter_keep_variables(const Machine *machine, const NodeDraft *draft, Node *node, GError **error);
gboolean enter_restore_variables(const Node *node, const char *folder, GError **error);
