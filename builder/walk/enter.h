/* What a machine's firmware remembers. */
#pragma once

#include "cache/draft.h"
#include "machine/machine.h"

/* The UEFI variables of a stopped machine into the node, and of a node into a new machine's folder. */
gboolean enter_keep_variables(const Machine *machine, const NodeDraft *draft, Node *node, GError **error);
gboolean enter_restore_variables(const Node *node, const char *folder, GError **error);
