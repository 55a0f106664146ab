#include "system/channel.h"

#include <glib.h>
#include <libnbd.h>
#include <string.h>

typedef struct {
    struct nbd_handle *handle;
    guint64 offset;
} Private;

static errcode_t last_error(void)
{
    int number = nbd_get_errno();
    return number != 0 ? number : EIO;
}

static errcode_t channel_open(const char *name, int flags, io_channel *channel)
{
    (void)flags;
    struct nbd_handle *handle = nbd_create();
    if (handle == NULL || nbd_connect_uri(handle, name) != 0) {
        errcode_t code = last_error();
        nbd_close(handle);
        return code;
    }
    Private *own = g_new0(Private, 1);
    own->handle = handle;
    /* Freed by channel_close alone, and g_malloc's memory is malloc's. */
    io_channel io = g_new0(struct struct_io_channel, 1);
    io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    io->manager = channel_nbd_manager;
    io->name = g_strdup(name);
    io->block_size = 1024;
    io->refcount = 1;
    io->private_data = own;
    *channel = io;
    return 0;
}

static errcode_t channel_close(io_channel channel)
{
    if (--channel->refcount > 0) {
        return 0;
    }
    Private *own = channel->private_data;
    errcode_t code = nbd_shutdown(own->handle, 0) == 0 ? 0 : last_error();
    nbd_close(own->handle);
    g_free(own);
    g_free(channel->name);
    g_free(channel);
    return code;
}

static errcode_t channel_set_blksize(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

/* libext2fs counts in blocks, or in bytes where the count is negative. */
static gsize bytes_of(io_channel channel, int count)
{
    return count < 0 ? (gsize)-count : (gsize)count * (gsize)channel->block_size;
}

static guint64 place_of(io_channel channel, unsigned long long block)
{
    const Private *own = channel->private_data;
    return own->offset + block * (guint64)channel->block_size;
}

static errcode_t channel_read_blk64(io_channel channel, unsigned long long block, int count, void *data)
{
    Private *own = channel->private_data;
    return nbd_pread(own->handle, data, bytes_of(channel, count), place_of(channel, block), 0) == 0 ? 0 : last_error();
}

static errcode_t channel_write_blk64(io_channel channel, unsigned long long block, int count, const void *data)
{
    Private *own = channel->private_data;
    return nbd_pwrite(own->handle, data, bytes_of(channel, count), place_of(channel, block), 0) == 0 ? 0 : last_error();
}

static errcode_t channel_read_blk(io_channel channel, unsigned long block, int count, void *data)
{
    return channel_read_blk64(channel, block, count, data);
}

static errcode_t channel_write_blk(io_channel channel, unsigned long block, int count, const void *data)
{
    return channel_write_blk64(channel, block, count, data);
}

static errcode_t channel_write_byte(io_channel channel, unsigned long offset, int count, const void *data)
{
    Private *own = channel->private_data;
    return nbd_pwrite(own->handle, data, (gsize)count, own->offset + offset, 0) == 0 ? 0 : last_error();
}

static errcode_t channel_zeroout(io_channel channel, unsigned long long block, unsigned long long count)
{
    Private *own = channel->private_data;
    guint64 size = count * (guint64)channel->block_size;
    return nbd_zero(own->handle, size, place_of(channel, block), 0) == 0 ? 0 : last_error();
}

static errcode_t channel_flush(io_channel channel)
{
    Private *own = channel->private_data;
    return nbd_flush(own->handle, 0) == 0 ? 0 : last_error();
}

static errcode_t channel_set_option(io_channel channel, const char *option, const char *value)
{
    Private *own = channel->private_data;
    if (strcmp(option, "offset") != 0 || value == NULL) {
        return EXT2_ET_INVALID_ARGUMENT;
    }
    return g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64, &own->offset, NULL) ? 0 : EXT2_ET_INVALID_ARGUMENT;
}

static struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "a disk behind NBD",
    .open = channel_open,
    .close = channel_close,
    .set_blksize = channel_set_blksize,
    .read_blk = channel_read_blk,
    .write_blk = channel_write_blk,
    .flush = channel_flush,
    .write_byte = channel_write_byte,
    .set_option = channel_set_option,
    .read_blk64 = channel_read_blk64,
    .write_blk64 = channel_write_blk64,
    .zeroout = channel_zeroout,
};

io_manager channel_nbd_manager = &manager;
