/* Keeps an output volume alive, says which expected files have appeared in it, and hands them over in the end.
 *
 *     holder watch DIRECTORY NAME...
 *     holder dump DIRECTORY BYTES NAME...
 *
 * A tmpfs volume is emptied when its last container stops. This program is the one process of a container of ours that
 * shares the volume with the algorithm's container and outlives it, so that the results outlive it too.
 *
 * watch: every 50 ms it looks whether the next expected name exists, and prints the name's index, one per line, in order,
 * each once. A name's existence is all it looks at: no link is followed, nothing is opened, so nothing that a hostile
 * algorithm puts there can mislead it. A volume without a free page or inode is said with the line "full", at most once
 * per name. Exits 0 on SIGTERM.
 *
 * dump: run in the same container when the algorithm is dead. Writes records, each a letter and a name that ends with 0:
 *     F   a regular file with one link; 8 bytes of size (little endian) and the content follow
 *     N   an expected name that is no such file, or cannot be opened
 *     B   an expected file with which all files together would exceed BYTES
 *     X   another file, D another folder, in DIRECTORY itself
 *     L   (no name) the volume is full
 *     E   (no name) the end, without which the dump is incomplete
 *
 * No libc, so that the image is this one file (see build.sh).
 */

#include "../nolibc.h"

enum { READ = 0, WRITE = 1, CLOSE = 3, FSTAT = 5, RT_SIGPROCMASK = 14, SENDFILE = 40 };
enum { RT_SIGTIMEDWAIT = 128, FSTATFS = 138, GETDENTS64 = 217, OPENAT = 257, NEWFSTATAT = 262 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, SIG_BLOCK = 0, SIGTERM = 15 };
enum { O_NONBLOCK = 04000, O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_PATH = 010000000 };
enum { S_IFMT = 0170000, S_IFREG = 0100000, DT_DIR = 4 };

struct status { /* struct stat of linux/amd64 */
    u64 device, inode, links;
    u32 mode, uid, gid, padding;
    u64 special_device;
    u64 size;
    u64 rest[11];
};

static const u64 sigterm = 1UL << (SIGTERM - 1);
static const u64 tick[2] = {0, 50 * 1000 * 1000}; /* struct timespec */

static void put(const void *data, u64 size)
{
    const u8 *next = data;
    while (size) {
        long written = call(WRITE, 1, (u64)next, size, 0);
        if (written <= 0)
            leave(1);
        next += written;
        size -= (u64)written;
    }
}

static void put_record(char kind, const char *name)
{
    put(&kind, 1);
    put(name, length(name) + 1);
}

static void put_index(u64 index)
{
    char text[24];
    char *start = text + sizeof text;
    *--start = '\n';
    do
        *--start = (char)('0' + index % 10);
    while (index /= 10);
    put(start, (u64)(text + sizeof text - start));
}

static int is_full(long directory)
{
    u64 status[15]; /* struct statfs: type, bsize, blocks, bfree, bavail, files, ffree, ... */
    if (call(FSTATFS, (u64)directory, (u64)status, 0, 0) < 0)
        return 0;
    return status[4] == 0 || (status[5] != 0 && status[6] == 0);
}

static int look(long directory, const char *name, struct status *status)
{
    return call(NEWFSTATAT, (u64)directory, (u64)name, (u64)status, AT_SYMLINK_NOFOLLOW) == 0;
}

static void watch(long directory, char **names, u64 count)
{
    struct status status;
    u64 next = 0;
    int said_full = 0;
    call(RT_SIGPROCMASK, SIG_BLOCK, (u64)&sigterm, 0, sizeof sigterm);
    do {
        for (; next < count && look(directory, names[next], &status); next++, said_full = 0)
            put_index(next);
        if (!said_full && is_full(directory)) {
            said_full = 1;
            put("full\n", 5);
        }
    } while (call(RT_SIGTIMEDWAIT, (u64)&sigterm, 0, (u64)tick, sizeof sigterm) != SIGTERM);
}

/* Writes one expected file, and returns what is left of the bytes that all files together may have. */
static u64 dump_file(long directory, const char *name, u64 left)
{
    struct status status;
    long file = -1;
    if (!look(directory, name, &status))
        return left;
    if ((status.mode & S_IFMT) == S_IFREG && status.links == 1)
        file = call(OPENAT, (u64)directory, (u64)name, O_NOFOLLOW | O_NONBLOCK, 0);
    if (file < 0 || call(FSTAT, (u64)file, (u64)&status, 0, 0) < 0) {
        put_record('N', name);
    } else if (status.size > left) {
        put_record('B', name);
    } else {
        put_record('F', name);
        put(&status.size, 8);
        left -= status.size;
        for (long sent; status.size; status.size -= (u64)sent)
            if ((sent = call(SENDFILE, 1, (u64)file, 0, status.size)) <= 0)
                leave(1);
    }
    call(CLOSE, (u64)file, 0, 0, 0);
    return left;
}

static int expected(const char *name, char **names, u64 count)
{
    for (u64 i = 0; i < count; i++)
        if (same(name, names[i]))
            return 1;
    return same(name, ".") || same(name, "..");
}

static void dump_others(long directory, char **names, u64 count)
{
    u8 entries[8192] __attribute__((aligned(8)));
    long size;
    while ((size = call(GETDENTS64, (u64)directory, (u64)entries, sizeof entries, 0)) > 0)
        for (long at = 0; at < size; at += *(u16 *)(entries + at + 16)) {
            const char *name = (const char *)(entries + at + 19);
            if (!expected(name, names, count))
                put_record(entries[at + 18] == DT_DIR ? 'D' : 'X', name);
        }
}

static void dump(long directory, const char *bytes, char **names, u64 count)
{
    u64 left = 0;
    for (; *bytes >= '0' && *bytes <= '9'; bytes++)
        left = left * 10 + (u64)(*bytes - '0');
    for (u64 i = 0; directory >= 0 && i < count; i++)
        left = dump_file(directory, names[i], left);
    if (directory >= 0)
        dump_others(directory, names, count);
    if (directory >= 0 && is_full(directory))
        put("L", 1);
    put("E", 1);
}

__attribute__((noreturn, used)) void run(u64 *stack)
{
    u64 count = stack[0];
    char **arguments = (char **)(stack + 1);
    int watching = count >= 3 && same(arguments[1], "watch");
    if (!watching && (count < 4 || !same(arguments[1], "dump")))
        leave(2);
    int flags = watching ? O_PATH | O_DIRECTORY : O_DIRECTORY;
    long directory = call(OPENAT, (u64)AT_FDCWD, (u64)arguments[2], (u64)flags, 0);
    if (!watching)
        dump(directory, arguments[3], arguments + 4, count - 4);
    else if (directory < 0)
        leave(1);
    else
        watch(directory, arguments + 3, count - 3);
    leave(0);
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
