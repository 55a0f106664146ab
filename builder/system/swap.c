#include "system/swap.h"

#include <ingot/error.h>
#include <string.h>

#include "system/zero.h"

#define SIGNATURE "SWAPSPACE2" /* the last ten bytes of the first page */
#define SIGNATURE_SIZE 10

static const char *const hibernated[] = {"S1SUSPEND\0", "S2SUSPEND\0", "ULSUSPEND\0", "LINHIB0001"};

gsize swap_header(void *head, gsize size)
{
    for (gsize page = 4096; page <= MIN(size, SWAP_HEAD); page *= 2) {
        char *mark = (char *)head + page - SIGNATURE_SIZE;
        gboolean found = memcmp(mark, SIGNATURE, SIGNATURE_SIZE) == 0;
        for (guint i = 0; !found && i < G_N_ELEMENTS(hibernated); i++) {
            found = memcmp(mark, hibernated[i], SIGNATURE_SIZE) == 0;
        }
        if (found) {
            memcpy(mark, SIGNATURE, SIGNATURE_SIZE);
            return page;
        }
    }
    return 0;
}

gboolean swap_wipe(IngotNbd *disk, guint64 offset, guint64 size, GError **error)
{
    g_autofree char *head = g_malloc0(SWAP_HEAD);
    gsize read = (gsize)MIN(size, SWAP_HEAD);
    if (!ingot_nbd_read(disk, offset, head, read, error)) {
        return FALSE;
    }
    gsize page = swap_header(head, read);
    if (page == 0) {
        return TRUE;
    }
    if (nbd_pwrite(ingot_nbd_handle(disk), head, page, offset, 0) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "wiping swap space: %s", nbd_get_error());
        return FALSE;
    }
    return zero_range(disk, offset + page, offset + size, error);
}
