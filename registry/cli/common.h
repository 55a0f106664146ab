/* What several verbs do alike. */
#pragma once

#include <ingot/format.h>
#include <ingot/reference.h>
#include <ingot/store.h>

IngotStore *cli_store(GError **error);
/* For a verb that reads: nothing is made where there is no store. */
IngotStore *cli_store_to_read(void);
/* "sha256:0123456789ab" for tables. Free it. */
char *cli_short_digest(const IngotDigest *digest);
/* Prints the result of a verb: the digest alone with -q, else "TEXT DIGEST". */
void cli_print_result(const char *text, const IngotDigest *digest);
/* A reference with a host, or an error that says so. */
IngotReference *cli_remote_reference(const char *text, GError **error);
/* A registry's HOST[:PORT] alone. Free it. */
char *cli_host(const char *text, GError **error);
/* Writes the first file of a format of an image. */
gboolean cli_export(const IngotImage *image, const IngotFormat *format, const char *path, GError **error);
void cli_print_json(const json_t *value);
