/* The part of an in-toto statement (v1) that a signature is judged by: which image it is about, and what it says. */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

typedef struct {
    char *predicate_type;
    char *name; /* of the subject that is the image; NULL: it has none */
} Intoto;
void intoto_clear(Intoto *statement);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Intoto, intoto_clear)

/* DENIED: it is about another image; CORRUPT: it is not such a statement. */
gboolean intoto_read(const void *bytes, gsize size, const IngotDigest *image, Intoto *statement, GError **error);
/* Free it. name may be NULL. */
char *intoto_write(const IngotDigest *image, const char *name, const char *predicate_type, const json_t *predicate);
