/* The catalogue's tables, as the migrations that led to them. A released one is never changed, only followed. */
#pragma once

extern const char *const schema_migrations[];
extern const unsigned schema_count;
