/* Changes: whether what is kept of names is still what it was, for those who keep something that they made of it. */
#pragma once

#include "server/storage/storage.h"

/* Another number after each commit, by any process. No disk is read for it. */
guint64 storage_sequence(Storage *storage);
/* The number of the last event (0: none has one), which every change of a name moves on; commits of upkeep do not. */
gboolean storage_last_event(Storage *storage, guint64 *number, GError **error);
