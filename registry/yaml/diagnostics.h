/* Mistakes, collected with their places so that a person sees all of them at once, in the order of the text. */
#pragma once

#include <glib.h>

/* Where something stands. file is interned and never freed; line 0: the file as a whole, or no file but an option. */
typedef struct {
    const char *file;
    guint line, column; /* from 1 */
} Place;

typedef struct Diagnostics Diagnostics;
Diagnostics *diagnostics_new(void);
void diagnostics_free(Diagnostics *diagnostics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Diagnostics, diagnostics_free)

void diagnostics_add(Diagnostics *diagnostics, const Place *place, const char *format, ...) G_GNUC_PRINTF(3, 4);
gboolean diagnostics_any(const Diagnostics *diagnostics);
/* No further one will be shown: not worth working out its place. */
gboolean diagnostics_full(const Diagnostics *diagnostics);
/* TRUE if there are none; else INVALID with one line for each, secrets (of char *, may be NULL) masked. */
gboolean diagnostics_raise(Diagnostics *diagnostics, const GPtrArray *secrets, GError **error);

/* 'text' in one short line fit for a terminal, with what was cut off as "…". Free it. */
char *diagnostics_quote(const char *text);
