#include "cli/nameapi.h"

#include <ingot/error.h>

#include "base/json.h"
#include "remote/api.h"
#include "remote/environment.h"

json_t *name_api_ask(const char *where, const char *method, const char *what, const json_t *body, guint *status,
                     GError **error)
{
    g_autoptr(IngotReference) name = cli_remote_reference(where, error);
    if (name == NULL) {
        return NULL;
    }
    if (name->tag != NULL || name->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST/NAME is expected", where);
        return NULL;
    }
    g_autoptr(IngotRemote) remote = environment_remote(name->host, error);
    g_autofree char *path = g_strdup_printf("%s/%s", name->name, what);
    return remote == NULL ? NULL : remote_api(remote, method, path, body, status, error);
}
