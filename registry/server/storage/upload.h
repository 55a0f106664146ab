/* An upload: a blob on its way in, taken apart into pieces as it comes (incoming.h). Nothing of it is visible before it
 * is finished. */
#pragma once

#include "server/storage/inside.h"

typedef struct Upload Upload;

void upload_unref(gpointer upload);
/* Drops what nobody has gone on with for a day, and with it what it counts on. */
void uploads_sweep(Storage *storage);
