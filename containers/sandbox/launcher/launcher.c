/* Gives an image's program a home that can be written to, and becomes that program.
 *
 *     launcher IMAGE_HOME HOME WORKING_DIRECTORY PROGRAM [ARGUMENT...]
 *
 * The root file system of an algorithm's container is read-only, and what its user's home holds (packages, weights,
 * settings) belongs to another user. So HOME becomes a folder in memory that looks like IMAGE_HOME: folders are real,
 * small files are copies, all others are symbolic links to the image's own files. Programs find and read what is there,
 * and create, change, rename and remove in HOME what they like; gigabytes of weights stay where they are. A package in
 * site-packages is one link. Level by level, so that settings, which lie near the top, get what there is to have; beyond MOST_ENTRIES, or MOST_PAGES of
 * memory, a folder becomes one link as a whole, and can only be read. What cannot be read or made is left out: a program that misses it says so
 * better than we could.
 *
 * A variable or working directory that is a folder below IMAGE_HOME becomes the one in HOME.
 *
 * It runs inside the sandbox as the algorithm's own user, can do nothing that the program could not do itself, and is
 * gone when the program begins. If that cannot be started, it says why on stderr and exits with 127 (not found) or 126.
 *
 * No libc: the image may have none, or any (see build.sh).
 */

#include "../nolibc.h"

enum { READ = 0, WRITE = 1, CLOSE = 3, FSTAT = 5, EXECVE = 59, CHDIR = 80, STATFS = 137, GETDENTS64 = 217 };
enum { OPENAT = 257, MKDIRAT = 258, NEWFSTATAT = 262, UNLINKAT = 263, SYMLINKAT = 266, READLINKAT = 267, UTIMENSAT = 280 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200 };
enum { O_WRONLY = 01, O_CREAT = 0100, O_EXCL = 0200, O_NONBLOCK = 04000 };
enum { O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000 };
enum { S_IFMT = 0170000, S_IFDIR = 0040000, S_IFREG = 0100000, S_IFLNK = 0120000 };
enum { ENOENT = 2, ENOEXEC = 8, EACCES = 13, ENOTDIR = 20 };
enum { NOT_FOUND = 127, CANNOT_EXECUTE = 126, WRONG_CALL = 2 };

enum { PATH_BYTES = 4096, TEXT_BYTES = 1 << 20, MOST_VARIABLES = 1024 };
enum { MOST_ENTRIES = 20000, MOST_FOLDERS = 4096, QUEUE_BYTES = 1 << 20 };
enum { LARGEST_COPY = 64 << 10 };
enum { MOST_PAGES = 2048, PART_OF_SPACE = 8, PAGE = 4096 };
enum { SHORT_LINK = 128 }; /* the target of a shorter one needs no page of a tmpfs */

struct status { /* struct stat of linux/amd64 */
    u64 device, inode, links;
    u32 mode, uid, gid, padding;
    u64 special_device;
    u64 size;
    u64 block_size, blocks;
    u64 accessed[2], modified[2], changed[2];
    u64 unused[3];
};

static const char *image_home, *home;
static u64 entries, pages_left;
static u8 listing[32768] __attribute__((aligned(8)));
static u8 block[LARGEST_COPY];

/* Folders of HOME, as paths below it, that are still empty. */
static char queue[QUEUE_BYTES];
static u64 queued_from, queued_to, folders;

static int has(const char *text, char letter)
{
    for (; *text; text++)
        if (*text == letter)
            return 1;
    return 0;
}

static void say(const char *text)
{
    call(WRITE, 2, (u64)text, length(text), 0);
}

/* Writes folder + "/" + name; 0 if that is too long. An empty part adds no slash. */
static int join(char *path, const char *folder, const char *name)
{
    u64 first = length(folder), second = length(name);
    if (first + second + 2 > PATH_BYTES)
        return 0;
    for (u64 i = 0; i < first; i++)
        path[i] = folder[i];
    if (second && (!first || folder[first - 1] != '/'))
        if (first)
            path[first++] = '/';
    for (u64 i = 0; i <= second; i++)
        path[first + i] = name[i];
    return 1;
}

/* What of an absolute path lies below IMAGE_HOME: "" for itself, 0 for what does not. */
static const char *below_image_home(const char *path)
{
    u64 count = length(image_home);
    if (count < 2)
        return 0; /* everything lies below / */
    for (u64 i = 0; i < count; i++)
        if (path[i] != image_home[i])
            return 0;
    if (path[count] && path[count] != '/')
        return 0;
    for (path += count; *path == '/';)
        path++;
    return path;
}

static int look(const char *path, int flags, struct status *status)
{
    return call(NEWFSTATAT, (u64)AT_FDCWD, (u64)path, (u64)status, (u64)flags) == 0;
}

static long open_folder(const char *path, int flags)
{
    return call(OPENAT, (u64)AT_FDCWD, (u64)path, (u64)(O_DIRECTORY | O_CLOEXEC | flags), 0);
}

/* --- HOME ---------------------------------------------------------------------------------------------------------- */

static int copy(const char *source, const char *target, const struct status *status)
{
    u64 size = 0;
    long in = call(OPENAT, (u64)AT_FDCWD, (u64)source, O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (in < 0)
        return 0;
    for (long got; size < sizeof block; size += (u64)got)
        if ((got = call(READ, (u64)in, (u64)(block + size), sizeof block - size, 0)) <= 0)
            break;
    call(CLOSE, (u64)in, 0, 0, 0);
    u64 mode = status->mode & 0111 ? 0700 : 0600;
    long out = call(OPENAT, (u64)AT_FDCWD, (u64)target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (out < 0)
        return 0;
    u64 written = 0;
    for (long put; written < size; written += (u64)put)
        if ((put = call(WRITE, (u64)out, (u64)(block + written), size - written, 0)) <= 0)
            break;
    call(CLOSE, (u64)out, 0, 0, 0);
    u64 times[4] = {status->modified[0], status->modified[1], status->modified[0], status->modified[1]};
    call(UTIMENSAT, (u64)AT_FDCWD, (u64)target, (u64)times, 0); /* Python trusts its caches by it */
    if (written == size && size == status->size)
        return 1;
    call(UNLINKAT, (u64)AT_FDCWD, (u64)target, 0, 0);
    return 0;
}

/* A link of the image, which points within HOME where it pointed within IMAGE_HOME. */
static void repeat_link(const char *source, const char *target)
{
    static char points_at[PATH_BYTES], moved[PATH_BYTES];
    const char *inside;
    long size = call(READLINKAT, (u64)AT_FDCWD, (u64)source, (u64)points_at, sizeof points_at - 1);
    if (size <= 0)
        return;
    points_at[size] = 0;
    inside = below_image_home(points_at);
    if (inside && join(moved, home, inside))
        call(SYMLINKAT, (u64)moved, (u64)AT_FDCWD, (u64)target, 0);
    else
        call(SYMLINKAT, (u64)points_at, (u64)AT_FDCWD, (u64)target, 0);
}

static int enqueue(const char *path)
{
    u64 size = length(path) + 1;
    if (folders == MOST_FOLDERS || queued_to + size > sizeof queue)
        return 0;
    for (u64 i = 0; i < size; i++)
        queue[queued_to++] = path[i];
    folders++;
    return 1;
}

/* Whether a folder holds installed packages of Python: tens of thousands of files that no program writes. */
static int holds_packages(const char *folder)
{
    const char *name = folder;
    for (; *folder; folder++)
        if (*folder == '/')
            name = folder + 1;
    return same(name, "site-packages") || same(name, "dist-packages");
}

static void add(const char *folder, const char *name)
{
    static char inside[PATH_BYTES], source[PATH_BYTES], target[PATH_BYTES];
    struct status status;
    if (!join(inside, folder, name) || !join(source, image_home, inside) || !join(target, home, inside))
        return;
    if (!look(source, AT_SYMLINK_NOFOLLOW, &status))
        return;
    u32 kind = status.mode & S_IFMT;
    if (kind == S_IFLNK)
        repeat_link(source, target);
    else if ((kind == S_IFREG || kind == S_IFDIR) && holds_packages(folder))
        call(SYMLINKAT, (u64)source, (u64)AT_FDCWD, (u64)target, 0);
    else if (kind == S_IFREG) {
        u64 pages = (status.size + PAGE - 1) / PAGE;
        if (status.size <= LARGEST_COPY && pages <= pages_left && copy(source, target, &status)) {
            pages_left -= pages;
        } else {
            call(SYMLINKAT, (u64)source, (u64)AT_FDCWD, (u64)target, 0);
            pages_left -= pages_left && length(source) >= SHORT_LINK;
        }
    } else if (kind == S_IFDIR && call(MKDIRAT, (u64)AT_FDCWD, (u64)target, 0700, 0) == 0 && !enqueue(inside)) {
        call(UNLINKAT, (u64)AT_FDCWD, (u64)target, AT_REMOVEDIR, 0);
        call(SYMLINKAT, (u64)source, (u64)AT_FDCWD, (u64)target, 0);
    }
}

/* Whether an entry is to be taken over. Of / itself only what a home would hold there. */
static int wanted(const char *folder, const char *name)
{
    if (same(name, ".") || same(name, ".."))
        return 0;
    if (*folder || length(image_home) > 1)
        return 1;
    return name[0] == '.' && !same(name, ".dockerenv") && !same(name, ".rexgrounding");
}

/* Calls `add` for each entry, or only counts them. */
static u64 list(long directory, const char *folder, int adding)
{
    u64 count = 0;
    long size;
    while ((size = call(GETDENTS64, (u64)directory, (u64)listing, sizeof listing, 0)) > 0)
        for (long at = 0; at < size; at += *(u16 *)(listing + at + 16)) {
            const char *name = (const char *)(listing + at + 19);
            if (!wanted(folder, name))
                continue;
            if (++count > MOST_ENTRIES)
                return count;
            if (adding)
                add(folder, name);
        }
    return count;
}

static void fill(const char *folder)
{
    static char source[PATH_BYTES], target[PATH_BYTES];
    if (!join(source, image_home, folder) || !join(target, home, folder))
        return;
    long directory = open_folder(source, *folder ? O_NOFOLLOW : 0);
    if (directory < 0)
        return;
    u64 count = list(directory, folder, 0);
    call(CLOSE, (u64)directory, 0, 0, 0);
    if (*folder && (!pages_left || entries + count > MOST_ENTRIES)) {
        call(UNLINKAT, (u64)AT_FDCWD, (u64)target, AT_REMOVEDIR, 0);
        call(SYMLINKAT, (u64)source, (u64)AT_FDCWD, (u64)target, 0);
        return;
    }
    entries += count;
    directory = open_folder(source, *folder ? O_NOFOLLOW : 0);
    if (directory >= 0)
        list(directory, folder, 1);
    call(CLOSE, (u64)directory, 0, 0, 0);
}

/* How many pages the files and long links of the home may take: most of the space is the program's. */
static u64 pages_of_home(void)
{
    u64 status[15]; /* struct statfs: type, bsize, blocks, bfree, bavail, ... */
    if (call(STATFS, (u64)home, (u64)status, 0, 0) < 0)
        return 0;
    u64 part = status[4] * status[1] / PAGE / PART_OF_SPACE;
    return part < MOST_PAGES ? part : MOST_PAGES;
}

static void make_home(void)
{
    call(MKDIRAT, (u64)AT_FDCWD, (u64)home, 0700, 0);
    pages_left = pages_of_home();
    if (image_home[0] != '/' || below_image_home(home))
        return;
    fill("");
    while (queued_from < queued_to) {
        const char *folder = queue + queued_from;
        queued_from += length(folder) + 1;
        fill(folder);
    }
}

/* --- Variables and working directory ------------------------------------------------------------------------------- */

/* The folder of HOME that stands for `path`, written to `moved`; 0 if `path` is no folder below IMAGE_HOME. */
static int move(const char *path, char *moved)
{
    struct status status;
    const char *inside = below_image_home(home) ? 0 : below_image_home(path); /* HOME itself stays where it is */
    return inside && join(moved, home, inside) && look(moved, 0, &status) && (status.mode & S_IFMT) == S_IFDIR;
}

static void move_variables(char **variables)
{
    static char texts[TEXT_BYTES], moved[PATH_BYTES];
    u64 used = 0;
    for (u64 i = 0; variables[i] && i < MOST_VARIABLES; i++) {
        char *value = variables[i];
        while (*value && *value != '=')
            value++;
        u64 name = (u64)(value - variables[i]) + 1;
        if (!*value || has(value + 1, ':') || !move(value + 1, moved))
            continue;
        u64 size = length(moved) + 1;
        if (used + name + size > sizeof texts)
            return;
        char *text = texts + used;
        for (u64 at = 0; at < name; at++)
            text[at] = variables[i][at];
        for (u64 at = 0; at < size; at++)
            text[name + at] = moved[at];
        used += name + size;
        variables[i] = text;
    }
}

static void enter(const char *folder)
{
    static char moved[PATH_BYTES];
    if (!move(folder, moved) || call(CHDIR, (u64)moved, 0, 0, 0) < 0)
        call(CHDIR, (u64)folder, 0, 0, 0);
}

/* --- The program --------------------------------------------------------------------------------------------------- */

static const char *variable(char **variables, const char *name)
{
    u64 count = length(name);
    for (; *variables; variables++) {
        u64 i = 0;
        while (i < count && (*variables)[i] == name[i])
            i++;
        if (i == count && (*variables)[i] == '=')
            return *variables + count + 1;
    }
    return 0;
}

/* Says what is wrong with a file that exists but whose interpreter does not, as its first line has it. */
static void say_interpreter(const char *path)
{
    char *line = (char *)block;
    long file = call(OPENAT, (u64)AT_FDCWD, (u64)path, O_NONBLOCK | O_CLOEXEC, 0);
    long size = file < 0 ? 0 : call(READ, (u64)file, (u64)line, 255, 0);
    call(CLOSE, (u64)file, 0, 0, 0);
    if (size < 3 || line[0] != '#' || line[1] != '!') {
        say(": the file is there, but the loader or library that it was built for is not\n");
        return;
    }
    u64 end = 0;
    while (end < (u64)size && line[end] != '\n')
        end++;
    int windows = line[end - 1] == '\r';
    line[windows ? end - 1 : end] = 0;
    say(": the program of its first line, ");
    say(line + 2);
    say(windows ? ", is followed by a carriage return: save the file with Unix line ends (LF, not CRLF)\n"
                : ", was not found\n");
}

__attribute__((noreturn)) static void refuse(const char *path, long error)
{
    struct status status;
    say("The image's program could not be started: ");
    say(path);
    if (error == -ENOENT && has(path, '/') && look(path, 0, &status))
        say_interpreter(path);
    else if (error == -ENOENT || error == -ENOTDIR)
        say(has(path, '/') ? ": no such file\n" : ": not found in PATH\n");
    else if (error == -EACCES)
        say(": permission denied: it is no executable file, or may not be run by other users\n");
    else if (error == -ENOEXEC)
        say(": it is no program for linux/amd64, or a script without a first line such as #!/bin/sh\n");
    else
        say(": the system refuses it\n");
    leave(error == -ENOENT || error == -ENOTDIR ? NOT_FOUND : CANNOT_EXECUTE);
}

__attribute__((noreturn)) static void become(const char *program, char **arguments, char **variables)
{
    static char path[PATH_BYTES], folder[PATH_BYTES];
    if (has(program, '/'))
        refuse(program, call(EXECVE, (u64)program, (u64)arguments, (u64)variables, 0));
    long error = -ENOENT;
    const char *at = variable(variables, "PATH");
    for (at = at ? at : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; *program;) {
        u64 size = 0;
        while (at[size] && at[size] != ':' && size < sizeof folder - 1) {
            folder[size] = at[size];
            size++;
        }
        folder[size] = 0;
        if (join(path, size ? folder : ".", program)) {
            long tried = call(EXECVE, (u64)path, (u64)arguments, (u64)variables, 0);
            struct status status;
            if (tried == -ENOENT && look(path, 0, &status))
                refuse(path, tried);
            if (tried != -ENOENT && tried != -ENOTDIR && error == -ENOENT)
                error = tried;
        }
        if (!at[size])
            break;
        at += size + 1;
    }
    refuse(program, error);
}

__attribute__((noreturn, used)) void run(u64 *stack)
{
    u64 count = stack[0];
    char **arguments = (char **)(stack + 1);
    char **variables = arguments + count + 1;
    if (count < 5)
        leave(WRONG_CALL);
    image_home = arguments[1];
    home = arguments[2];
    make_home();
    move_variables(variables);
    enter(arguments[3]);
    become(arguments[4], arguments + 4, variables);
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
