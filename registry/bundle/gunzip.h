/* What a gzip file unpacks to, from its first byte to its last.
 *
 * Members that follow one another are one stream, and what follows the last of them is left out, as gzip does it. Each
 * one's checksum and length are compared with what it has unpacked to. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct Gunzip Gunzip;

/* Whether the file begins as gzip's do; FALSE, too, where it can't be read. */
gboolean gunzip_probe(int fd);
/* From its first byte; fd stays the caller's, and open until it is freed. */
Gunzip *gunzip_new(int fd);
void gunzip_free(Gunzip *gunzip);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Gunzip, gunzip_free)

/* The next bytes, which are there until the next call: 0 at the end, -1 where it is damaged or can't be read; then *why
 * says so. */
gssize gunzip_read(Gunzip *gunzip, const guint8 **bytes, const char **why);
/* How many bytes of the file were read. */
guint64 gunzip_taken(const Gunzip *gunzip);

G_END_DECLS
