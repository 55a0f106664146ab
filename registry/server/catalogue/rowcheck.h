/* Checks the catalogue against itself: its tables and indexes, what its rows refer to, and the sum of each row. */
#pragma once

#include "server/catalogue/database.h"

typedef void (*RowCheckTell)(const char *complaint, gpointer user);
/* Calls the function for each thing that is wrong: "the tag 1.0.0 of repository 3". A table that can't be read is such
 * a thing. */
void row_check(Connection *connection, RowCheckTell tell, gpointer user);
/* The first such thing, NULL: all is well. Free it. */
char *row_check_first(Connection *connection);
