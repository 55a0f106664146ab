/* An upload: a blob on its way in, taken apart into pieces as it comes.
 *
 * uploads/ID.pack is the segment that it will be: room for the head, then the bytes of the pieces that were not there
 * before. uploads/ID.list has an entry for each piece that has come to its end, so that an upload can go on after a
 * restart from the last of them. Nothing of an upload is visible before it is finished. */
#pragma once

#include "server/storage/inside.h"

typedef struct Upload Upload;

void upload_unref(gpointer upload);
/* Drops what nobody has gone on with for a day, and with it what it counts on. */
void uploads_sweep(Storage *storage);
