/* Records as aiokafka reads them, made messages, many at a time: what `unpacking.py` does in Python where this was not
   compiled, and why. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

enum { POSITION, RAW, VALUE, KEY, TIMESTAMP, HEADERS, FIELDS }; /* of a Message, in its order */

typedef struct {
    PyObject *message, *partition; /* the class that is called, and what each position begins with */
    PyTypeObject *position;
    PyObject *offset, *value, *key, *timestamp, *headers; /* what a record calls them */
    PyObject *empty;                                      /* the raw value where a record has none */
} Making;

/* As tuple.__new__ makes it. It cannot be part of a cycle, and the garbage collector need not look at it. */
static PyObject *position_of(const Making *making, PyObject *offset)
{
    PyObject *made = making->position->tp_alloc(making->position, 2);
    if (made != NULL) {
        PyObject_GC_UnTrack(made);
        PyTuple_SET_ITEM(made, 0, Py_NewRef(making->partition));
        PyTuple_SET_ITEM(made, 1, Py_NewRef(offset));
    }
    return made;
}

static PyObject *raw_of(const Making *making, PyObject *record)
{
    PyObject *found = PyObject_GetAttr(record, making->value);
    if (found == Py_None)
        Py_SETREF(found, Py_NewRef(making->empty));
    if (found != NULL && !PyBytes_Check(found)) {
        PyErr_SetString(PyExc_TypeError, "the value of a record is bytes");
        Py_CLEAR(found);
    }
    return found;
}

static PyObject *headers_of(const Making *making, PyObject *record)
{
    PyObject *found = PyObject_GetAttr(record, making->headers);
    if (found != NULL)
        Py_SETREF(found, PySequence_Tuple(found));
    return found;
}

/* Answers with the size of the raw value, or -1. */
static Py_ssize_t append(PyObject *messages, const Making *making, PyObject *record, PyObject *offset)
{
    PyObject *fields[FIELDS] = {NULL}, *made = NULL;
    Py_ssize_t size = -1;
    if ((fields[POSITION] = position_of(making, offset)) != NULL && (fields[RAW] = raw_of(making, record)) != NULL
        && (fields[KEY] = PyObject_GetAttr(record, making->key)) != NULL
        && (fields[TIMESTAMP] = PyObject_GetAttr(record, making->timestamp)) != NULL
        && (fields[HEADERS] = headers_of(making, record)) != NULL) {
        fields[VALUE] = Py_NewRef(Py_None);
        made = PyObject_Vectorcall(making->message, fields, FIELDS, NULL);
    }
    if (made != NULL && PyList_Append(messages, made) == 0)
        size = PyBytes_GET_SIZE(fields[RAW]);
    Py_XDECREF(made);
    for (int at = 0; at < FIELDS; at++)
        Py_XDECREF(fields[at]);
    return size;
}

/* Messages until the portion is spent or there are no more records; 0, or -1 for an error. */
static int fill(PyObject *messages, const Making *making, PyObject *records, long long first, Py_ssize_t *room, Py_ssize_t *left)
{
    PyObject *record;
    while ((record = PyIter_Next(records)) != NULL) {
        PyObject *offset = PyObject_GetAttr(record, making->offset);
        long long number = offset == NULL ? -1 : PyLong_AsLongLong(offset);
        Py_ssize_t size = 0;
        if (number == -1 && PyErr_Occurred())
            size = -1;
        else if (number >= first) { /* else of a batch of which some was read before */
            size = append(messages, making, record, offset);
            *room -= size;
            *left -= 1;
        }
        Py_XDECREF(offset);
        Py_DECREF(record);
        if (size < 0)
            return -1;
        if (number >= first && (*room <= 0 || *left <= 0))
            return 0;
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int name(Making *making)
{
    making->offset = PyUnicode_InternFromString("offset");
    making->value = PyUnicode_InternFromString("value");
    making->key = PyUnicode_InternFromString("key");
    making->timestamp = PyUnicode_InternFromString("timestamp");
    making->headers = PyUnicode_InternFromString("headers");
    making->empty = PyBytes_FromStringAndSize(NULL, 0);
    return making->offset && making->value && making->key && making->timestamp && making->headers && making->empty;
}

static PyObject *messages(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Making making = {NULL};
    PyObject *classes[2], *records, *made = NULL, *answer = NULL;
    long long first;
    Py_ssize_t room, left;
    if (!PyArg_ParseTuple(arguments, "(OO!)OOL(nn)", &classes[0], &PyType_Type, &classes[1], &records, &making.partition, &first,
                          &room, &left))
        return NULL;
    making.message = classes[0];
    making.position = (PyTypeObject *)classes[1];
    if (!PyType_IsSubtype(making.position, &PyTuple_Type) || making.position->tp_basicsize != PyTuple_Type.tp_basicsize) {
        PyErr_SetString(PyExc_TypeError, "a position is a named tuple");
        return NULL;
    }
    if (name(&making) && (made = PyList_New(0)) != NULL && fill(made, &making, records, first, &room, &left) == 0)
        answer = Py_BuildValue("Onn", made, room, left);
    Py_XDECREF(made);
    Py_XDECREF(making.offset);
    Py_XDECREF(making.value);
    Py_XDECREF(making.key);
    Py_XDECREF(making.timestamp);
    Py_XDECREF(making.headers);
    Py_XDECREF(making.empty);
    return answer;
}

static PyMethodDef methods[] = {
    {"messages", messages, METH_VARARGS,
     "messages((Message, Position), records, partition, first, (room, left)): a list, and what is left of the portion."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_records", "Records made messages.", 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__records(void)
{
    return PyModuleDef_Init(&module);
}
