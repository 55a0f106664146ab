/* What a machine's UEFI firmware remembers: the file of its variables, which a node with memory has too. */
#pragma once

#include "cache/draft.h"
#include "machine/machine.h"

/* The UEFI variables of a stopped machine into the node, and of a node into a new machine's folder. */
gboolean nvram_keep(const Machine *machine, const NodeDraft *draft, Node *node, GError **error);
gboolean nvram_restore(const Node *node, const char *folder, GError **error);
