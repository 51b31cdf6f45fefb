/* The loops of the scoring that NumPy can only do in many passes, compiled: see evaluation/kernel/__init__.py.

   Everything here is done on runs (evaluation/masks/run_lengths.py): sorted, disjoint, half-open intervals of 32-bit
   voxel positions h + H * (w + W * d) that never cross the end of a row. No function allocates memory: results go into
   arrays that the caller made, and no index leaves them. What a function takes for granted of the numbers (that runs are
   sorted, that a label is one of the table's) its caller has made so; what comes out of a file is only ever looked at in
   `scan`. Every loop moves a cursor forwards through an array or counts to a length that was given.

   Python's limited API of version 3.11: one build serves every later Python. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef KERNEL_SOURCE
#define KERNEL_SOURCE ""
#endif

/* --- buffers ------------------------------------------------------------------------------------------------------ */

/* How many elements a buffer holds. */
#define COUNT(buffer, type) ((buffer).len / (Py_ssize_t)sizeof(type))

static void release(Py_buffer *buffers, int count)
{
    for (int i = 0; i < count; i++)
        PyBuffer_Release(&buffers[i]);
}

static PyObject *refuse(Py_buffer *buffers, int count, const char *why)
{
    release(buffers, count);
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

/* The library that inflates leaves the upper halves of wide registers in use, and until somebody says that they are not,
   all older instructions on registers take twice as long. */
static inline int release_registers(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper");
#endif
    return 1;
}

#define PARSE(...) (release_registers() && PyArg_ParseTuple(__VA_ARGS__))

static inline uint64_t word_at(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* --- scan: from voxels to runs ------------------------------------------------------------------------------------ */

#define LINE 64
#define BLOCK (8 * LINE)

/* Whether the bytes from here on, a multiple of a line, are all zero: with registers of 16 bytes. */
static inline int are_zero(const uint8_t *bytes, int count)
{
    typedef uint64_t Pair __attribute__((vector_size(16)));
    Pair any[4] = {{0}, {0}, {0}, {0}};
    for (int k = 0; k < count; k += LINE)
        for (int lane = 0; lane < 4; lane++) {
            Pair pair;
            memcpy(&pair, bytes + k + 16 * lane, sizeof pair);
            any[lane] |= pair;
        }
    any[0] |= any[1] | any[2] | any[3];
    return !(any[0][0] | any[0][1]);
}

/* A place from `i` on before which all is zero: of the first byte that is not, of one up to seven before it, or near
   the end. */
static Py_ssize_t skip_zeros(const uint8_t *data, Py_ssize_t i, Py_ssize_t n)
{
    while (i + BLOCK <= n && are_zero(data + i, BLOCK))
        i += BLOCK;
    while (i + LINE <= n && are_zero(data + i, LINE))
        i += LINE;
    while (i + 8 <= n && word_at(data + i) == 0)
        i += 8;
    return i;
}

/* Division by a number that is not known before, as a multiplication: exact below 2^64 / divisor. */
typedef struct {
    uint32_t divisor;
    uint64_t inverse;
} Divisor;

static Divisor divisor_of(uint32_t divisor)
{
    return (Divisor){divisor, divisor == 1 ? 0 : ~UINT64_C(0) / divisor + 1};
}

static inline uint64_t divided(uint64_t number, Divisor by)
{
    return by.inverse ? (uint64_t)(((unsigned __int128)number * by.inverse) >> 64) : number;
}

/* Of each finding: the run that is open, and those that were found, in columns of its own. */
typedef struct {
    int32_t *open_start;
    uint8_t *open_value; /* 0: no run is open */
    int32_t *start, *stop;
    uint8_t *value;
    int64_t *used;
    Py_ssize_t capacity;
    Divisor findings, height;
    int binarise;
    int open; /* runs that are */
} Scan;

/* End the open run of a finding before `position`, a piece for each row. 0 when there is no place for a piece. */
static inline int close_run(Scan *scan, uint32_t finding, int32_t position)
{
    int32_t start = scan->open_start[finding];
    int64_t height = scan->height.divisor, used = scan->used[finding];
    int64_t end = ((int64_t)divided((uint64_t)start, scan->height) + 1) * height;
    while (start < position) {
        if (end > position)
            end = position;
        if (used == scan->capacity) {
            scan->open_start[finding] = start;
            scan->used[finding] = used;
            return 0;
        }
        int64_t place = finding * scan->capacity + used++;
        scan->start[place] = start;
        scan->stop[place] = (int32_t)end;
        scan->value[place] = scan->open_value[finding];
        start = (int32_t)end;
        end += height;
    }
    scan->used[finding] = used;
    scan->open_value[finding] = 0;
    scan->open--;
    return 1;
}

/* A voxel that may differ from its predecessor along H. 0 when there is no place for what ends here. */
static inline int voxel(Scan *scan, uint64_t place, uint8_t before, uint8_t after)
{
    if (scan->binarise) {
        before = before != 0;
        after = after != 0;
    }
    if (before == after)
        return 1;
    uint64_t position = divided(place, scan->findings);
    uint32_t finding = (uint32_t)(place - position * scan->findings.divisor);
    if (scan->open_value[finding] && !close_run(scan, finding, (int32_t)position))
        return 0;
    if (after) {
        scan->open_start[finding] = (int32_t)position;
        scan->open_value[finding] = after;
        scan->open++;
    }
    return 1;
}

PyDoc_STRVAR(scan_doc,
    "scan(data, tail, open_start, open_value, start, stop, value, used, first, height, binarise) -> consumed\n\n"
    "Finds the runs among the bytes `data`, whose first is the voxel number `first` of the stream; `tail` are the F bytes\n"
    "before it. Runs that end go into the three tables of a row for each finding, behind those `used`; when a row is\n"
    "full, the rest of the bytes is not consumed. `open_start` and `open_value` keep the F runs that are still open; F\n"
    "zeros at the end close all.");

static PyObject *scan(PyObject *self, PyObject *args)
{
    Py_buffer b[8];
    Py_ssize_t height;
    unsigned long long first;
    int binarise;
    if (!PARSE(args, "y*w*w*w*w*w*w*w*Knp", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6], &b[7], &first,
                          &height, &binarise))
        return NULL;
    const uint8_t *data = b[0].buf;
    uint8_t *tail = b[1].buf;
    Py_ssize_t n = b[0].len, findings = b[1].len;
    if (findings < 1 || findings > UINT16_MAX || COUNT(b[2], int32_t) != findings || b[3].len != findings ||
        COUNT(b[7], int64_t) != findings || b[5].len != b[4].len || b[6].len != COUNT(b[4], int32_t))
        return refuse(b, 8, "scan: the columns do not fit together");
    if (height < 1 || height > INT32_MAX || first > (uint64_t)INT32_MAX * (uint64_t)findings ||
        (uint64_t)n > (uint64_t)INT32_MAX * (uint64_t)findings - first)
        return refuse(b, 8, "scan: too many voxels");
    Scan s = {b[2].buf, b[3].buf, b[4].buf, b[5].buf, b[6].buf, b[7].buf, b[6].len / findings, {0, 0}, {0, 0}, binarise, 0};
    s.findings = divisor_of((uint32_t)findings);
    s.height = divisor_of((uint32_t)height);
    for (Py_ssize_t f = 0; f < findings; f++) {
        if (s.used[f] < 0 || s.used[f] > s.capacity)
            return refuse(b, 8, "scan: more is used than there is");
        s.open += s.open_value[f] != 0;
    }

    Py_ssize_t i = 0;
    for (; i < n && i < findings; i++)
        if (!voxel(&s, first + (uint64_t)i, tail[i], data[i]))
            goto full;
    while (i < n) {
        if (s.open == 0)
            i = skip_zeros(data, i, n);
        /* Where eight voxels are like their predecessors, they are passed over at once. */
        uint64_t differ = 0;
        while (i + 8 <= n && (differ = word_at(data + i) ^ word_at(data + i - findings)) == 0)
            i += 8;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        if (differ)
            i += __builtin_ctzll(differ) >> 3;
#endif
        if (i < n && !voxel(&s, first + (uint64_t)i, data[i - findings], data[i]))
            goto full;
        i += i < n;
    }
full:
    if (i >= findings)
        memcpy(tail, data + i - findings, (size_t)findings);
    else {
        memmove(tail, tail + i, (size_t)(findings - i));
        memcpy(tail + findings - i, data, (size_t)i);
    }
    release(b, 8);
    return PyLong_FromSsize_t(i);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

typedef struct {
    const int32_t *start, *stop;
    Py_ssize_t n;
    int32_t height, width;
} Runs;

/* Where a run lies; asked for ascending positions it divides only where a row begins. */
typedef struct {
    int64_t begin, end;  /* of the row, as positions */
    int32_t w, d;
} Row;

static inline void row_of(Row *row, int32_t position, int32_t height, int32_t width)
{
    if (position < row->end && position >= row->begin)
        return;
    int32_t number = position / height;
    row->begin = (int64_t)number * height;
    row->end = row->begin + height;
    row->d = number / width;
    row->w = number - row->d * width;
}

static const Row NOWHERE = {0, 0, 0, 0};

static int are_runs(const Py_buffer *start, const Py_buffer *stop, Py_ssize_t height, Py_ssize_t width)
{
    return start->len == stop->len && height >= 1 && height <= INT32_MAX && width >= 1 && width <= INT32_MAX;
}

/* --- components --------------------------------------------------------------------------------------------------- */

static inline int32_t root_of(int32_t *parent, int32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

static inline void join(int32_t *parent, int32_t i, int32_t j)
{
    i = root_of(parent, i);
    j = root_of(parent, j);
    if (i < j)
        parent[j] = i;
    else
        parent[i] = j;
}

/* In place of the parent of each node, which comes before it, the number 1..count of its tree. */
static int32_t number_trees(int32_t *parent, Py_ssize_t n)
{
    int32_t count = 0;
    for (Py_ssize_t i = 0; i < n; i++)
        parent[i] = parent[i] == i ? ++count : parent[parent[i]];
    return count;
}

PyDoc_STRVAR(components_doc,
    "components(start, stop, height, width, labels) -> count\n\n"
    "The 18-connected component 1..count of each run.");

static PyObject *components(PyObject *self, PyObject *args)
{
    Py_buffer b[3];
    Py_ssize_t height, width;
    if (!PARSE(args, "y*y*nnw*", &b[0], &b[1], &height, &width, &b[2]))
        return NULL;
    Runs runs = {b[0].buf, b[1].buf, COUNT(b[0], int32_t), (int32_t)height, (int32_t)width};
    int32_t *parent = b[2].buf;
    if (!are_runs(&b[0], &b[1], height, width) || runs.n > INT32_MAX || b[2].len != b[0].len)
        return refuse(b, 3, "components: the columns do not fit together");

    /* Rows that come before a run's own and hold neighbours of it: in a row one step away these lie up to one voxel
       further along H, in a row two steps away they have the same h: the rest are corners. */
    static const int along_w[4] = {-1, 0, -1, 1}, along_d[4] = {0, -1, -1, -1}, reach[4] = {1, 1, 0, 0};
    Py_ssize_t cursor[4] = {0, 0, 0, 0};
    Row row = NOWHERE;
    for (int32_t i = 0; i < runs.n; i++) {
        row_of(&row, runs.start[i], runs.height, runs.width);
        parent[i] = i;
        for (int k = 0; k < 4; k++) {
            int32_t w = row.w + along_w[k];
            if (w < 0 || w >= width || row.d + along_d[k] < 0)
                continue;
            int64_t shift = (int64_t)height * (along_w[k] + (int64_t)width * along_d[k]);
            int64_t low = runs.start[i] - reach[k], high = (int64_t)runs.stop[i] + reach[k];
            low = (low < row.begin ? row.begin : low) + shift;
            high = (high > row.end ? row.end : high) + shift;
            Py_ssize_t j = cursor[k];
            while (j < i && runs.stop[j] <= low)
                j++;
            cursor[k] = j;
            for (; j < i && runs.start[j] < high; j++)
                join(parent, i, (int32_t)j);
        }
    }
    int32_t count = number_trees(parent, runs.n);
    release(b, 3);
    return PyLong_FromLong(count);
}

PyDoc_STRVAR(measure_doc,
    "measure(start, stop, labels, height, width, depth, sizes, first)\n\n"
    "Of each label 1..n, adds the voxels of its runs to its size, and lowers `first` to the C-order number (H slowest, D\n"
    "fastest) of its first voxel.");

static PyObject *measure(PyObject *self, PyObject *args)
{
    Py_buffer b[5];
    Py_ssize_t height, width, depth;
    if (!PARSE(args, "y*y*y*nnnw*w*", &b[0], &b[1], &b[2], &height, &width, &depth, &b[3], &b[4]))
        return NULL;
    const int32_t *start = b[0].buf, *stop = b[1].buf, *labels = b[2].buf;
    int64_t *sizes = b[3].buf, *first = b[4].buf;
    if (!are_runs(&b[0], &b[1], height, width) || b[2].len != b[0].len || b[4].len != b[3].len)
        return refuse(b, 5, "measure: the columns do not fit together");
    Row row = NOWHERE;
    for (Py_ssize_t i = 0; i < COUNT(b[0], int32_t); i++) {
        if (labels[i] < 1 || labels[i] > COUNT(b[3], int64_t))
            return refuse(b, 5, "measure: a label is beyond the table");
        row_of(&row, start[i], (int32_t)height, (int32_t)width);
        int64_t here = ((start[i] - row.begin) * width + row.w) * depth + row.d;
        sizes[labels[i] - 1] += stop[i] - start[i];
        if (here < first[labels[i] - 1])
            first[labels[i] - 1] = here;
    }
    release(b, 5);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(joined_doc,
    "joined(one, other, groups) -> count\n\n"
    "The connected component 1..count of each node of the graph in which one[i] and other[i] (from 0 on) are joined.");

static PyObject *joined(PyObject *self, PyObject *args)
{
    Py_buffer b[3];
    if (!PARSE(args, "y*y*w*", &b[0], &b[1], &b[2]))
        return NULL;
    const int32_t *one = b[0].buf, *other = b[1].buf;
    int32_t *parent = b[2].buf;
    Py_ssize_t n = COUNT(b[2], int32_t);
    if (b[1].len != b[0].len || n > INT32_MAX)
        return refuse(b, 3, "joined: the columns do not fit together");
    for (int32_t i = 0; i < n; i++)
        parent[i] = i;
    for (Py_ssize_t k = 0; k < COUNT(b[0], int32_t); k++) {
        if (one[k] < 0 || one[k] >= n || other[k] < 0 || other[k] >= n)
            return refuse(b, 3, "joined: there is no such node");
        join(parent, one[k], other[k]);
    }
    int32_t count = number_trees(parent, n);
    release(b, 3);
    return PyLong_FromLong(count);
}

/* --- overlaps ----------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(overlaps_doc,
    "overlaps(start, stop, labels, other_start, other_stop, other_labels, columns, table)\n\n"
    "Adds to table[label * columns + other_label] the voxels that runs of both have in common.");

static PyObject *overlaps(PyObject *self, PyObject *args)
{
    Py_buffer b[7];
    Py_ssize_t columns;
    if (!PARSE(args, "y*y*y*y*y*y*nw*", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &columns, &b[6]))
        return NULL;
    const int32_t *start = b[0].buf, *stop = b[1].buf, *label = b[2].buf;
    const int32_t *other_start = b[3].buf, *other_stop = b[4].buf, *other_label = b[5].buf;
    Py_ssize_t n = COUNT(b[0], int32_t), m = COUNT(b[3], int32_t), cells = COUNT(b[6], int64_t);
    int64_t *table = b[6].buf;
    if (b[1].len != b[0].len || b[2].len != b[0].len || b[4].len != b[3].len || b[5].len != b[3].len || columns < 1)
        return refuse(b, 7, "overlaps: the columns do not fit together");
    for (Py_ssize_t i = 0, j = 0; i < n && j < m;) {
        int32_t low = start[i] > other_start[j] ? start[i] : other_start[j];
        int32_t high = stop[i] < other_stop[j] ? stop[i] : other_stop[j];
        if (low < high) {
            int64_t cell = (int64_t)label[i] * columns + other_label[j];
            if (cell < 0 || cell >= cells)
                return refuse(b, 7, "overlaps: a label is beyond the table");
            table[cell] += high - low;
        }
        if (stop[i] < other_stop[j])
            i++;
        else
            j++;
    }
    release(b, 7);
    Py_RETURN_NONE;
}

/* --- extents ------------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(extents_doc,
    "extents(start, stop, labels, height, width, boxes, sums)\n\n"
    "Of each label 0..n, widens its box (first and last h, w, d: six numbers) to hold its runs, and adds the h, w and d\n"
    "of its voxels to its three sums.");

static PyObject *extents(PyObject *self, PyObject *args)
{
    Py_buffer b[5];
    Py_ssize_t height, width;
    if (!PARSE(args, "y*y*y*nnw*w*", &b[0], &b[1], &b[2], &height, &width, &b[3], &b[4]))
        return NULL;
    const int32_t *start = b[0].buf, *stop = b[1].buf, *labels = b[2].buf;
    Py_ssize_t n = COUNT(b[0], int32_t), count = COUNT(b[4], int64_t) / 3;
    int64_t *boxes = b[3].buf, *sums = b[4].buf;
    if (!are_runs(&b[0], &b[1], height, width) || b[2].len != b[0].len || COUNT(b[3], int64_t) != 6 * count)
        return refuse(b, 5, "extents: the columns do not fit together");
    Row row = NOWHERE;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= count)
            return refuse(b, 5, "extents: a label is beyond the table");
        row_of(&row, start[i], (int32_t)height, (int32_t)width);
        int64_t length = stop[i] - start[i], h = start[i] - row.begin;
        int64_t ends[6] = {h, h + length - 1, row.w, row.w, row.d, row.d};
        int64_t *box = boxes + 6 * labels[i], *sum = sums + 3 * labels[i];
        for (int k = 0; k < 6; k += 2) {
            if (ends[k] < box[k])
                box[k] = ends[k];
            if (ends[k + 1] > box[k + 1])
                box[k + 1] = ends[k + 1];
        }
        sum[0] += length * (2 * h + length - 1) / 2;
        sum[1] += length * row.w;
        sum[2] += length * row.d;
    }
    release(b, 5);
    Py_RETURN_NONE;
}

/* --- surface ------------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(surface_doc,
    "surface(start, stop, labels, low, high, wanted, height, width, out_start, out_stop, out_labels) -> count\n\n"
    "The voxels with a face neighbour outside their own label (outside the grid is outside), of those runs low..high - 1\n"
    "whose label is `wanted`: not 0 there. What does not fit into the three columns is only counted.");

static PyObject *surface(PyObject *self, PyObject *args)
{
    Py_buffer b[7];
    Py_ssize_t low, high, height, width;
    if (!PARSE(args, "y*y*y*nny*nnw*w*w*", &b[0], &b[1], &b[2], &low, &high, &b[3], &height, &width, &b[4],
                          &b[5], &b[6]))
        return NULL;
    const int32_t *start = b[0].buf, *stop = b[1].buf, *labels = b[2].buf;
    const uint8_t *wanted = b[3].buf;
    int32_t *out_start = b[4].buf, *out_stop = b[5].buf, *out_labels = b[6].buf;
    Py_ssize_t n = COUNT(b[0], int32_t), capacity = COUNT(b[4], int32_t), count = 0;
    if (!are_runs(&b[0], &b[1], height, width) || b[2].len != b[0].len || b[5].len != b[4].len || b[6].len != b[4].len ||
        low < 0 || high > n)
        return refuse(b, 7, "surface: the columns do not fit together");
    static const int along_w[4] = {0, -1, 1, 0}, along_d[4] = {-1, 0, 0, 1};
    Py_ssize_t cursor[4] = {0, 0, 0, 0};
    Row row = NOWHERE;
    for (Py_ssize_t i = low; i < high; i++) {
        int32_t label = labels[i];
        if (label < 0 || label >= b[3].len)
            return refuse(b, 7, "surface: a label is beyond the table");
        if (!wanted[label])
            continue;
        row_of(&row, start[i], (int32_t)height, (int32_t)width);
        int inside = row.w > 0 && row.w + 1 < width;
        /* What lies between `open` and `at` is surface. Both ends of a run are; in between, a voxel is not where all
           four neighbouring rows are covered by the same label. */
        int64_t open = start[i], at = (int64_t)start[i] + 1, last = (int64_t)stop[i] - 1;
        while (inside && at < last) {
            int64_t covered = last; /* all of at..covered is interior, or, if `at` is not, surface */
            int interior = 1;
            for (int k = 0; k < 4; k++) {
                int64_t shift = (int64_t)height * (along_w[k] + (int64_t)width * along_d[k]);
                Py_ssize_t j = cursor[k];
                while (j < n && stop[j] - shift <= at)
                    j++;
                cursor[k] = j;
                int64_t from = j < n ? start[j] - shift : last, to = j < n ? stop[j] - shift : last;
                if (j < n && from <= at && labels[j] == label) {
                    if (interior && to < covered)
                        covered = to;
                    continue;
                }
                /* Not covered by this row up to where the run begins, or, if that is another label's, ends. */
                int64_t until = from > at ? from : to;
                if (interior || until > covered)
                    covered = until;
                interior = 0;
            }
            if (covered > last)
                covered = last;
            if (interior && open < at) {
                if (count < capacity) {
                    out_start[count] = (int32_t)open;
                    out_stop[count] = (int32_t)at;
                    out_labels[count] = label;
                }
                count++;
            }
            if (interior)
                open = covered;
            at = covered;
        }
        if (count < capacity) {
            out_start[count] = (int32_t)open;
            out_stop[count] = stop[i];
            out_labels[count] = label;
        }
        count++;
    }
    release(b, 7);
    return PyLong_FromSsize_t(count);
}

/* --- distances ---------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(histograms_doc,
    "histograms(start, stop, labels, height, width, depth, table)\n\n"
    "Adds to the table how many voxels of each label lie at each h, w and d: a row for each label, of height + 1, width\n"
    "and depth numbers, the first of them as the differences of each from the one before.");

static PyObject *histograms(PyObject *self, PyObject *args)
{
    Py_buffer b[4];
    Py_ssize_t height, width, depth;
    if (!PARSE(args, "y*y*y*nnnw*", &b[0], &b[1], &b[2], &height, &width, &depth, &b[3]))
        return NULL;
    const int32_t *start = b[0].buf, *stop = b[1].buf, *labels = b[2].buf;
    int64_t *table = b[3].buf;
    Py_ssize_t n = COUNT(b[0], int32_t), stride = height + 1 + width + depth;
    if (!are_runs(&b[0], &b[1], height, width) || b[2].len != b[0].len || depth < 1 || depth > INT32_MAX)
        return refuse(b, 4, "histograms: the columns do not fit together");
    Py_ssize_t rows = COUNT(b[3], int64_t) / stride;
    Row row = NOWHERE;
    for (Py_ssize_t i = 0; i < n; i++) {
        row_of(&row, start[i], (int32_t)height, (int32_t)width);
        if (labels[i] < 0 || labels[i] >= rows || row.d >= depth || stop[i] > row.end)
            return refuse(b, 4, "histograms: a run is beyond the table");
        int64_t *along = table + labels[i] * stride;
        along[start[i] - row.begin]++;
        along[stop[i] - row.begin]--;
        along[height + 1 + row.w] += stop[i] - start[i];
        along[height + 1 + width + row.d] += stop[i] - start[i];
    }
    release(b, 4);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(gaps_doc,
    "gaps(table, height, width, depth, boxes, spacing, sums)\n\n"
    "For each label (each row of the table that `histograms` made, which is used up) and each box (first and last h, w,\n"
    "d): a lower bound of the summed distances in mm of the label's voxels to the box, the largest of those along one\n"
    "axis alone.");

static PyObject *gaps(PyObject *self, PyObject *args)
{
    Py_buffer b[4];
    Py_ssize_t height, width, depth;
    if (!PARSE(args, "w*nnny*y*w*", &b[0], &height, &width, &depth, &b[1], &b[2], &b[3]))
        return NULL;
    int64_t *table = b[0].buf;
    const int64_t *boxes = b[1].buf;
    const double *spacing = b[2].buf;
    double *sums = b[3].buf;
    if (height < 1 || width < 1 || depth < 1 || height > INT32_MAX || width > INT32_MAX || depth > INT32_MAX)
        return refuse(b, 4, "gaps: that is no grid");
    Py_ssize_t stride = height + 1 + width + depth, count = COUNT(b[0], int64_t) / stride, m = COUNT(b[1], int64_t) / 6;
    if (COUNT(b[2], double) != 3 || COUNT(b[3], double) != count * m)
        return refuse(b, 4, "gaps: the columns do not fit together");
    for (Py_ssize_t k = 0; k < 6 * m; k++)
        if (boxes[k] < 0 || boxes[k] >= (k % 6 < 2 ? height : k % 6 < 4 ? width : depth))
            return refuse(b, 4, "gaps: a box is beyond the grid");
    for (Py_ssize_t label = 0; label < count; label++) {
        int64_t *along = table + label * stride;
        for (Py_ssize_t h = 1; h < height; h++)
            along[h] += along[h - 1];
        for (int axis = 0; axis < 3; axis++) {
            Py_ssize_t length = axis == 0 ? height : axis == 1 ? width : depth;
            /* In place of how many voxels lie at each index i: by how far those before i lie before it, summed. */
            int64_t before = 0, far = 0, moment = 0;
            for (Py_ssize_t i = 0; i < length; i++) {
                int64_t here = along[i];
                along[i] = far;
                before += here;
                far += before;
                moment += here * i;
            }
            for (Py_ssize_t j = 0; j < m; j++) {
                int64_t low = boxes[6 * j + 2 * axis], high = boxes[6 * j + 2 * axis + 1];
                double sum = (double)(along[low] + moment - before * high + along[high]) * spacing[axis];
                double *best = sums + label * m + j;
                if (axis == 0 || sum > *best)
                    *best = sum;
            }
            along += axis == 0 ? height + 1 : length;
        }
    }
    release(b, 4);
    Py_RETURN_NONE;
}

/* The voxels of some runs in a box, a bit each: for each row of the box as many words as it takes. */
typedef struct {
    uint64_t *bits;
    int64_t low[3], size[3];
    int64_t words;  /* of a row */
} Map;

static inline int64_t row_in(const Map *map, int64_t w, int64_t d)
{
    return (w - map->low[1]) + map->size[1] * (d - map->low[2]);
}

/* Set the bits of the runs. 0 if a run is beyond the box. */
static int draw_runs(const Map *map, const Runs *runs)
{
    Row row = NOWHERE;
    for (Py_ssize_t i = 0; i < runs->n; i++) {
        row_of(&row, runs->start[i], runs->height, runs->width);
        int64_t from = runs->start[i] - row.begin - map->low[0], to = runs->stop[i] - row.begin - map->low[0];
        if (from < 0 || to > map->size[0] || from >= to || row.w < map->low[1] || row.w >= map->low[1] + map->size[1] ||
            row.d < map->low[2] || row.d >= map->low[2] + map->size[2])
            return 0;
        uint64_t *words = map->bits + row_in(map, row.w, row.d) * map->words;
        for (int64_t k = from >> 6; k <= (to - 1) >> 6; k++) {
            uint64_t mask = ~UINT64_C(0);
            if (k == from >> 6)
                mask <<= from & 63;
            if (k == (to - 1) >> 6)
                mask &= ~UINT64_C(0) >> (63 - ((to - 1) & 63));
            words[k] |= mask;
        }
    }
    return 1;
}

/* How far from `h` the nearest voxel of a row is, which has one. */
static inline int64_t nearest_in_row(const uint64_t *words, int64_t count, int64_t h)
{
    int64_t best = -1;
    if (count == 1 && h >= 0 && h < 64) { /* nearly always */
        uint64_t ahead = words[0] >> h, behind = words[0] << (63 - h);
        int64_t up = ahead ? __builtin_ctzll(ahead) : 64, down = behind ? __builtin_clzll(behind) : 64;
        return up < down ? up : down;
    }
    if (h < (count << 6)) {
        int64_t k = h < 0 ? 0 : h >> 6;
        uint64_t word = words[k];
        if (h > 0)
            word &= ~UINT64_C(0) << (h & 63);
        while (!word && ++k < count)
            word = words[k];
        if (word)
            best = (k << 6) + __builtin_ctzll(word) - h;
    }
    if (h > 0) {
        int64_t k = h - 1 < (count << 6) ? (h - 1) >> 6 : count - 1;
        uint64_t word = words[k];
        if (h - 1 < (count << 6))
            word &= ~UINT64_C(0) >> (63 - ((h - 1) & 63));
        while (!word && --k >= 0)
            word = words[k];
        if (word) {
            int64_t back = h - ((k << 6) + 63 - __builtin_clzll(word));
            if (best < 0 || back < best)
                best = back;
        }
    }
    return best;
}

typedef struct {
    const uint64_t *words;
    double distance2;
} NearRow;

#define MAX_ROWS 2048

/* The rows of a map around one place (w, d), nearest first, as far as they were asked for: those with a voxel. */
typedef struct {
    const int32_t *along_w, *along_d; /* steps to all rows that are nearer than the square root of `reach2` */
    const double *distance2;
    Py_ssize_t count, asked;
    double reach2, spacing2[3];
    int64_t w, d;
    Py_ssize_t found;
    NearRow rows[MAX_ROWS];
} Around;

static inline int has_voxels(const uint64_t *words, int64_t count)
{
    uint64_t any = 0;
    for (int64_t k = 0; k < count; k++)
        any |= words[k];
    return any != 0;
}

/* One row more. 0 if there is none within reach. */
static int find_row(Around *around, const Map *map)
{
    while (around->asked < around->count) {
        Py_ssize_t k = around->asked++;
        int64_t w = around->w + around->along_w[k] - map->low[1], d = around->d + around->along_d[k] - map->low[2];
        if (w < 0 || w >= map->size[1] || d < 0 || d >= map->size[2])
            continue;
        const uint64_t *words = map->bits + (w + map->size[1] * d) * map->words;
        if (has_voxels(words, map->words)) {
            around->rows[around->found++] = (NearRow){words, around->distance2[k]};
            return 1;
        }
    }
    return 0;
}

/* The smaller of `best2` and what a row that has voxels gives; without a branch, for that would be a guess. */
static inline double nearer2(double best2, const uint64_t *words, int64_t count, int64_t h, double apart2, double step2)
{
    double steps = (double)nearest_in_row(words, count, h), distance2 = apart2 + steps * steps * step2;
    return distance2 < best2 ? distance2 : best2;
}

/* The squared distance in mm of the voxel at `h`, counted from the map's own, to the nearest of a map. */
static double nearest2(Around *around, const Map *map, int64_t h)
{
    double best2 = INFINITY;
    for (Py_ssize_t k = 0; k < around->found || find_row(around, map); k++) {
        if (around->rows[k].distance2 >= best2)
            return best2;
        best2 = nearer2(best2, around->rows[k].words, map->words, h, around->rows[k].distance2, around->spacing2[0]);
    }
    if (best2 <= around->reach2)
        return best2;
    for (int64_t d = 0; d < map->size[2]; d++) { /* far away: all rows of the box */
        double along_d = (double)(d + map->low[2] - around->d);
        for (int64_t w = 0; w < map->size[1]; w++) {
            double along_w = (double)(w + map->low[1] - around->w);
            double apart2 = along_w * along_w * around->spacing2[1] + along_d * along_d * around->spacing2[2];
            const uint64_t *words = map->bits + (w + map->size[1] * d) * map->words;
            if (apart2 < best2 && has_voxels(words, map->words))
                best2 = nearer2(best2, words, map->words, h, apart2, around->spacing2[0]);
        }
    }
    return best2;
}

/* The map of a box over some bytes; 0 if these are too few. */
static int make_map(Map *map, Py_buffer *bits, const Py_buffer *box)
{
    const int64_t *ends = box->buf;
    if (COUNT(*box, int64_t) != 6)
        return 0;
    map->bits = bits->buf;
    for (int axis = 0; axis < 3; axis++) {
        if (ends[2 * axis] < 0 || ends[2 * axis + 1] >= INT32_MAX || ends[2 * axis] > ends[2 * axis + 1])
            return 0;
        map->low[axis] = ends[2 * axis];
        map->size[axis] = ends[2 * axis + 1] - ends[2 * axis] + 1;
    }
    map->words = (map->size[0] + 63) / 64;
    return map->size[1] * map->size[2] <= COUNT(*bits, uint64_t) / map->words;
}

PyDoc_STRVAR(draw_doc,
    "draw(start, stop, height, width, box, bits)\n\n"
    "Sets a bit for each voxel of some runs in a box (first and last h, w, d): the lowest bit of a word is the voxel of\n"
    "the lowest h, and each row of the box begins with a new word.");

static PyObject *draw(PyObject *self, PyObject *args)
{
    Py_buffer b[4];
    Py_ssize_t height, width;
    if (!PARSE(args, "y*y*nny*w*", &b[0], &b[1], &height, &width, &b[2], &b[3]))
        return NULL;
    Runs runs = {b[0].buf, b[1].buf, COUNT(b[0], int32_t), (int32_t)height, (int32_t)width};
    Map map;
    if (!are_runs(&b[0], &b[1], height, width) || !make_map(&map, &b[3], &b[2]))
        return refuse(b, 4, "draw: the columns do not fit together");
    if (!draw_runs(&map, &runs))
        return refuse(b, 4, "draw: a run is beyond the box");
    release(b, 4);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(distances_doc,
    "distances(start, stop, height, width, box, bits, spacing, along_w, along_d, distance2, reach2, limit) -> sum\n\n"
    "The summed distances in mm of the voxels of some runs to the nearest voxel that `draw` drew; when it exceeds\n"
    "`limit`, the sum so far. `along_w`, `along_d` are the rows around a voxel in the order of their squared distance in\n"
    "mm, `distance2`: all of less than `reach2`.");

static PyObject *distances(PyObject *self, PyObject *args)
{
    Py_buffer b[8];
    Py_ssize_t height, width;
    double reach2, limit;
    if (!PARSE(args, "y*y*nny*w*y*y*y*y*dd", &b[0], &b[1], &height, &width, &b[2], &b[3], &b[4], &b[5],
                          &b[6], &b[7], &reach2, &limit))
        return NULL;
    Runs runs = {b[0].buf, b[1].buf, COUNT(b[0], int32_t), (int32_t)height, (int32_t)width};
    const double *spacing = b[4].buf;
    Map map;
    if (!are_runs(&b[0], &b[1], height, width) || !make_map(&map, &b[3], &b[2]) || COUNT(b[4], double) != 3 ||
        b[6].len != b[5].len || COUNT(b[7], double) != COUNT(b[5], int32_t))
        return refuse(b, 8, "distances: the columns do not fit together");
    if (COUNT(b[5], int32_t) > MAX_ROWS)
        return refuse(b, 8, "distances: too many rows");
    Around around;
    around.along_w = b[5].buf;
    around.along_d = b[6].buf;
    around.distance2 = b[7].buf;
    around.count = COUNT(b[5], int32_t);
    around.reach2 = reach2;
    for (int axis = 0; axis < 3; axis++)
        around.spacing2[axis] = spacing[axis] * spacing[axis];
    double sum = 0;
    Row row = NOWHERE;
    for (Py_ssize_t i = 0; i < runs.n && sum <= limit; i++) {
        if (runs.start[i] >= row.end || i == 0) {
            row_of(&row, runs.start[i], runs.height, runs.width);
            around.w = row.w;
            around.d = row.d;
            around.asked = around.found = 0;
        }
        int64_t from = runs.start[i] - row.begin - map.low[0], to = runs.stop[i] - row.begin - map.low[0];
        for (int64_t h = from; h < to; h++)
            sum += sqrt(nearest2(&around, &map, h));
    }
    release(b, 8);
    return PyFloat_FromDouble(sum);
}

PyDoc_STRVAR(runs_of_doc,
    "runs_of(bits, height, first_row, rows, out_start, out_stop) -> count\n\n"
    "The runs that are drawn on a map of the whole grid, of so many of its rows. What does not fit is only counted.");

static PyObject *runs_of(PyObject *self, PyObject *args)
{
    Py_buffer b[3];
    Py_ssize_t height, first_row, rows;
    if (!PARSE(args, "y*nnnw*w*", &b[0], &height, &first_row, &rows, &b[1], &b[2]))
        return NULL;
    const uint64_t *bits = b[0].buf;
    int32_t *start = b[1].buf, *stop = b[2].buf;
    Py_ssize_t capacity = COUNT(b[1], int32_t), count = 0, words = (height + 63) / 64;
    if (height < 1 || height > INT32_MAX || first_row < 0 || rows < 0 || b[2].len != b[1].len ||
        first_row > COUNT(b[0], uint64_t) / words - rows || (first_row + rows) * height > INT32_MAX)
        return refuse(b, 3, "runs_of: the columns do not fit together");
    for (Py_ssize_t row = first_row; row < first_row + rows; row++) {
        int64_t begin = (int64_t)row * height;
        uint64_t before = 0; /* the last bit of the word before */
        for (Py_ssize_t k = 0; k < words; k++) {
            uint64_t word = bits[row * words + k];
            uint64_t ends = word ^ (word << 1 | before); /* a bit where a run begins or has ended */
            before = word >> 63;
            for (; ends; ends &= ends - 1) {
                int64_t place = begin + (k << 6) + __builtin_ctzll(ends);
                int begins = word >> __builtin_ctzll(ends) & 1;
                if (begins && count < capacity)
                    start[count] = (int32_t)place;
                else if (!begins && count < capacity)
                    stop[count] = (int32_t)place;
                count += !begins;
            }
        }
        if (before) { /* it goes on to the end of its row, which is that of the last word */
            if (count < capacity)
                stop[count] = (int32_t)(begin + height);
            count++;
        }
    }
    release(b, 3);
    return PyLong_FromSsize_t(count);
}

/* --- module ------------------------------------------------------------------------------------------------------- */

static PyMethodDef methods[] = {
    {"scan", scan, METH_VARARGS, scan_doc},
    {"components", components, METH_VARARGS, components_doc},
    {"measure", measure, METH_VARARGS, measure_doc},
    {"joined", joined, METH_VARARGS, joined_doc},
    {"overlaps", overlaps, METH_VARARGS, overlaps_doc},
    {"extents", extents, METH_VARARGS, extents_doc},
    {"surface", surface, METH_VARARGS, surface_doc},
    {"histograms", histograms, METH_VARARGS, histograms_doc},
    {"gaps", gaps, METH_VARARGS, gaps_doc},
    {"draw", draw, METH_VARARGS, draw_doc},
    {"runs_of", runs_of, METH_VARARGS, runs_of_doc},
    {"distances", distances, METH_VARARGS, distances_doc},
    {NULL, NULL, 0, NULL},
};

static int set_up(PyObject *module)
{
    return PyModule_AddStringConstant(module, "SOURCE", KERNEL_SOURCE);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, set_up}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "rexg_kernel",
    .m_doc = "The compiled loops of the scoring: see evaluation/kernel/__init__.py.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_rexg_kernel(void)
{
    return PyModuleDef_Init(&definition);
}
