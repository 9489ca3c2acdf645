/* Rows of Python values as the rows of a binary COPY; and the days of their times. What it is not sure of it refuses with an error; `encoding.py` says why
   and what then. Every value is read once, checked and written in one pass. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <datetime.h>
#include <endian.h>
#include <math.h>
#include <string.h>

enum { HEAD = 4, NUMBER = 8 };
enum { FIRST_DAY = -730119, LAST_DAY = 2921939 }; /* 0001-01-01 and 9999-12-31, since 2000-01-01 */
static const long long DAY_MICROS = 86400LL * 1000000;

typedef struct {
    char code;         /* h i q: integers; f d: floats; ?: bool; s: text; D: date; p: time without a zone; z: with one */
    PyObject *encoder; /* of `z`: the bytes of a time in another zone than UTC */
    PyObject *known;   /* a dict of what it answered; the rows of a message share their time */
} Column;

typedef struct {
    char *bytes;
    Py_ssize_t size, room;
} Buffer;

static int reserve(Buffer *out, Py_ssize_t more)
{
    if (out->size + more <= out->room)
        return 0;
    Py_ssize_t room = 2 * out->room + more;
    char *bytes = PyMem_Realloc(out->bytes, room);
    if (bytes == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    out->bytes = bytes;
    out->room = room;
    return 0;
}

static void put_integer(Buffer *out, unsigned long long value, int width)
{
    unsigned long long network = htobe64(value << (64 - 8 * width)); /* its highest bytes come first */
    memcpy(out->bytes + out->size, &network, sizeof network);        /* what is written beyond, the next one overwrites */
    out->size += width;
}

static int put_field(Buffer *out, const char *bytes, Py_ssize_t size)
{
    if (size > INT_MAX) {
        PyErr_SetString(PyExc_ValueError, "a value is too long for a field");
        return -1;
    }
    if (reserve(out, HEAD + size + HEAD + NUMBER) < 0)
        return -1;
    put_integer(out, (unsigned long long)size, HEAD);
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
    return 0;
}

static int put_number(Buffer *out, unsigned long long value, int width)
{
    put_integer(out, (unsigned long long)width, HEAD);
    put_integer(out, value, width);
    return 0;
}

static int refuse(const char *fact)
{
    PyErr_SetString(PyExc_ValueError, fact);
    return -1;
}

static int put_whole(Buffer *out, PyObject *value, int width)
{
    int overflow;
    if (!PyLong_Check(value))
        return refuse("not a whole number");
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (number == -1 && PyErr_Occurred())
        return -1;
    long long limit = width == 8 ? LLONG_MAX : (1LL << (8 * width - 1)) - 1;
    if (overflow || number > limit || number < -limit - 1)
        return refuse("out of range");
    return put_number(out, (unsigned long long)number, width);
}

static int put_float(Buffer *out, PyObject *value, int width)
{
    unsigned long long bits = 0;
    if (!PyFloat_Check(value) && !PyLong_Check(value))
        return refuse("not a number");
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred())
        return -1;
    if (width == 8) {
        memcpy(&bits, &number, sizeof number);
    } else {
        float single = (float)number;
        unsigned int half;
        memcpy(&half, &single, sizeof single);
        bits = half;
        number = single;
    }
    if (!isfinite(number))
        return refuse("not a finite number, or out of range");
    return put_number(out, bits, width);
}

static int put_text(Buffer *out, PyObject *value)
{
    Py_ssize_t size;
    if (!PyUnicode_CheckExact(value))
        return refuse("not a text");
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    return bytes == NULL ? -1 : put_field(out, bytes, size);
}

/* Days since 2000-01-01, of the Gregorian calendar: years begin in March, so that a leap day is the last. */
static long long days_since(int year, int month, int day)
{
    int shifted = year - (month <= 2);
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return 365LL * shifted + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 730425;
}

/* Python's first and last day, and instant, stand for infinity, as asyncpg has it. */
static int put_date(Buffer *out, PyObject *value)
{
    if (!PyDate_CheckExact(value))
        return refuse("not a date");
    long long days = days_since(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value));
    if (days == FIRST_DAY || days == LAST_DAY)
        days = days == FIRST_DAY ? INT_MIN : INT_MAX;
    return put_number(out, (unsigned long long)days, 4);
}

static int put_time(Buffer *out, PyObject *value)
{
    long long days = days_since(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value));
    int minutes = 60 * PyDateTime_DATE_GET_HOUR(value) + PyDateTime_DATE_GET_MINUTE(value);
    long long seconds = 86400 * days + 60 * minutes + PyDateTime_DATE_GET_SECOND(value);
    long long micros = 1000000 * seconds + PyDateTime_DATE_GET_MICROSECOND(value);
    if (micros == DAY_MICROS * FIRST_DAY || micros == DAY_MICROS * (LAST_DAY + 1) - 1)
        micros = micros < 0 ? LLONG_MIN : LLONG_MAX;
    return put_number(out, (unsigned long long)micros, 8);
}

static int put_encoded(Buffer *out, const Column *column, PyObject *value)
{
    PyObject *field = PyDict_GetItemWithError(column->known, value);
    if (field == NULL) {
        if (PyErr_Occurred())
            return -1;
        PyObject *made = PyObject_CallOneArg(column->encoder, value);
        if (made == NULL)
            return -1;
        int failed = !PyBytes_Check(made) ? refuse("an encoder answers with bytes") : PyDict_SetItem(column->known, value, made);
        Py_DECREF(made);
        if (failed)
            return -1;
        field = made; /* the dict has it */
    }
    return put_field(out, PyBytes_AS_STRING(field), PyBytes_GET_SIZE(field));
}

static int put_zoned(Buffer *out, const Column *column, PyObject *value)
{
    if (!PyDateTime_CheckExact(value)) /* it may be equal to one that is known, and not the same */
        return refuse("not a time");
    return PyDateTime_DATE_GET_TZINFO(value) == PyDateTime_TimeZone_UTC ? put_time(out, value) : put_encoded(out, column, value);
}

static int put_unzoned(Buffer *out, PyObject *value)
{
    if (!PyDateTime_CheckExact(value) || PyDateTime_DATE_GET_TZINFO(value) != Py_None)
        return refuse("not a time without a zone");
    return put_time(out, value);
}

static int put_value(Buffer *out, const Column *column, PyObject *value)
{
    if (value == Py_None) {
        put_integer(out, 0xffffffffULL, HEAD);
        return 0;
    }
    switch (column->code) {
    case 'h': return put_whole(out, value, 2);
    case 'i': return put_whole(out, value, 4);
    case 'q': return put_whole(out, value, 8);
    case 'f': return put_float(out, value, 4);
    case 'd': return put_float(out, value, 8);
    case 's': return put_text(out, value);
    case 'D': return put_date(out, value);
    case 'p': return put_unzoned(out, value);
    case 'z': return put_zoned(out, column, value);
    default:  return PyBool_Check(value) ? put_number(out, value == Py_True, 1) : refuse("not true or false");
    }
}

static int put_row(Buffer *out, const Column *columns, Py_ssize_t count, PyObject *row)
{
    if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != count)
        return refuse("not a row of so many columns");
    put_integer(out, (unsigned long long)count, 2);
    for (Py_ssize_t at = 0; at < count; at++) {
        /* room for a number, or for the length of what makes room for itself, and for the head of the next row */
        if (reserve(out, 2 * (HEAD + NUMBER)) < 0 || put_value(out, &columns[at], PyTuple_GET_ITEM(row, at)) < 0)
            return -1;
    }
    return 0;
}

static PyObject *put_block(Buffer *out, const Column *columns, Py_ssize_t count, PyObject *rows, Py_ssize_t from, Py_ssize_t to)
{
    out->size = 0;
    if (reserve(out, NUMBER) < 0)
        return NULL;
    for (Py_ssize_t at = from; at < to; at++) {
        if (at >= PyList_GET_SIZE(rows)) {
            refuse("rows went away while they were encoded");
            return NULL;
        }
        PyObject *row = Py_NewRef(PyList_GET_ITEM(rows, at)); /* an encoder may run anything */
        int failed = put_row(out, columns, count, row);
        Py_DECREF(row);
        if (failed)
            return NULL;
    }
    return PyBytes_FromStringAndSize(out->bytes, out->size);
}

static PyObject *put_blocks(const Column *columns, Py_ssize_t count, PyObject *rows, Py_ssize_t block_rows)
{
    Buffer out = {NULL, 0, 0};
    PyObject *blocks = PyList_New(0);
    Py_ssize_t total = PyList_GET_SIZE(rows);
    for (Py_ssize_t from = 0; blocks != NULL && from < total; from += block_rows) {
        Py_ssize_t to = from + block_rows < total ? from + block_rows : total;
        PyObject *block = put_block(&out, columns, count, rows, from, to);
        if (block == NULL || PyList_Append(blocks, block) < 0)
            Py_CLEAR(blocks);
        Py_XDECREF(block);
    }
    PyMem_Free(out.bytes);
    return blocks;
}

static int read_columns(PyObject *given, Column *columns, Py_ssize_t count)
{
    for (Py_ssize_t at = 0; at < count; at++) {
        Column *column = &columns[at];
        const char *code;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, at), "sO", &code, &column->encoder))
            return -1;
        column->code = code[0];
        column->known = PyDict_New();
        if (column->known == NULL)
            return -1;
    }
    return 0;
}

static PyObject *encode(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *given, *rows, *blocks = NULL;
    Py_ssize_t block_rows;
    if (!PyArg_ParseTuple(arguments, "O!O!n", &PyTuple_Type, &given, &PyList_Type, &rows, &block_rows))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(given);
    if (count > SHRT_MAX || block_rows < 1) {
        refuse("too many columns, or no rows a block");
        return NULL;
    }
    Column *columns = PyMem_Calloc(count ? count : 1, sizeof(Column));
    if (columns == NULL)
        return PyErr_NoMemory();
    if (read_columns(given, columns, count) == 0)
        blocks = put_blocks(columns, count, rows, block_rows);
    for (Py_ssize_t at = 0; at < count; at++)
        Py_XDECREF(columns[at].known);
    PyMem_Free(columns);
    return blocks;
}

/* Adds the day of a time, unless it is the one of the time before; a time in another zone than UTC is refused. */
static int add_day(PyObject *days, PyObject *value, long *before)
{
    if (!PyDateTime_CheckExact(value) || PyDateTime_DATE_GET_TZINFO(value) != PyDateTime_TimeZone_UTC)
        return refuse("not a time in UTC");
    int year = PyDateTime_GET_YEAR(value), month = PyDateTime_GET_MONTH(value), day = PyDateTime_GET_DAY(value);
    long this = (year * 12L + month) * 31 + day;
    if (this == *before)
        return 0;
    *before = this;
    PyObject *made = PyDate_FromDate(year, month, day);
    int failed = made == NULL || PySet_Add(days, made) < 0;
    Py_XDECREF(made);
    return failed ? -1 : 0;
}

static PyObject *days(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *rows;
    Py_ssize_t place;
    long before = 0;
    if (!PyArg_ParseTuple(arguments, "O!n", &PyList_Type, &rows, &place))
        return NULL;
    PyObject *found = PySet_New(NULL);
    for (Py_ssize_t at = 0; found != NULL && at < PyList_GET_SIZE(rows); at++) {
        PyObject *row = PyList_GET_ITEM(rows, at);
        int known = PyTuple_Check(row) && place >= 0 && place < PyTuple_GET_SIZE(row);
        if (known ? add_day(found, PyTuple_GET_ITEM(row, place), &before) < 0 : refuse("no such column") < 0)
            Py_CLEAR(found);
    }
    return found;
}

static PyMethodDef methods[] = {
    {"days", days, METH_VARARGS, "days(rows, place): the days of the times in a column; an error where one is not in UTC."},
    {"encode", encode, METH_VARARGS, "encode(columns, rows, block_rows): the rows in blocks; an error where it is not sure."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_binary", "Rows as a binary COPY has them.", 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__binary(void)
{
    PyDateTime_IMPORT;
    if (PyDateTimeAPI == NULL)
        return NULL;
    return PyModuleDef_Init(&module);
}
