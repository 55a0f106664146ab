/* The ledger: what this server knows of those who follow it, and no event tells: which hosts run what, and which
 * webhooks there are and where each stands. DIR/follow.sqlite, a database of its own: hosts report often, and what is
 * kept of the catalogue in memory holds only until something is committed there. A rebuild leaves it alone. Thread
 * safe. */
#pragma once

#include "server/catalogue/database.h"

/* Opens or makes it in a data folder. */
Database *ledger_open(const char *data, GError **error);
