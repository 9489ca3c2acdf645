/* A list of messages as runs: what `runs.py` does in Python where this was not compiled. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    PyObject *partition; /* NULL: no run has begun */
    long long first, next;
    Py_ssize_t stop, bytes;
} Run;

static PyObject *position_name, *raw_name;

static int finish(PyObject *runs, PyObject *kind, Run *run)
{
    if (run->partition == NULL)
        return 0;
    PyObject *made = PyObject_CallFunction(kind, "OLLnn", run->partition, run->first, run->next, run->stop, run->bytes);
    Py_CLEAR(run->partition);
    int failed = made == NULL || PyList_Append(runs, made) < 0;
    Py_XDECREF(made);
    return failed ? -1 : 0;
}

/* One message more: in the run, or the first of another. */
static int add(PyObject *runs, PyObject *kind, Run *run, PyObject *position, PyObject *raw)
{
    if (!PyTuple_Check(position) || PyTuple_GET_SIZE(position) != 2) {
        PyErr_SetString(PyExc_TypeError, "a position is a partition and an offset");
        return -1;
    }
    PyObject *partition = PyTuple_GET_ITEM(position, 0);
    long long offset = PyLong_AsLongLong(PyTuple_GET_ITEM(position, 1));
    if (offset == -1 && PyErr_Occurred())
        return -1;
    Py_ssize_t size = PyObject_Size(raw);
    if (size < 0)
        return -1;
    if (partition != run->partition || offset < run->next) {
        Py_ssize_t stop = run->stop;
        if (finish(runs, kind, run) < 0)
            return -1;
        *run = (Run){Py_NewRef(partition), offset, offset, stop, 0};
    }
    run->next = offset + 1;
    run->stop += 1;
    run->bytes += size;
    return 0;
}

static int add_all(PyObject *runs, PyObject *kind, Run *run, PyObject *messages)
{
    for (Py_ssize_t at = 0; at < PySequence_Fast_GET_SIZE(messages); at++) {
        PyObject *message = Py_NewRef(PySequence_Fast_GET_ITEM(messages, at)); /* an attribute may be anything's work */
        PyObject *position = PyObject_GetAttr(message, position_name);
        PyObject *raw = position == NULL ? NULL : PyObject_GetAttr(message, raw_name);
        int failed = raw == NULL || add(runs, kind, run, position, raw) < 0;
        Py_XDECREF(position);
        Py_XDECREF(raw);
        Py_DECREF(message);
        if (failed)
            return -1;
    }
    return finish(runs, kind, run);
}

static PyObject *runs(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *kind, *given, *found;
    Run run = {NULL, 0, 0, 0, 0};
    if (!PyArg_ParseTuple(arguments, "OO", &kind, &given))
        return NULL;
    PyObject *messages = PySequence_Fast(given, "messages are a sequence");
    if (messages == NULL || (found = PyList_New(0)) == NULL) {
        Py_XDECREF(messages);
        return NULL;
    }
    if (add_all(found, kind, &run, messages) < 0)
        Py_CLEAR(found);
    Py_XDECREF(run.partition);
    Py_DECREF(messages);
    return found;
}

static PyMethodDef methods[] = {
    {"runs", runs, METH_VARARGS, "runs(Run, messages): a list of them."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_runs", "Messages as runs.", 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__runs(void)
{
    position_name = PyUnicode_InternFromString("position");
    raw_name = PyUnicode_InternFromString("raw");
    return position_name == NULL || raw_name == NULL ? NULL : PyModuleDef_Init(&module);
}
