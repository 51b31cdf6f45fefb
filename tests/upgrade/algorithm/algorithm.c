/* An algorithm image's only file: marks a cube whose place follows from the case, so that a mask that ends up at another
 * case, or comes from another image, shows in its score.
 *
 *     algorithm segment|skip|crash MILLISECONDS SHIFT [INPUT OUTPUT]
 *
 * segment: writes a mask for each case of cases.json, in their order, MILLISECONDS after the one before.
 * skip: the same, but leaves out the cases whose cube would begin at 0.
 * crash: ends with an error at the first case.
 *
 * The volume is not unpacked: what decides is the check sum at the end of the gzip file, which is that of its content.
 * The cube reaches from 4 to 8 along two axes; along the first it begins at (check sum + SHIFT) % 6 and is 6 long. The
 * volume must be 16 voxels a side and have one finding. No libc, so that the image is this one file (see build.sh).
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum { READ = 0, WRITE = 1, OPEN = 2, CLOSE = 3, LSEEK = 8, NANOSLEEP = 35, EXIT = 60, RENAME = 82 };
enum { O_RDONLY = 0, O_WRONLY = 1, O_CREAT = 0100, SEEK_END = 2 };
enum { SIDE = 16, HEADER = 352, FROM = 4, TO = 8, LONG = 6, PLACES = 6 };
enum { SIZE = HEADER + SIDE * SIDE * SIDE, PATH = 1024 };

static u8 mask[SIZE];
static char cases[1 << 16], volume[PATH], partial[PATH], result[PATH];

static long call(long number, u64 a, u64 b, u64 c)
{
    long answer;
    __asm__ volatile("syscall" : "=a"(answer) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return answer;
}

__attribute__((noreturn)) static void leave(int code)
{
    for (;;)
        call(EXIT, (u64)code, 0, 0);
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static u64 number(const char *text)
{
    u64 value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (u64)(*text - '0');
    return value;
}

static void join(char *path, const char *a, const char *b, const char *c)
{
    const char *parts[] = {a, b, c};
    u64 at = 0;
    for (int i = 0; i < 3; i++)
        for (const char *next = parts[i]; *next; next++) {
            if (at == PATH - 1)
                leave(1);
            path[at++] = *next;
        }
    path[at] = 0;
}

static long opened(const char *path, u64 flags)
{
    long file = call(OPEN, (u64)path, flags, 0644);
    if (file < 0)
        leave(1);
    return file;
}

static void put(long file, const void *data, u64 size)
{
    if (call(WRITE, (u64)file, (u64)data, size) != (long)size)
        leave(1);
}

/* The first byte of the check sum of what the gzip file holds. */
static u8 check_sum(const char *path)
{
    u8 first;
    long file = opened(path, O_RDONLY);
    if (call(LSEEK, (u64)file, (u64)-8, SEEK_END) < 0 || call(READ, (u64)file, (u64)&first, 1) != 1)
        leave(1);
    call(CLOSE, (u64)file, 0, 0);
    return first;
}

/* A NIfTI-1 header for u8 voxels of 1 mm, [finding, x, y, z], and the cube. */
static void draw(u64 start)
{
    u16 *words = (u16 *)mask;
    float *floats = (float *)mask;
    for (u64 i = 0; i < SIZE; i++)
        mask[i] = 0;
    *(u32 *)mask = 348;
    words[20] = 4, words[21] = 1, words[22] = words[23] = words[24] = SIDE, words[25] = words[26] = words[27] = 1;
    words[35] = 2, words[36] = 8;
    for (int i = 19; i < 27; i++)
        floats[i] = 1;
    floats[27] = HEADER;
    mask[344] = 'n', mask[345] = '+', mask[346] = '1';
    for (u64 z = FROM; z <= TO; z++)
        for (u64 y = FROM; y <= TO; y++)
            for (u64 x = start; x < start + LONG; x++)
                mask[HEADER + x + SIDE * (y + SIDE * z)] = 1;
}

static u32 crc32_of_mask(void)
{
    u32 crc = ~0U;
    for (u64 i = 0; i < SIZE; i++) {
        crc ^= mask[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

/* The mask as gzip, in one block that is stored as it is; under its name when it is whole. */
static void write_mask(void)
{
    static const u8 head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, SIZE & 255, SIZE >> 8, ~SIZE & 255, ~SIZE >> 8 & 255};
    u32 tail[] = {crc32_of_mask(), SIZE};
    long file = opened(partial, O_WRONLY | O_CREAT);
    put(file, head, sizeof head);
    put(file, mask, SIZE);
    put(file, tail, sizeof tail);
    call(CLOSE, (u64)file, 0, 0);
    if (call(RENAME, (u64)partial, (u64)result, 0) < 0)
        leave(1);
}

/* Ends the next case's name with a zero and returns it; 0 after the last. */
static char *next_name(char **at)
{
    static const char key[] = "\"name\"";
    for (char *next = *at; *next; next++) {
        u64 i = 0;
        while (key[i] && next[i] == key[i])
            i++;
        if (key[i])
            continue;
        for (next += i; *next == ' ' || *next == ':'; next++)
            ;
        char *name = ++next;
        while (*next && *next != '"')
            next++;
        *next = 0;
        *at = next + 1;
        return name;
    }
    return 0;
}

__attribute__((noreturn, used)) void run(u64 *stack)
{
    u64 count = stack[0];
    char **arguments = (char **)(stack + 1);
    if (count != 4 && count != 6)
        leave(2);
    const char *act = arguments[1], *input = "/input", *output = "/output";
    u64 milliseconds = number(arguments[2]), shift = number(arguments[3]);
    u64 pause[] = {milliseconds / 1000, milliseconds % 1000 * 1000000}; /* struct timespec */
    if (count == 6)
        input = arguments[4], output = arguments[5];
    join(volume, input, "/cases.json", "");
    if (call(READ, (u64)opened(volume, O_RDONLY), (u64)cases, sizeof cases - 1) <= 0 || same(act, "crash"))
        leave(1);
    char *at = cases;
    for (char *name; (name = next_name(&at));) {
        call(NANOSLEEP, (u64)pause, 0, 0);
        join(volume, input, "/images/", name);
        join(partial, output, "/partial-", name);
        join(result, output, "/", name);
        u64 start = (check_sum(volume) + shift) % PLACES;
        if (start == 0 && same(act, "skip"))
            continue;
        draw(start);
        write_mask();
    }
    leave(0);
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
