#include "server/boxes/boxes.h"

#include "server/boxes/boxfiles.h"
#include "server/boxes/boxlist.h"
#include "server/boxes/boxqueue.h"

Boxes *boxes_start(const Server *server, const char *data, GError **error)
{
    Boxes *boxes = g_new0(Boxes, 1);
    boxes->lists = boxlists_new();
    boxes->files = boxfiles_open(data, error);
    boxes->queue = boxes->files == NULL ? NULL : boxqueue_start(server, boxes->files, error);
    if (boxes->queue == NULL) {
        boxes_stop(boxes);
        return NULL;
    }
    return boxes;
}

void boxes_stop(Boxes *boxes)
{
    if (boxes != NULL) {
        boxqueue_stop(boxes->queue);
        boxfiles_free(boxes->files);
        boxlists_free(boxes->lists);
        g_free(boxes);
    }
}
