/* Boxes: what the server keeps for its doors to Vagrant. Of one Server, as long as that lives. */
#pragma once

#include "server/server.h"

typedef struct Boxes {
    struct BoxLists *lists;
    struct BoxFiles *files;
    struct BoxQueue *queue;
} Boxes;
/* data: the folder of all that the server keeps. The server has its storage and warm. */
Boxes *boxes_start(const Server *server, const char *data, GError **error);
void boxes_stop(Boxes *boxes);
